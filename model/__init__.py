"""The SageMaker container: `python -m model train`, `python -m model serve`.

It owns the model: reading a dataset, training, the ONNX artifact and the HTTP server. It knows
SageMaker only through the container contract (`/opt/ml`, a few environment variables, two routes)
and calls no AWS service. The directory works as a package wherever it is copied.

    table, archive     pure: CSV text -> Table, zip bytes -> Dataset
    hyperparameters    pure: strings -> Hyperparameters
    payload            pure: request bytes <-> rows and predictions
    channels           what SageMaker mounted -> Dataset
    estimator, export  scikit-learn fit; ONNX, compared with it before it is kept
    train              the training job
    predictor, server  the endpoint instance
    dataset            the command that makes a dataset zip
"""
