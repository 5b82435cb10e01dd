"""The source of a template: the request itself, the stack, or an object in S3.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from typing import Any
from urllib.parse import unquote, urlsplit

from localcloud.aws.routing import Scope
from localcloud.cloudformation.model import Stack
from localcloud.cloudformation.request_validation import invalid
from localcloud.cloudformation.stack_policies import StackPolicyError, check_policy
from localcloud.cloudformation.template import TemplateError, parse
from localcloud.service_context import ServiceContext

_BODY_BYTES = 51_200
_OBJECT_BYTES = 1_000_000
# bucket.s3.region.amazonaws.com, bucket.s3-region.amazonaws.com and bucket.s3.amazonaws.com
_BUCKET_HOST = re.compile(r"(?P<bucket>.+)\.s3[.-](?:[a-z0-9-]+\.)?amazonaws\.com")


def place_of(url: str) -> tuple[str, str] | None:
    """Return bucket and key of an S3 URL, by path or by host, or None. Pure."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    path = unquote(parts.path.lstrip("/"))
    match = _BUCKET_HOST.fullmatch(parts.hostname)
    if match is not None:
        return (match["bucket"], path) if path else None
    bucket, _, key = path.partition("/")
    return (bucket, key) if bucket and key else None


async def template_body(
    context: ServiceContext, scope: Scope, params: dict[str, Any], stack: Stack | None = None
) -> str:
    """Return the template of a request, or of the stack with UsePreviousTemplate.

    Raises:
        ValidationError: the request has no template, several, or one that is too long.
    """
    body, url = params.get("TemplateBody"), params.get("TemplateURL")
    previous = stack is not None and params.get("UsePreviousTemplate")
    if (body is not None) + (url is not None) + bool(previous) > 1:
        raise invalid("Only one of TemplateBody, TemplateURL and UsePreviousTemplate may be given.")
    if stack is not None and previous:
        return await _parsed_beside(stack.template_body)
    if url:
        return await _parsed_beside(await _text_at(context, scope, str(url), "TemplateURL"))
    if not body:
        raise invalid("Either Template URL or Template Body must be specified.")
    if len(str(body).encode()) > _BODY_BYTES:
        raise invalid(
            "1 validation error detected: Value at 'templateBody' failed to satisfy constraint: "
            f"Member must have length less than or equal to {_BODY_BYTES}"
        )
    return await _parsed_beside(str(body))


async def _parsed_beside(body: str) -> str:
    """Return a template's text after it was parsed in a thread, where a long one stops nobody."""
    with contextlib.suppress(TemplateError):  # the caller parses it again, and reports the error
        await asyncio.to_thread(parse, body)
    return body


async def stack_policy(
    context: ServiceContext,
    scope: Scope,
    params: dict[str, Any],
    *,
    during_update: bool = False,
) -> str | None:
    """Return the stack policy of a request, or None.

    Args:
        context: what services share.
        scope: the account and region of the request.
        params: the request.
        during_update: whether it is the one that holds for one update only.

    Raises:
        ValidationError: the request has two policies, or one that cannot be read.
    """
    name = f"StackPolicy{'DuringUpdate' if during_update else ''}"
    body, url = params.get(f"{name}Body"), params.get(f"{name}URL")
    if body is not None and url is not None:
        raise invalid(f"You cannot specify both {name}URL and {name}Body")
    text = await _text_at(context, scope, url, f"{name}URL") if url else body
    if text is None:
        return None
    try:
        check_policy(str(text))
    except StackPolicyError as error:
        raise invalid(str(error)) from None
    return str(text)


async def _text_at(context: ServiceContext, scope: Scope, url: str, name: str) -> str:
    place = place_of(url)
    if place is None and urlsplit(url).scheme == "s3":
        raise invalid(
            f"S3 error: Domain name specified in {urlsplit(url).hostname} is not a valid S3 domain"
        )
    if place is None and urlsplit(url).scheme not in ("http", "https"):
        raise invalid(f"{name} must be a supported URL.")
    if place is None:
        raise invalid(f"{name} must reference a valid S3 object to which you have access.")
    bucket, key = place
    try:
        answer = await context.api(scope, "s3", "get_object", Bucket=bucket, Key=key)
        size = answer["ContentLength"]
        content: bytes = await asyncio.to_thread(answer["Body"].read, _OBJECT_BYTES + 1)
    except Exception as error:
        raise invalid(f"S3 error: {error}") from None
    if size > _OBJECT_BYTES:
        what = "Template" if name == "TemplateURL" else "Stack policy"
        raise invalid(f"{what} may not exceed {_OBJECT_BYTES} bytes in size; it has {size}.")
    return content.decode("utf-8", "replace")
