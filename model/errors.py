"""Errors that a user of the container can fix.

ContainerError                  one sentence for the user; never a traceback
├── DatasetError                the dataset cannot be used for training
├── HyperparameterError         one or more hyperparameters are invalid
├── ExportError                 the ONNX model's predictions differ from the trained model's
├── ArtifactError               the model directory does not hold what a training job saves
├── ContractError               the data contract cannot be read
├── BaselineError               the baseline is missing, cut off, or of another version
├── MonitorError                the captures cannot be compared with the baseline
├── ReferenceSetError           the frozen reference set cannot be read
└── RequestError                a request that is answered with an error
    ├── BadPayloadError              400
    ├── BadRequestError              400
    ├── NotAcceptableError           406
    ├── PayloadTooLargeError         413
    ├── UnsupportedMediaTypeError    415
    ├── HeadTooLargeError            431
    ├── InternalFailureError         500
    └── OverloadedError              503

Any other exception is a bug: its traceback goes to the log.
"""

from __future__ import annotations


class ContainerError(Exception):
    """An error with a message for the user."""


class DatasetError(ContainerError):
    """The dataset cannot be used for training."""


class ContractError(ContainerError):
    """The data contract cannot be read."""


class HyperparameterError(ContainerError):
    """One or more hyperparameters are invalid."""


class ExportError(ContainerError):
    """The ONNX model's predictions differ from the trained model's."""


class ArtifactError(ContainerError):
    """The model directory does not hold what a training job saves."""


class BaselineError(ContainerError):
    """The baseline is missing, cut off, or of another version."""


class MonitorError(ContainerError):
    """The captures cannot be compared with the baseline."""


class ReferenceSetError(ContainerError):
    """The frozen reference set cannot be read."""


class RequestError(ContainerError):
    """A request that is answered with an error; `status` is its HTTP status code."""

    status = 400


class BadPayloadError(RequestError):
    """The body cannot be read as rows of numbers."""


class BadRequestError(RequestError):
    """The bytes received are not an HTTP request that this server serves."""


class NotAcceptableError(RequestError):
    """The client accepts none of the media types that the server can write."""

    status = 406


class PayloadTooLargeError(RequestError):
    """The body is over the limit."""

    status = 413


class UnsupportedMediaTypeError(RequestError):
    """The server does not read the body's media type."""

    status = 415


class HeadTooLargeError(RequestError):
    """The request line and the headers are over the limit."""

    status = 431


class InternalFailureError(RequestError):
    """The server failed to handle the request; the traceback is in its log."""

    status = 500


class OverloadedError(RequestError):
    """Too many requests are waiting."""

    status = 503
