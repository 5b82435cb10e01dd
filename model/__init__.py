"""The SageMaker container: `python -m model train`, `python -m model serve`.

It owns the model: reading a dataset, training, the ONNX artifact and the HTTP server. It knows
SageMaker only through the container contract (`/opt/ml`, a few environment variables, two routes)
and calls no AWS service. The directory works as a package wherever it is copied.

    table, archive       pure: CSV text -> Table, zip bytes -> Dataset
    columns              pure: cells <-> the numbers that the model takes; the same in both
    hyperparameters      pure: strings -> Hyperparameters
    quick, payload       pure: request bodies -> rows, fast and then strictly
    media, answers       pure: which type goes out, and predictions -> response bodies
    channels             what SageMaker mounted -> Dataset
    estimator, export    scikit-learn fit; ONNX, compared with it before it is kept
    trees                an ONNX model's trees, arranged to be walked fast
    metrics, importances, plots   the figures of output data
    fitting, train       the training job
    predictor            the ONNX model
    counters, invocation_log   what happened: for /metrics, and in the log
    application, server  the endpoint instance: HTTP; processes and the port
    dataset              the command that makes a dataset zip
"""
