"""The kinds of settings, one by one: their declarations, parsers and problems."""

from collections.abc import Callable
from dataclasses import MISSING, make_dataclass
from enum import StrEnum
from typing import Any

import pytest

from components.setting_kinds import (
    Problem,
    Setting,
    SettingsError,
    choice,
    document,
    flag,
    listed_number,
    number,
    setting_of,
    string,
    switch,
    whole_number,
)

# Makes the dataclass field of a setting, when a test runs rather than when it is collected.
Make = Callable[[], Any]


class Size(StrEnum):
    LARGE = "LARGE"
    LARGER = "LARGER"
    SMALL = "small"
    HUGE = "x:huge"


def declaration(field: Any) -> Setting:
    found = setting_of(field.metadata)
    assert found is not None
    return found


def shown(setting: Setting) -> tuple[Any, ...]:
    """Return the declaration without its parser."""
    return (
        *(setting.key, setting.type, setting.default),
        *(setting.description, setting.allowed, setting.example),
    )


def letters(default: str | None) -> Any:
    return string(
        "word", default, pattern="[a-z]+", allowed="letters", example="abc", description="A word."
    )


def size(default: Size | None) -> Any:
    return choice("size", default, Size, example="small", description="A size.")


def count() -> Any:
    return whole_number("count", 5, low=-2, high=10, description="A count.")


def listed() -> Any:
    return listed_number("days", 5, numbers=(1, 5, 30), example=30, description="Days.")


def share(default: float = 2.5) -> Any:
    return number("share", default, low=0.1, high=100_000, description="A share.")


def on(default: bool = True) -> Any:
    return flag("on", default, description="On.")


def items() -> Any:
    return document(
        *("list", "1,2"),
        parse=lambda raw: (raw.split(","), []),
        allowed="a list",
        example="1",
        description="A list.",
    )


def test_an_error_lists_its_problems_by_line() -> None:
    error = SettingsError(iter(["a: bad", "b: bad"]))
    assert error.problems == ("a: bad", "b: bad")
    assert str(error) == "2 problem(s) in the stack's configuration:\n  - a: bad\n  - b: bad"


def test_a_problem_says_the_value_and_what_to_do() -> None:
    problem = Problem("key", "x", "y or z", "use y")
    assert str(problem) == "key: bad value 'x'; allowed: y or z; fix: use y"
    assert str(Problem("key", 0, "1", "use 1")) == "key: bad value 0; allowed: 1; fix: use 1"
    assert str(Problem("key", "", "1", "use 1", what="no value")) == (
        "key: no value; allowed: 1; fix: use 1"
    )


def test_a_field_that_is_no_setting_has_no_declaration() -> None:
    assert setting_of({}) is None


ALLOWED_SIZES = "LARGE, LARGER, small, x:huge"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: letters("x"), ("word", "string", "x", "A word.", "letters", "abc")),
        (lambda: letters(""), ("word", "string", "", "A word.", "letters", "abc")),
        (lambda: letters(None), ("word", "string", None, "A word.", "letters", "abc")),
        (lambda: size(Size.HUGE), ("size", "string", "x:huge", "A size.", ALLOWED_SIZES, "small")),
        (lambda: size(None), ("size", "string", None, "A size.", ALLOWED_SIZES, "small")),
        (on, ("on", "boolean", True, "On.", "true, false", "true")),
        (
            lambda: switch("on", description="On."),
            ("on", "boolean", False, "On.", "true, false", "false"),
        ),
        (count, ("count", "integer", 5, "A count.", "a whole number from -2 to 10", "5")),
        (listed, ("days", "integer", 5, "Days.", "1, 5, 30", "30")),
        (share, ("share", "string", "2.5", "A share.", "a number from 0.1 to 100000", "2.5")),
        (items, ("list", "string", "1,2", "A list.", "a list", "1")),
    ],
)
def test_a_declaration_has_all_that_the_project_file_shows(
    make: Make, expected: tuple[Any, ...]
) -> None:
    assert shown(declaration(make())) == expected


@pytest.mark.parametrize(
    ("make", "default"),
    [
        (lambda: letters("x"), "x"),
        (lambda: letters(""), None),
        (lambda: size(Size.HUGE), Size.HUGE),
        (on, True),
        (lambda: switch("on", description="On."), None),
        (count, 5),
        (listed, 5),
        (share, 2.5),
        (items, ["1", "2"]),
    ],
)
def test_a_dataclass_has_the_declared_default(make: Make, default: Any) -> None:
    assert make_dataclass("Settings", [("value", Any, make())])().value == default


@pytest.mark.parametrize("make", [lambda: letters(None), lambda: size(None)])
def test_a_required_setting_has_no_default(make: Make) -> None:
    field = make()
    assert (field.default, field.default_factory) == (MISSING, MISSING)


def test_each_instance_has_a_document_of_its_own() -> None:
    made = make_dataclass("Settings", [("value", list, items())])
    assert made().value is not made().value
    assert declaration(items()).parse("3,4") == (["3", "4"], [])


@pytest.mark.parametrize(
    ("make", "default"),
    [
        (lambda: letters("x"), "x"),
        (lambda: size(Size.LARGE), "LARGE"),
        (count, "5"),
        (listed, "5"),
        (on, "true"),
        (lambda: on(False), "false"),
        (share, "2.5"),
    ],
)
def test_a_default_reads_as_a_value_of_the_stacks_file(make: Make, default: str) -> None:
    field = make()
    setting = declaration(field)
    assert setting.default_string == default
    assert setting.parse(default) == (field.default, [])


def test_a_missing_value_is_a_problem_with_the_command_that_sets_it() -> None:
    assert declaration(letters(None)).missing() == Problem(
        "word", "", "letters", "pulumi config set word abc", what="missing value"
    )


@pytest.mark.parametrize(
    ("default", "usable"), [("dflt", "dflt"), ("", None), (None, "A1")], ids=str
)
def test_a_string_must_match_as_a_whole(default: str | None, usable: str | None) -> None:
    parse = declaration(letters(default)).parse
    assert parse("ok") == ("ok", [])
    wrong = Problem("word", "A1", "letters", "use for example abc")
    assert parse("A1") == (usable, [wrong])
    assert parse("a1")[1]


@pytest.mark.parametrize("default", [Size.SMALL, None])
def test_a_choice_is_one_of_its_members_by_value(default: Size | None) -> None:
    parse = declaration(size(default)).parse
    for member in Size:
        value, problems = parse(member.value)
        assert value is member
        assert problems == []
    for raw, fix in (
        ("large", "use LARGE"),
        ("Larger", "use LARGER"),
        ("SMALL", "use small"),
        ("X:HUG", "use x:huge"),
        ("HUGE!", "use x:huge"),
        ("12345", "use small"),
    ):
        assert parse(raw) == (default or Size.LARGE, [Problem("size", raw, ALLOWED_SIZES, fix)])


@pytest.mark.parametrize("default", [True, False])
def test_a_flag_is_true_or_false_in_small_letters(default: bool) -> None:
    parse = declaration(on(default)).parse
    assert parse("true") == (True, [])
    assert parse("false") == (False, [])
    wrong = Problem("on", "True", "true, false", f"use {str(default).lower()}")
    assert parse("True") == (default, [wrong])


@pytest.mark.parametrize(("raw", "value"), [("-2", -2), ("0", 0), ("10", 10), ("0000000007", 7)])
def test_a_whole_number_includes_both_limits(raw: str, value: int) -> None:
    assert declaration(count()).parse(raw) == (value, [])


@pytest.mark.parametrize("raw", ["-3", "11", "1.0", "+1", " 1", "1_0", "００", "00000000007", "x"])
def test_anything_but_a_whole_number_in_range_is_refused(raw: str) -> None:
    wrong = Problem("count", raw, "a whole number from -2 to 10", "use 5")
    assert declaration(count()).parse(raw) == (5, [wrong])


@pytest.mark.parametrize("number", [1, 5, 30])
def test_a_listed_number_is_one_of_the_list(number: int) -> None:
    assert declaration(listed()).parse(str(number)) == (number, [])


@pytest.mark.parametrize("raw", ["2", "05", "1, 5", " 1", "30.0", "x"])
def test_a_number_that_is_not_listed_is_refused(raw: str) -> None:
    assert declaration(listed()).parse(raw) == (5, [Problem("days", raw, "1, 5, 30", "use 30")])


def test_a_number_may_be_a_fraction_and_includes_both_limits() -> None:
    parse = declaration(share(0.5)).parse
    for raw, value in (("0.1", 0.1), ("100000", 1e5), ("1e0", 1.0), ("0.75", 0.75)):
        assert parse(raw) == (value, [])
    for raw in ("0.09", "100000.1", "nan", "inf", "-1", "half", "1,5"):
        wrong = Problem("share", raw, "a number from 0.1 to 100000", "use 0.5")
        assert parse(raw) == (0.5, [wrong])
