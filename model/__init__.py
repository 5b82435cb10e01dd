"""The SageMaker container: `python -m model train`, `serve`, `check`, `evaluate` and `monitor`.

It owns the model: reading a dataset, training, the ONNX artifact and the HTTP server. It knows
SageMaker only through the container contract (`/opt/ml`, a few environment variables, two routes)
and calls no AWS service. The directory works as a package wherever it is copied.

    cells                       pure: strings -> numbers that fit into 32 bits
    rows                        pure: lines of CSV -> checked rows, one at a time
    table, archive              pure: CSV text -> Table, zip bytes -> Dataset
    entries                     the entries of a dataset zip, whole or line by line
    split                       pure: the stratified train/validation split
    columns                     pure: cells -> the numbers that the model takes, in training and
                                in serving
    hyperparameters             pure: strings -> Hyperparameters
    fast_parser, payload        pure: request bodies -> rows; the fast parser first, then the
                                strict one
    media, response_encoder     pure: content negotiation, predictions -> response bodies
    channels                    the channels that SageMaker mounted -> Dataset
    estimator, export           the scikit-learn fit; the ONNX export, compared with the fit
    trees                       rewrites an ONNX model's trees for fast inference
    metrics, importances, plots the figures of the job's output data
    progress                    progress lines of a long fit
    fitting, train              the training job
    baseline                    the statistics of training rows, and the distances from them
    contract                    pure: the rules that a dataset declares
    sketches, scan, statistics  pure: rows -> summaries of a bounded size -> a baseline
    inspection                  a dataset zip -> its summaries, and what training would refuse
    own_rules, contract_rules,  pure: the findings about a dataset by itself, against its contract,
    champion_rules, findings    and against the approved model's baseline
    check_page, check           the data check
    evaluation                  pure: a candidate and the champion on the same rows
    evaluation_page, evaluate   the evaluation
    captures                    captured requests and responses -> rows
    monitor_statistics,         pure: rows -> statistics that can be merged, and their verdicts
    monitor_judge
    monitor_state               the files and the rows that earlier runs have counted
    monitor_report,             the monitor
    monitor_page, monitor
    predictor                   the ONNX model
    micro_batching              scores single rows together
    counters, invocation_log    the counters of /metrics, the invocations in the log
    messages, connection        HTTP/1.1: requests and responses, one connection
    application                 the routes
    server                      the endpoint instance: settings, worker processes, the port
    dataset                     the command that makes a dataset zip
"""
