"""Pages of a list operation.

A token names the last entry of its page, so entries that are added meanwhile shift nothing.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import TypeVar

from localcloud.aws.errors import AwsError

T = TypeVar("T")


def page(
    entries: Sequence[T],
    key: Callable[[T], str],
    token: str | None,
    limit: int,
    code: str,
) -> tuple[list[T], str | None]:
    """Return a page of entries, and the token of the next page or None after the last one.

    Args:
        entries: the whole list, in order.
        key: returns the unique name of an entry.
        token: the token of the requested page; None for the first.
        limit: entries per page, at least 1.
        code: error code for a token that this list did not return.

    Raises:
        AwsError: the token is not one of this list's.
    """
    first = 0
    if token is not None:
        last = _decoded(token)
        places = [index for index, entry in enumerate(entries) if key(entry) == last]
        if not places:
            raise AwsError(code, f"The next token '{token[:100]}' is not valid.")
        first = places[0] + 1
    given = list(entries[first : first + limit])
    more = first + limit < len(entries)
    return given, _encoded(key(given[-1])) if more and given else None


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _decoded(token: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, ValueError):
        return None
