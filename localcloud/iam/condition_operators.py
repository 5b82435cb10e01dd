"""The operators of conditions: whether a value of a policy matches one of the request. Pure.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import operator
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from localcloud.iam.policy_text import Context, arn_matches, matches, plain

# Called with the value of the policy, the value of the request and the request's context.
Matches = Callable[[str, str, Context], bool]


def _string(compare: Callable[[str, str], bool]) -> Matches:
    def check(wanted: str, actual: str, context: Context) -> bool:
        text = plain(wanted, context)
        return text is not None and compare(text, actual)

    return check


def _ignoring_case(wanted: str, actual: str) -> bool:
    return wanted.casefold() == actual.casefold()


def _parsed(parse: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Matches:
    """Return an operator on values that are parsed; one that cannot be parsed does not match."""

    def check(wanted: str, actual: str, context: Context) -> bool:
        del context
        try:
            return bool(compare(parse(actual), parse(wanted)))
        except (ValueError, OverflowError, TypeError):
            return False

    return check


def _number(text: str) -> float:
    return float(text)


def _date(text: str) -> datetime:
    """Return a time that is given in ISO 8601 or in seconds since the epoch."""
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except ValueError:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)


def _in_network(wanted: str, actual: str, context: Context) -> bool:
    del context
    try:
        return ipaddress.ip_address(actual) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from error


OPERATORS: dict[str, Matches] = {
    "StringEquals": _string(str.__eq__),
    "StringEqualsIgnoreCase": _string(_ignoring_case),
    "StringLike": matches,
    "NumericEquals": _parsed(_number, operator.eq),
    "NumericLessThan": _parsed(_number, operator.lt),
    "NumericLessThanEquals": _parsed(_number, operator.le),
    "NumericGreaterThan": _parsed(_number, operator.gt),
    "NumericGreaterThanEquals": _parsed(_number, operator.ge),
    "DateEquals": _parsed(_date, operator.eq),
    "DateLessThan": _parsed(_date, operator.lt),
    "DateLessThanEquals": _parsed(_date, operator.le),
    "DateGreaterThan": _parsed(_date, operator.gt),
    "DateGreaterThanEquals": _parsed(_date, operator.ge),
    "Bool": _string(_ignoring_case),
    "BinaryEquals": _parsed(_bytes, operator.eq),
    "IpAddress": _in_network,
    "ArnEquals": arn_matches,
    "ArnLike": arn_matches,
}
# A negated operator → the one whose match it excludes.
NEGATED: dict[str, str] = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
}
# Whether the request has the key at all.
NULL = "Null"
NAMES = (*OPERATORS, *NEGATED, NULL)
