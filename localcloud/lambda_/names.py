"""Names of functions, as requests give them: a name, a part of an ARN, or an ARN. Pure.

    my-function:PROD
    123456789012:function:my-function
    arn:aws:lambda:us-west-2:123456789012:function:my-function:2

Source: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from localcloud.aws.errors import AwsError, ResourceNotFound
from localcloud.aws.routing import Scope

LATEST = "$LATEST"
_NAME = re.compile(
    r"(?:arn:aws[a-zA-Z-]*:lambda:)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):)?"
    r"(?:(?P<account>\d{12}):)?(?:function:)?(?P<name>[a-zA-Z0-9-_]+)"
    r"(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9-_]+))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class FunctionName:
    """A function, and the version or alias of it that is meant.

    Attributes:
        scope: its account and region.
        qualifier: a version, an alias or $LATEST; empty if the request has none.
    """

    scope: Scope
    name: str
    qualifier: str = ""

    @property
    def arn(self) -> str:
        """Return the ARN of the function without a qualifier."""
        return self.scope.arn("lambda", f"function:{self.name}")

    @property
    def qualified_arn(self) -> str:
        """Return the ARN with the qualifier, if there is one."""
        return f"{self.arn}:{self.qualifier}" if self.qualifier else self.arn

    def not_found(self) -> AwsError:
        """Return the error of a function, version or alias that does not exist."""
        error = ResourceNotFound(f"Function not found: {self.qualified_arn}")
        error.status = 404
        return error


def parse(scope: Scope, text: str, qualifier: str | None = None) -> FunctionName:
    """Return the function that a request names.

    Args:
        scope: the account and region of the request.
        text: its FunctionName.
        qualifier: its Qualifier, if it has one.

    Raises:
        AwsError: the text is no name, or it has another qualifier than the request.
    """
    found = _NAME.fullmatch(text)
    if found is None:
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value '{text[:200]}' at 'functionName' failed to "
            "satisfy constraint: Member must satisfy regular expression pattern: (arn:"
            "(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}(-gov)?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)"
            "(:(\\$LATEST|[a-zA-Z0-9-_]+))?",
        )
    own = Scope(found["account"] or scope.account, found["region"] or scope.region)
    if qualifier and found["qualifier"] and qualifier != found["qualifier"]:
        raise AwsError(
            "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.",
        )
    return FunctionName(own, found["name"], found["qualifier"] or qualifier or "")
