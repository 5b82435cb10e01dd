"""Every command has a panel and an example, and each example fits the command."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from localcloud.cli.app import app
from localcloud.cli.help import EXAMPLES, PANELS, complete

pytestmark = pytest.mark.emulator_only

# Commands that print no facts for a program, and why.
WITHOUT_JSON = {
    **dict.fromkeys(("start", "wait", "stop", "reset"), "it says what it did"),
    **dict.fromkeys(("down", "teardown", "connection authorize"), "it says what it did"),
    "init": "it says what it wrote",
    "dev": "it goes on until Ctrl-C",
    "demo": "it writes summary.json",
    "gameday": "it writes gameday.json",
    "invoke": "it prints the endpoint's answer",
    "pulumi": "it passes its arguments on",
    "simulate": "it answers in JSON only",
}


def command() -> Any:
    made = typer.main.get_command(app)
    complete(made)
    return made


def leaves(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield the path of each command that does something, and the command."""
    for name, child in group.commands.items():
        if hasattr(child, "commands"):
            if child.invoke_without_command:
                yield " ".join((*path, name)), child
            yield from leaves(child, (*path, name))
        else:
            yield " ".join((*path, name)), child


COMMANDS = dict(leaves(command()))


def test_every_command_is_in_one_panel() -> None:
    listed = [name for names in PANELS.values() for name in names]
    assert sorted(command().commands) == sorted(listed)


def test_no_example_is_of_a_command_that_is_gone() -> None:
    assert {"", *COMMANDS} == set(EXAMPLES)


@pytest.mark.parametrize("path", COMMANDS)
def test_each_example_can_be_read_by_its_command(path: str) -> None:
    for example in EXAMPLES[path]:
        words = shlex.split(example.partition(" < ")[0])
        depth = len(path.split())
        assert words[:depth] == path.split()
        # Raises an error that says what is wrong with it.
        COMMANDS[path].make_context(path, words[depth:])


@pytest.mark.parametrize("path", COMMANDS)
def test_a_flag_is_not_shown_with_a_value(path: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = COMMANDS[path]
    found.get_help(found.context_class(found, info_name=path))
    shown = capsys.readouterr().out
    assert f"localcloud {EXAMPLES[path][0].split()[0]}" in shown
    assert "<bool>" not in shown
    (usage,) = [line for line in shown.splitlines() if "Usage: " in line]
    assert "{" not in usage


@pytest.mark.parametrize("path", COMMANDS)
def test_what_shows_something_shows_it_as_json(path: str) -> None:
    options = [name for option in COMMANDS[path].params for name in option.opts]
    assert ("--json" in options) == (path not in WITHOUT_JSON)


def test_completion_is_offered_for_every_shell() -> None:
    options = [name for option in command().params for name in option.opts]
    assert {"--install-completion", "--show-completion"} <= set(options)
