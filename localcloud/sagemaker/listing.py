"""The filters, the order and the pages of list operations. Pure.

A page ends at a record, and the next page begins after that record. So records that are added or
deleted between two pages neither repeat nor hide others. A token names the record and the request.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTrainingJobs.html
"""

from __future__ import annotations

import base64
import binascii
import bisect
import hashlib
import heapq
import itertools
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from localcloud.aws.errors import ValidationError
from localcloud.aws.routing import Scope
from localcloud.core.store import Collection

R = TypeVar("R")

# The sort key of a record: strings and numbers, which JSON can hold.
Key = str | float
_DEFAULT_PAGE = 10
# The parameters that do not change the selection of records.
_PAGING = ("NextToken", "MaxResults")
_NOT_OURS = "The NextToken does not belong to this request."


@dataclass(frozen=True, slots=True)
class Order:
    """The default order of a list operation.

    Attributes:
        keys: further values of SortBy, each with its sort key; None sorts last.
    """

    by: str = "CreationTime"
    descending: bool = True
    keys: Mapping[str, Callable[[Any], Key | None]] = field(default_factory=dict)


def page(
    records: Iterable[R], scope: Scope, params: Mapping[str, Any], order: Order | None = None
) -> tuple[list[R], dict[str, str]]:
    """Return one page of the records of a list request, and the NextToken if more follow.

    Args:
        records: records with `arn`, `name` and `created`; with `status` and `modified` they can be
            filtered by these, too.
        scope: the account and region of the request.
        params: the parameters by their names in the model.
        order: the default order of the operation.

    Raises:
        ValidationError: the token does not belong to this request.
    """
    prefix = scope.arn("sagemaker", "")
    found = [record for record in records if _fits(record, prefix, params)]
    return pages(found, params, order or Order())


def pages(
    found: list[R],
    params: Mapping[str, Any],
    order: Order,
    identity: Callable[[R], str] = lambda record: str(getattr(record, "arn", "")),
) -> tuple[list[R], dict[str, str]]:
    """Return one page of records that were already filtered, like `page`."""
    _, reverse, position = _sorting(params, order, identity)
    fingerprint = _fingerprint(params)
    token = params.get("NextToken")
    if token:
        last = _read(token, fingerprint)
        try:
            found = [r for r in found if (position(r) < last) == reverse and position(r) != last]
        except TypeError:  # a forged token, whose value has another type
            raise ValidationError(_NOT_OURS) from None
    size = params.get("MaxResults") or _DEFAULT_PAGE
    # Not sorted completely, because a page has only a few of thousands of records.
    first = heapq.nlargest if reverse else heapq.nsmallest
    shown = first(size, found, key=position)
    if len(found) <= size:
        return shown, {}
    return shown, {"NextToken": _write(fingerprint, position(shown[-1]))}


# The place of a record: whether it sorts last for want of a value, the value, and the ARN.
_Position = tuple[bool, Key, str]


def _sorting(
    params: Mapping[str, Any], order: Order, identity: Callable[[R], str]
) -> tuple[str, bool, Callable[[R], _Position]]:
    """Return the property to sort by, whether in descending order, and the key of a record."""
    by = params.get("SortBy", order.by)
    key = {**_KEYS, **order.keys}.get(by)
    if key is None:
        raise ValidationError(f"SortBy {by} is not a property of the order.")
    default = "Descending" if order.descending else "Ascending"
    reverse = params.get("SortOrder", default) == "Descending"

    def position(record: R) -> _Position:
        value = key(record)
        missing = value is None
        return (missing != reverse, "" if value is None else value, identity(record))

    return by, reverse, position


def page_of(
    records: Collection[R], scope: Scope, params: Mapping[str, Any], order: Order | None = None
) -> tuple[list[R], dict[str, str]]:
    """Return one page like `page`; the collection is sorted once between two changes of it."""
    order = order or Order()
    prefix = scope.arn("sagemaker", "")
    by, reverse, position = _sorting(params, order, lambda record: str(getattr(record, "arn", "")))
    positions, sorted_records = records.ordered((by, reverse), position)
    fingerprint = _fingerprint(params)
    token = params.get("NextToken")
    first = 0
    if token:
        search = bisect.bisect_left if reverse else bisect.bisect_right
        try:
            first = search(positions, _read(token, fingerprint))
        except TypeError:  # a forged token, whose value has another type
            raise ValidationError(_NOT_OURS) from None
    elif reverse:
        first = len(positions)
    places = range(first - 1, -1, -1) if reverse else range(first, len(positions))
    size = params.get("MaxResults") or _DEFAULT_PAGE
    fitting = (place for place in places if _fits(sorted_records[place], prefix, params))
    shown = list(itertools.islice(fitting, size + 1))
    found = [sorted_records[place] for place in shown[:size]]
    if len(shown) <= size:
        return found, {}
    return found, {"NextToken": _write(fingerprint, positions[shown[size - 1]])}


def utc(value: datetime) -> datetime:
    """Return a parsed timestamp with its time zone, which the parser omits."""
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _time(name: str) -> Callable[[Any], Key | None]:
    def key(record: Any) -> Key | None:
        value: datetime | None = getattr(record, name, None)
        return None if value is None else round(value.timestamp() * 1e6)

    return key


_KEYS: dict[str, Callable[[Any], Key | None]] = {
    "Name": lambda record: str(record.name),
    "CreationTime": _time("created"),
    "Status": lambda record: str(record.status),
}
# Filter → the record's attribute, and whether it has to be later.
_TIMES = {
    "CreationTimeAfter": ("created", True),
    "CreationTimeBefore": ("created", False),
    "LastModifiedTimeAfter": ("modified", True),
    "LastModifiedTimeBefore": ("modified", False),
}


def _fits(record: Any, prefix: str, params: Mapping[str, Any]) -> bool:
    if not record.arn.startswith(prefix):
        return False
    contains = params.get("NameContains")
    if contains and contains.lower() not in record.name.lower():
        return False
    wanted = params.get("StatusEquals")
    if wanted is not None and record.status != wanted:
        return False
    for name, (attribute, later) in _TIMES.items():
        if params.get(name) is not None:
            bound, value = utc(params[name]), getattr(record, attribute)
            if value <= bound if later else value >= bound:
                return False
    return True


def _fingerprint(params: Mapping[str, Any]) -> str:
    asked = {name: value for name, value in params.items() if name not in _PAGING}
    text = json.dumps(asked, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _write(fingerprint: str, position: tuple[bool, Key, str]) -> str:
    return base64.urlsafe_b64encode(json.dumps([fingerprint, *position]).encode()).decode()


def _read(token: str, fingerprint: str) -> tuple[bool, Key, str]:
    try:
        written, missing, value, identity = json.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError, TypeError):
        written = missing = value = identity = None
    if written != fingerprint or not isinstance(missing, bool) or not isinstance(identity, str):
        raise ValidationError(_NOT_OURS)
    return missing, value, identity
