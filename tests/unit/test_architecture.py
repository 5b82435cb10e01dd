"""The boundaries between the packages, checked in every import and call of the tree."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("components", "lambda_src", "loadtest", "localcloud", "model", "notebooks", "policy")
PROGRAM = "__main__.py"

# package → the packages of this tree that it must never import.
FORBIDDEN = {
    "components": {"localcloud", "model", "lambda_src", "loadtest", "policy"},
    "localcloud": {"components", "model", "lambda_src", "loadtest"},
    "lambda_src": {"components", "localcloud", "model", "loadtest"},
    "model": {"components", "localcloud", "lambda_src", "loadtest"},
    "loadtest": {"components", "localcloud", "lambda_src", "model"},
    # A learner's code: boto3 and command lines, in an environment that has none of these.
    "notebooks": {"components", "localcloud", "model", "lambda_src", "loadtest", "policy"},
    # Run by Pulumi in an environment that has none of these.
    "policy": {"components", "localcloud", "lambda_src", "model", "loadtest", "pulumi"},
}
TIME_CALLS = {
    "time.sleep",
    "time.time",
    "time.monotonic",
    "time.perf_counter",
    "asyncio.sleep",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
}
# Where the local cloud may read the machine's clock or sleep by it, and why.
TIME_ALLOWED = {
    "localcloud/core/clock.py": "the one source of time",
    "localcloud/core/child_process.py": "waits for real processes",
    "localcloud/cli/monitored.py": "a client: it polls the cloud",
    "localcloud/cli/demo_watch.py": "a client: it polls the cloud",
    "localcloud/cli/demo.py": "a client: it polls the cloud and measures for the reader",
    "localcloud/cli/watch.py": "a client: it polls the cloud",
    "localcloud/cli/pipeline.py": "a client: it measures for the reader",
    "localcloud/review/delivery.py": "a client: it polls the cloud",
    "localcloud/cli/own_cloud.py": "waits for the process that it started",
    "localcloud/cli/server.py": "a client: it waits for a cloud to answer, or to end",
    "localcloud/cli/logs.py": "a client: it follows a log",
    "localcloud/cli/views.py": "a client: it polls the cloud",
    "localcloud/gameday/load.py": "a client: it measures what the cloud answers",
    "localcloud/gameday/run.py": "a client: it measures how long a fault lasts",
    "localcloud/gameday/supervisor.py": "a client: it waits for the cloud's process",
    "localcloud/gameday/work.py": "a client: it polls the cloud",
}
PRINT_ALLOWED = (
    "localcloud/cli/",
    "localcloud/edge/server.py",
    # For the command lines that a build runs.
    "localcloud/codebuild/tools.py",
)
UNSAFE = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
# It reads the local cloud's own file by an allow-list of types; a test feeds it a hostile one.
UNSAFE_ALLOWED = {"localcloud/moto_backend/persistence/pickling.py": {"pickle"}}
LINES = 450


def sources(package: str) -> list[Path]:
    found = (ROOT / package).rglob("*.py")
    return sorted(path for path in found if ".venv" not in path.parts)


def everything() -> list[Path]:
    return [ROOT / PROGRAM, *(path for package in PACKAGES for path in sources(package))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), str(path))


def imports(path: Path) -> Iterator[str]:
    """Return the full name of every module or member that a file imports, wherever it does."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = list(path.relative_to(ROOT).parent.parts)
            base = parts[: len(parts) - node.level + 1] if node.level else []
            prefix = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{prefix}.{alias.name}" for alias in node.names)
        elif (
            isinstance(node, ast.Call)
            and _dotted(node.func) in {"importlib.import_module", "__import__"}
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield str(node.args[0].value)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(path: Path) -> Iterator[str]:
    """Return the full name of every function that a file calls by an imported or built-in name."""
    names: dict[str, str] = {}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            names |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            first, dot, rest = _dotted(node.func).partition(".")
            yield names.get(first, first) + dot + rest


def packages_of(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imports(path)}


def test_every_package_is_looked_at() -> None:
    assert [] == [package for package in PACKAGES if not sources(package)]
    assert set(PACKAGES) == set(FORBIDDEN)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_it_may(package: str) -> None:
    found = {name_of(path): packages_of(path) & FORBIDDEN[package] for path in sources(package)}
    assert {} == {path: names for path, names in found.items() if names}


def test_nothing_imports_the_tests_or_the_benchmarks() -> None:
    found = {name_of(path): packages_of(path) & {"tests", "benchmarks"} for path in everything()}
    assert {} == {path: names for path, names in found.items() if names}


def test_the_program_is_wired_from_components_alone() -> None:
    known = set(PACKAGES) - {"components"}
    assert set() == packages_of(ROOT / PROGRAM) & known


def test_lambda_functions_import_what_the_runtime_has() -> None:
    runtime = {*sys.stdlib_module_names, "boto3", "botocore", "lambda_src"}
    found = {name_of(path): packages_of(path) - runtime for path in sources("lambda_src")}
    assert {} == {path: names for path, names in found.items() if names}


def test_the_local_cloud_takes_its_time_from_the_clock() -> None:
    found = {name_of(path): set(calls(path)) & TIME_CALLS for path in sources("localcloud")}
    assert {} == {p: names for p, names in found.items() if names and p not in TIME_ALLOWED}


def test_no_exception_for_time_outlives_its_use() -> None:
    used = {name_of(p) for p in sources("localcloud") if set(calls(p)) & TIME_CALLS}
    assert {"localcloud/core/child_process.py"} >= set(TIME_ALLOWED) - used


def test_nothing_loads_what_can_run_code() -> None:
    found = {name_of(path): packages_of(path) & UNSAFE for path in everything()}
    assert UNSAFE_ALLOWED == {path: names for path, names in found.items() if names}


def test_the_local_cloud_prints_only_in_its_commands() -> None:
    found = {name_of(path) for path in sources("localcloud") if "print" in set(calls(path))}
    assert [] == sorted(p for p in found if not p.startswith(PRINT_ALLOWED))


def test_a_file_of_the_local_cloud_fits_in_a_head() -> None:
    lengths = {name_of(p): len(p.read_text().splitlines()) for p in sources("localcloud")}
    long = {path for path, lines in lengths.items() if lines >= LINES}
    assert set() == long


def _import_arrows() -> dict[str, set[str]]:
    """Return module → modules of this tree that it imports when it is imported itself."""
    names = {
        name_of(path)[:-3].replace("/", ".").removesuffix(".__init__") for path in everything()
    }
    arrows: dict[str, set[str]] = {}
    for path in everything():
        module = name_of(path)[:-3].replace("/", ".").removesuffix(".__init__")
        arrows[module] = set()
        for node in tree(path).body:
            if not isinstance(node, ast.ImportFrom) or node.module is None:
                continue
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                target = full if full in names else node.module
                if target in names and target != module:
                    arrows[module].add(target)
    return arrows


def test_modules_do_not_import_one_another_in_circles() -> None:
    arrows = _import_arrows()
    assert len(arrows) > 250, "the imports are not read any more"
    try:
        list(TopologicalSorter(arrows).static_order())
    except CycleError as error:
        pytest.fail(f"an import circle: {' -> '.join(error.args[1])}")
