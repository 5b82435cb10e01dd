"""The settings that are JSON documents: their values, and the message of each problem."""

import json
from typing import Any

import pytest
from hypothesis import given

from components import setting_documents
from components.setting_kinds import Problem
from tests.unit.components import values

HYPERPARAMETERS_FIX = 'write {"n_estimators": "100"}'
SCHEDULE_FIX = (
    'write [{"name": "morning", "schedule": "cron(0 7 ? * MON-FRI *)", "min": 4, "max": 10}]'
)
CHANGE = {"name": "a", "schedule": "rate(1 day)", "min": 1, "max": 2}


def schedules(raw: str) -> tuple[tuple[Any, ...], list[Problem]]:
    """Parse scheduled changes into tuples of name, schedule, minimum, maximum and timezone."""
    return setting_documents.scheduled_capacities(lambda *change: change)(raw)


@given(values.hyperparameters)
def test_hyperparameters_are_read_as_they_are(given: dict[str, str]) -> None:
    assert setting_documents.hyperparameters(json.dumps(given, indent=1)) == (given, [])


@pytest.mark.parametrize(
    "raw", ["", "{", "[]", "1", "null", '{"a": 1}', '{"a": "1", "b": null}', "[" * 100_000]
)
def test_hyperparameters_are_an_object_of_strings(raw: str) -> None:
    wrong = Problem(
        *("hyperparameters", raw, "a JSON object of strings, without '#{'", HYPERPARAMETERS_FIX)
    )
    assert setting_documents.hyperparameters(raw) == ({}, [wrong])


@pytest.mark.parametrize("raw", ['{"a": "#{b}"}', '{"#{a": "b"}', '{"": "1"}'])
def test_hyperparameters_are_no_pipeline_variables_and_have_names(raw: str) -> None:
    allowed = "a JSON object of strings, without '#{' and empty names"
    wrong = Problem("hyperparameters", raw, allowed, HYPERPARAMETERS_FIX)
    assert setting_documents.hyperparameters(raw) == (json.loads(raw), [wrong])
    assert setting_documents.hyperparameters('{"a": "# {b}"}')[1] == []


def test_hyperparameters_have_300_characters_without_blanks_between_them() -> None:
    # {"a":"…","b":""} has 15 characters beside the value.
    longest = {"a": "x" * 285, "b": ""}
    assert setting_documents.hyperparameters(json.dumps(longest, indent=9)) == (longest, [])
    longer = {"a": "x" * 286, "b": ""}
    wrong = Problem(
        "hyperparameters",
        "301 characters",
        "at most 300 characters of compact JSON",
        "leave out those that equal the container's defaults",
    )
    assert setting_documents.hyperparameters(json.dumps(longer)) == (longer, [wrong])


def test_two_problems_of_hyperparameters_are_both_reported() -> None:
    raw = json.dumps({"": "x" * 300})
    assert [p.allowed for p in setting_documents.hyperparameters(raw)[1]] == [
        "a JSON object of strings, without '#{' and empty names",
        "at most 300 characters of compact JSON",
    ]


def test_a_scheduled_change_is_made_of_its_keys_and_utc() -> None:
    berlin = {**CHANGE, "name": "b", "timezone": "Europe/Berlin"}
    assert schedules(json.dumps([CHANGE, berlin])) == (
        (("a", "rate(1 day)", 1, 2, "UTC"), ("b", "rate(1 day)", 1, 2, "Europe/Berlin")),
        [],
    )
    assert schedules("[]") == ((), [])


@pytest.mark.parametrize("raw", ["", "{", "{}", "1", "null", '"[]"'])
def test_scheduled_changes_are_a_list(raw: str) -> None:
    wrong = Problem("scheduledScaling", raw, "a JSON list of scheduled changes", SCHEDULE_FIX)
    assert schedules(raw) == ((), [wrong])


KEYS = "the keys name, schedule, min, max and, optionally, timezone"
NAME = "a name of 1 to 64 letters, digits, '_' and '-'"
SCHEDULE = "a schedule at(…), rate(…) or cron(…)"
COUNTS = "whole numbers 1 ≤ min ≤ max ≤ 100"
TIMEZONE = "a timezone of the IANA database, for example Europe/Berlin"


@pytest.mark.parametrize(
    ("item", "allowed"),
    [
        (1, KEYS),
        (["name", "schedule", "min", "max"], KEYS),
        ({key: value for key, value in CHANGE.items() if key != "name"}, KEYS),
        ({key: value for key, value in CHANGE.items() if key != "max"}, KEYS),
        ({**CHANGE, "desired": 1}, KEYS),
        ({**CHANGE, "name": 1}, NAME),
        ({**CHANGE, "name": ""}, NAME),
        ({**CHANGE, "name": "-a"}, NAME),
        ({**CHANGE, "name": "a b"}, NAME),
        ({**CHANGE, "name": "a" * 65}, NAME),
        ({**CHANGE, "schedule": 1}, SCHEDULE),
        ({**CHANGE, "schedule": "daily"}, SCHEDULE),
        ({**CHANGE, "schedule": "rate()"}, SCHEDULE),
        ({**CHANGE, "schedule": "at(1) at(2)"}, SCHEDULE),
        ({**CHANGE, "min": 0}, COUNTS),
        ({**CHANGE, "min": 3}, COUNTS),
        ({**CHANGE, "max": 101}, COUNTS),
        ({**CHANGE, "min": "1"}, COUNTS),
        ({**CHANGE, "max": 2.0}, COUNTS),
        ({**CHANGE, "min": True}, COUNTS),
        ({**CHANGE, "timezone": "Mars/X"}, TIMEZONE),
        ({**CHANGE, "timezone": ""}, TIMEZONE),
    ],
)
def test_a_wrong_change_is_named_by_its_place_and_the_others_are_kept(
    item: Any, allowed: str
) -> None:
    first = {**CHANGE, "name": "first"}
    wrong = Problem("scheduledScaling", json.dumps(item), f"in item 2, {allowed}", SCHEDULE_FIX)
    last = {**CHANGE, "name": "last"}
    found, problems = schedules(json.dumps([first, item, last]))
    assert [change[0] for change in found] == ["first", "last"]
    assert problems == [wrong]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "A" * 64},
        {"name": "7_-"},
        {"schedule": "at(2027-01-01T00:00:00)"},
        {"schedule": "cron(0 7 ? * MON-FRI *)"},
        {"min": 1, "max": 1},
        {"min": 100, "max": 100},
        {"timezone": "UTC"},
    ],
)
def test_a_change_at_the_edge_of_what_is_allowed_is_accepted(change: dict[str, Any]) -> None:
    assert schedules(json.dumps([{**CHANGE, **change}]))[1] == []


def test_each_name_that_is_used_twice_is_one_problem() -> None:
    changes = [{**CHANGE, "name": name} for name in ("b", "a", "b", "c", "a", "b")]
    found, problems = schedules(json.dumps(changes))
    assert [change[0] for change in found] == ["b", "a", "b", "c", "a", "b"]
    assert problems == [
        Problem("scheduledScaling", name, "each name once", "give each change a name of its own")
        for name in ("a", "b")
    ]
