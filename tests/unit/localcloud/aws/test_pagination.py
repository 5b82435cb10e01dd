"""Pages of a list: together they are the list, whatever is added before them meanwhile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.aws.errors import AwsError
from localcloud.aws.pagination import page

pytestmark = pytest.mark.emulator_only

entries = st.lists(st.text(max_size=6), unique=True, max_size=20)


@given(entries, st.integers(1, 7))
def test_pages_together_are_the_whole_list(found: list[str], limit: int) -> None:
    pages, token = [], None
    while True:
        shown, token = page(found, str, token, limit, "Invalid")
        pages.append(shown)
        if token is None:
            break
    assert found == [entry for shown in pages for entry in shown]
    assert all(len(shown) == limit for shown in pages[:-1])


@given(entries.filter(lambda found: len(found) > 2))
def test_what_is_added_in_front_shifts_no_page(found: list[str]) -> None:
    _, token = page(found, str, None, 1, "Invalid")
    shown, _ = page(["new one", *found], str, token, 1, "Invalid")
    assert [found[1]] == shown


@pytest.mark.parametrize("token", ["", "nonsense", "====", "é", "Z29uZQ=="])
def test_a_token_of_another_list_is_refused(token: str) -> None:
    with pytest.raises(AwsError) as caught:
        page(["a", "b"], str, token, 1, "InvalidNextToken")
    assert caught.value.code == "InvalidNextToken"
