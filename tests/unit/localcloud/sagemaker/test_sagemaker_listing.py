"""Filters, order and pages of the list operations."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.aws.errors import ValidationError
from localcloud.aws.routing import Scope
from localcloud.core.store import Collection, Database
from localcloud.sagemaker.listing import Order, page, page_of

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListTrainingJobs.html"
)

SCOPE = Scope()
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Record:
    name: str
    minutes: int
    status: str = "InProgress"
    scope: Scope = SCOPE

    @property
    def arn(self) -> str:
        return self.scope.arn("sagemaker", f"thing/{self.name}")

    @property
    def created(self) -> datetime:
        return START + timedelta(minutes=self.minutes)

    @property
    def modified(self) -> datetime:
        return self.created + timedelta(minutes=30)


def names(records: list[Record], params: dict[str, Any], order: Order | None = None) -> list[str]:
    return [record.name for record in page(records, SCOPE, params, order)[0]]


def walk(records: list[Record], params: dict[str, Any]) -> list[list[str]]:
    found, token = [], None
    while True:
        shown, more = page(records, SCOPE, {**params, **({"NextToken": token} if token else {})})
        found.append([record.name for record in shown])
        token = more.get("NextToken")
        if token is None:
            return found


records = st.lists(
    st.builds(
        Record,
        name=st.text("abAB", min_size=1, max_size=4),
        minutes=st.integers(0, 5),
        status=st.sampled_from(["InProgress", "Completed"]),
    ),
    unique_by=lambda record: record.name,
    max_size=30,
)
asked = st.fixed_dictionaries(
    {"MaxResults": st.integers(1, 7)},
    optional={
        "SortBy": st.sampled_from(["Name", "CreationTime", "Status"]),
        "SortOrder": st.sampled_from(["Ascending", "Descending"]),
        "NameContains": st.text("ab", max_size=2),
        "StatusEquals": st.sampled_from(["InProgress", "Completed"]),
    },
)


@given(records, asked)
def test_the_pages_together_are_the_whole_list_in_its_order(
    found: list[Record], params: dict[str, Any]
) -> None:
    pages = walk(found, params)
    whole = walk(found, {**params, "MaxResults": 100})
    assert len(whole) == 1
    assert whole[0] == [name for page in pages for name in page]
    assert all(len(page) == params["MaxResults"] for page in pages[:-1])


@given(records, asked)
def test_a_list_holds_what_fits_and_nothing_else(
    found: list[Record], params: dict[str, Any]
) -> None:
    expected = {
        r.name
        for r in found
        if params.get("NameContains", "") in r.name.lower()
        and r.status == params.get("StatusEquals", r.status)
    }
    assert expected == {name for page in walk(found, params) for name in page}


@given(records, asked)
def test_the_pages_of_a_collection_are_those_of_its_records(
    found: list[Record], params: dict[str, Any]
) -> None:
    database = Database(None)
    collection = Collection(database, "things", Record)
    for record in found:
        collection.put(record.name, record)
    token: dict[str, str] = {}
    while True:
        expected, more = page(found, SCOPE, {**params, **token})
        assert (expected, more) == page_of(collection, SCOPE, {**params, **token})
        token = more
        if not token:
            break
    for record in found[:1]:  # a change is seen
        collection.delete(record.name)
    assert page(found[1:], SCOPE, params) == page_of(collection, SCOPE, params)
    database.close()


def test_a_record_that_comes_between_two_pages_neither_repeats_nor_hides_another() -> None:
    found = [Record("a", 1), Record("b", 2), Record("c", 3)]
    params = {"MaxResults": 2, "SortOrder": "Ascending"}
    shown, more = page(found, SCOPE, params)
    found += [Record("before", 0), Record("after", 4)]
    found.remove(shown[-1])
    assert ["c", "after"] == names(found, {**params, **more})


def test_the_newest_is_first_unless_the_operation_says_otherwise() -> None:
    found = [Record("a", 1), Record("b", 2)]
    assert ["b", "a"] == names(found, {})
    assert ["a", "b"] == names(found, {}, Order(descending=False))
    assert ["b", "a"] == names(found, {"SortOrder": "Descending"}, Order(descending=False))


def test_a_page_has_ten_records_by_default() -> None:
    assert 10 == len(names([Record(str(n), n) for n in range(11)], {}))


def test_times_are_compared_whether_or_not_they_have_a_zone() -> None:
    found = [Record("a", 0), Record("b", 10), Record("c", 20)]
    bound = (START + timedelta(minutes=10)).replace(tzinfo=None)
    assert ["a"] == names(found, {"CreationTimeBefore": bound})
    assert ["c"] == names(found, {"CreationTimeAfter": bound})
    assert [] == names(found, {"LastModifiedTimeBefore": bound})
    assert ["c", "b", "a"] == names(found, {"LastModifiedTimeAfter": bound})


def test_other_accounts_and_regions_are_not_listed() -> None:
    other = Record("b", 2, scope=Scope(region="eu-west-1"))
    assert ["a"] == names([Record("a", 1), other], {})


def test_what_has_no_value_to_sort_by_comes_last_in_either_order() -> None:
    marks = {"a": 2.0, "b": 1.0}
    order = Order("Mark", keys={"Mark": lambda record: marks.get(record.name)})
    found = [Record(name, 0) for name in "abc"]
    assert ["a", "b", "c"] == names(found, {"SortOrder": "Descending"}, order)
    assert ["b", "a", "c"] == names(found, {"SortOrder": "Ascending"}, order)


@pytest.mark.parametrize("token", ["x", "e30=", "W10=", "é", "WzEsIDIsIDMsIDRd"])
def test_a_token_that_was_never_given_is_refused(token: str) -> None:
    with pytest.raises(ValidationError, match="NextToken"):
        page([Record("a", 1)], SCOPE, {"NextToken": token})


def test_a_token_of_another_request_is_refused() -> None:
    found = [Record("a", 1), Record("b", 2)]
    _, more = page(found, SCOPE, {"MaxResults": 1})
    with pytest.raises(ValidationError, match="NextToken"):
        page(found, SCOPE, {"MaxResults": 1, "NameContains": "a", **more})
    with pytest.raises(ValidationError, match="SortBy"):
        page(found, SCOPE, {"SortBy": "Colour"})
