"""Rules of the tests: none calls another, and none sleeps to see that nothing happens."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]

# Where a test may sleep for a time of its own, and why.
SLEEPS = {
    "cloud.py": "polls; its containers take a while, which is what they are for",
    "api/test_edge.py": "sends the parts of a request apart",
    "api/test_sagemaker.py": "stops a training job at several moments of its start",
    "unit/loadtest/test_loadtest_connection.py": "a server that is slow",
    "unit/loadtest/test_loadtest_exactly.py": "a server that is slow",
    "unit/loadtest/test_loadtest_hosts.py": "a server that is slow",
    "unit/loadtest/test_loadtest_open.py": "a server that stalls",
    "unit/localcloud/core/test_child_process.py": "polls for the end of a process",
    "unit/localcloud/core/test_clock.py": "what a round of a loop takes",
    "unit/localcloud/sagemaker/test_sagemaker_connection.py": (
        "a server that is slow, and lets the loop notice a connection's end"
    ),
    "unit/model/container.py": "polls",
    "unit/model/test_model_fitting.py": "polls",
}


@cache
def trees() -> dict[str, ast.Module]:
    return {
        str(path.relative_to(TESTS)): ast.parse(path.read_text())
        for path in sorted(TESTS.rglob("*.py"))
        if ".venv" not in path.parts
    }


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def test_no_test_calls_another_one() -> None:
    found = [
        f"{file}:{call.lineno} calls {call.func.id}; what both need is a fixture"
        for file, tree in trees().items()
        for call in calls(tree)
        if isinstance(call.func, ast.Name) and call.func.id.startswith("test_")
    ]
    assert found == []


def test_a_test_sleeps_only_where_it_says_why() -> None:
    found = {
        file
        for file, tree in trees().items()
        for call in calls(tree)
        if ast.unparse(call.func) in ("time.sleep", "asyncio.sleep")
        # Of zero seconds, it lets others run.
        and ast.unparse(call.args[0]) != "0"
    }
    assert found - SLEEPS.keys() == set(), (
        "advance the clock, or wait for an event that comes after"
    )


def test_the_files_of_one_run_have_different_names() -> None:
    # pytest imports a test file by its name alone.
    paths = [p for part in ("api", "e2e", "unit") for p in (TESTS / part).rglob("test_*.py")]
    names = [path.name for path in paths]
    assert sorted(set(names)) == sorted(names)
