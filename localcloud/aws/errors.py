"""The errors that reach a client, each with AWS's code and HTTP status.

    AwsError                      any error with a code; 400 unless said otherwise
    ├── ValidationError           a request that does not fit botocore's model
    ├── ResourceNotFound          ResourceNotFoundException
    ├── ResourceInUse             ResourceInUse / already exists
    ├── AccessDenied              a role's policies do not allow the call
    ├── UnknownRegion                 the credential names a region that AWS does not have
    ├── MissingCredentials            the request has no signature, and nothing says what it is for
    ├── TooLarge                      a request that is larger than the service allows
    ├── UnknownOperation              the service has no operation of this name
    ├── NoOperationNamed          the request names no operation
    └── NotImplementedByCloud     501 with the name of the operation

`edge/gateway.py` turns them into HTTP, in the protocol of the service that was called.
"""

from __future__ import annotations


class AwsError(Exception):
    """An error with the code, message and HTTP status that AWS gives."""

    status = 400

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        if status is not None:
            self.status = status


class IllegalTransition(RuntimeError):
    """A bug in this program: a state machine was asked for a transition that its table lacks."""


class ValidationError(AwsError):
    """A request that breaks the service model or a documented rule."""

    def __init__(self, message: str, code: str = "ValidationException") -> None:
        super().__init__(code, message)


class ResourceNotFound(AwsError):
    """The named resource does not exist."""

    def __init__(self, message: str, code: str = "ResourceNotFoundException") -> None:
        super().__init__(code, message)


class ResourceInUse(AwsError):
    """The name is taken, or the resource is in a state that forbids the call."""

    def __init__(self, message: str, code: str = "ResourceInUse") -> None:
        super().__init__(code, message)


class AccessDenied(AwsError):
    """A role's policies do not allow what it calls."""

    def __init__(self, message: str) -> None:
        super().__init__("AccessDeniedException", message)


class UnknownRegion(AwsError):
    """The request is signed for a region that AWS, or the service, does not have.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
    """

    def __init__(self, region: str) -> None:
        super().__init__(
            "SignatureDoesNotMatch",
            f"Credential should be scoped to a valid region, not '{region[:64]}'.",
            403,
        )


class MissingCredentials(AwsError):
    """A request without a signature that is for no service.

    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html
    """

    def __init__(self) -> None:
        super().__init__(
            "MissingAuthenticationToken",
            "The request is missing an authentication token.",
            403,
        )


class TooLarge(AwsError):
    """A request that is larger than the service allows."""

    def __init__(self, code: str, message: str, status: int) -> None:
        super().__init__(code, message, status)


class NoOperationNamed(AwsError):
    """A request that names no operation.

    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html
    """

    def __init__(self, service: str, protocol: str) -> None:
        where = "the parameter Action" if protocol == "query" else "the header X-Amz-Target"
        code = "MissingAction" if protocol == "query" else "UnknownOperationException"
        super().__init__(
            code, f"The request to {service} is missing {where}, which names its operation."
        )


class UnknownOperation(AwsError):
    """A request that names an operation which the service does not have.

    Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/CommonErrors.html
    """

    def __init__(self, service: str, operation: str, protocol: str) -> None:
        code = "InvalidAction" if protocol == "query" else "UnknownOperationException"
        super().__init__(code, f"{service} has no operation {operation[:100]}.")


class NotImplementedByCloud(AwsError):
    """The local cloud does not serve this operation, and says so."""

    status = 501

    def __init__(self, service: str, operation: str) -> None:
        super().__init__(
            "NotImplemented",
            f"The local cloud does not implement {service}:{operation}. "
            "docs/operations.md lists what it does.",
        )
