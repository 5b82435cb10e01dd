"""Errors of the container that someone outside it can mend.

ContainerError                  one sentence for a person; never a traceback
├── DatasetError                the dataset cannot be trained on
├── HyperparameterError         one or several hyperparameters are wrong
├── ExportError                 the ONNX model does not answer as the trained one
├── ArtifactError               the model directory of a server is not what training leaves
└── RequestError                a request that is not answered with a prediction
    ├── BadPayloadError              400
    ├── BadRequestError              400
    ├── NotAcceptableError           406
    ├── PayloadTooLargeError         413
    ├── UnsupportedMediaTypeError    415
    ├── HeadTooLargeError            431
    ├── InternalFailureError         500
    └── OverloadedError              503

Anything else that is raised is a bug: its traceback goes to the log.
"""

from __future__ import annotations


class ContainerError(Exception):
    """An error with a message for the user."""


class DatasetError(ContainerError):
    """The dataset cannot be trained on."""


class HyperparameterError(ContainerError):
    """One or several hyperparameters are wrong."""


class ExportError(ContainerError):
    """The ONNX model does not answer as the trained one."""


class ArtifactError(ContainerError):
    """The model directory is not what training leaves."""


class RequestError(ContainerError):
    """A request that is not answered with a prediction."""

    status = 400


class BadPayloadError(RequestError):
    """The body cannot be read as rows of numbers."""


class BadRequestError(RequestError):
    """What came is not an HTTP request."""


class NotAcceptableError(RequestError):
    """No representation that the client accepts."""

    status = 406


class PayloadTooLargeError(RequestError):
    """The body is over the limit."""

    status = 413


class UnsupportedMediaTypeError(RequestError):
    """The body is of a type that is not read here."""

    status = 415


class HeadTooLargeError(RequestError):
    """The request line and the headers are over the limit."""

    status = 431


class InternalFailureError(RequestError):
    """The server failed on the request; the traceback is in its log."""

    status = 500


class OverloadedError(RequestError):
    """More requests wait than may wait."""

    status = 503
