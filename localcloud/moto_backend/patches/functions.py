"""Patches of Lambda."""

from __future__ import annotations

from typing import Any

from localcloud.core.archives import ArchiveError, check_zip
from localcloud.lambda_.limits import CODE_BOUNDS, MOST_UNZIPPED_BYTES


def patch() -> None:
    """Apply the patches."""
    _patch_code()
    _patch_urls()


def _patch_urls() -> None:
    """CreateFunctionUrlConfig: moto gives a URL of AWS, at which nothing answers.

    A client that calls it would send its request to AWS, so the operation is not implemented.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html
    """
    from moto.awslambda.responses import LambdaResponse

    def create_function_url_config(self: Any) -> Any:
        raise NotImplementedError

    LambdaResponse.create_function_url_config = create_function_url_config


def _patch_code() -> None:
    """CreateFunction and UpdateFunctionCode: moto stores any bytes as the code.

    AWS refuses what is not a zip archive, and one that unpacks to more than 250 MB.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    """
    from moto.awslambda.exceptions import InvalidParameterValueException
    from moto.awslambda.models import LambdaFunction

    make = LambdaFunction.__init__
    update = LambdaFunction.update_function_code

    def check(function: Any) -> None:
        code = getattr(function, "code_bytes", None)
        try:
            if code:
                check_zip(bytes(code), CODE_BOUNDS)
        except ArchiveError as error:
            if str(MOST_UNZIPPED_BYTES) in str(error):
                raise InvalidParameterValueException(
                    f"Unzipped size must be smaller than {MOST_UNZIPPED_BYTES} bytes"
                ) from None
            raise InvalidParameterValueException(
                "Could not unzip uploaded file. Please check your file, then try to upload again."
            ) from None

    def initialise(self: Any, *arguments: Any, **named: Any) -> None:
        make(self, *arguments, **named)
        check(self)

    def update_function_code(self: Any, updated_spec: dict[str, Any]) -> Any:
        before = {
            name: getattr(self, name)
            for name in ("code", "code_bytes", "code_size", "code_sha_256", "code_digest")
            if hasattr(self, name)
        }
        answer = update(self, updated_spec)
        try:
            check(self)
        except InvalidParameterValueException:
            for name, value in before.items():
                setattr(self, name, value)
            raise
        return answer

    LambdaFunction.__init__ = initialise
    LambdaFunction.update_function_code = update_function_code
