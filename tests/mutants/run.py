"""Mutates modules with mutmut, runs their unit tests against each mutant, and prints the scores.

    make mutants                                               every module of modules.toml
    make mutants MODULE=localcloud/iam/policy.py               one of them
    make mutants MODULE=model/table.py TESTS=tests/unit/model  any other, with the tests given

Owns the working copy in `build/mutants` and the score: the share of mutants that the tests notice,
without those that `equivalent.toml` lists. Must not: touch the sources in place.

A survivor is printed as an entry of `equivalent.toml` with an empty reason. An entry that matches
no mutant, and one whose mutant a test notices, is an error: the list must not go stale.
"""

from __future__ import annotations

import argparse
import ast
import configparser
import difflib
import json
import os
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
WORK = ROOT / "build" / "mutants"
LEAST_PERCENT = 90
# Exit codes that mutmut keeps: a failed test, a failed import, and time that ran out.
NOTICED = {1, 3, 36, 24, -24, 152, 255}
MUTMUT = HERE / ".venv" / "bin" / "python"


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one function, as lines that `ast.unparse` wrote.

    Attributes:
        before: the lines that the mutant replaces, joined by line breaks.
        after: the lines that it has instead.
    """

    function: str
    before: str
    after: str

    def entry(self, module: str) -> str:
        """Return the mutant as an entry of `equivalent.toml`."""
        lines = [f'[["{module}"]]', f'function = "{self.function}"']
        lines += [f"{name} = {_quoted(getattr(self, name))}" for name in ("before", "after")]
        return "\n".join([*lines, 'reason = ""'])


@dataclass(frozen=True, slots=True)
class Result:
    """The mutants of one module.

    Attributes:
        equivalent: the number of survivors that `equivalent.toml` lists.
        survivors: the other survivors.
        problems: one line for each entry of `equivalent.toml` that is wrong.
    """

    total: int
    equivalent: int
    survivors: tuple[Mutant, ...]
    problems: tuple[str, ...]

    @property
    def percent(self) -> float:
        """Return the score; 100 for a module without mutants."""
        judged = self.total - self.equivalent
        return 100 * (judged - len(self.survivors)) / judged if judged else 100.0


def judge(found: Sequence[tuple[Mutant, bool]], listed: Sequence[dict[str, str]]) -> Result:
    """Return a module's score.

    Args:
        found: each mutant, and whether a test noticed it.
        listed: the module's entries of `equivalent.toml`.
    """
    entries = {Mutant(e["function"], e["before"], e["after"]): e["reason"] for e in listed}
    survivors = [mutant for mutant, noticed in found if not noticed]
    problems = [f"no reason: {mutant}" for mutant, reason in entries.items() if not reason.strip()]
    for mutant in entries:
        if mutant not in {one for one, _ in found}:
            problems.append(f"no such mutant: {mutant}")
        elif mutant not in survivors:
            problems.append(f"a test notices it: {mutant}")
    left = tuple(mutant for mutant in survivors if mutant not in entries)
    return Result(len(found), len(survivors) - len(left), left, tuple(problems))


def without_properties(source: str) -> str:
    """Return a module with `x = property(x)` after each function instead of a decorator.

    mutmut does not mutate decorated functions.
    """
    lines = source.splitlines()
    functions = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
        and [ast.unparse(decorator) for decorator in node.decorator_list] == ["property"]
    ]
    for node in sorted(functions, key=lambda node: node.lineno, reverse=True):
        assert node.end_lineno is not None
        indent = " " * node.col_offset
        lines.insert(node.end_lineno, f"{indent}{node.name} = property({node.name})")
        del lines[node.decorator_list[0].lineno - 1]
    return "\n".join(lines) + "\n"


def difference(original: str, mutant: str) -> tuple[str, str]:
    """Return the lines that differ between two functions, whatever their layout."""
    before, after = (_body(source) for source in (original, mutant))
    changes = difflib.ndiff(before, after)
    marked = [(line[:2], line[2:].strip()) for line in changes]
    return (
        "\n".join(line for mark, line in marked if mark == "- "),
        "\n".join(line for mark, line in marked if mark == "+ "),
    )


def run(module: str, tests: Sequence[str], listed: Sequence[dict[str, str]]) -> Result:
    """Mutate a module and run its tests against each mutant.

    Raises:
        SystemExit: mutmut could not run, for example because a test fails without any mutation.
    """
    copy = WORK / module.removesuffix(".py").replace("/", ".")
    _copy_to(copy)
    mutated = copy / module
    mutated.write_text(without_properties(mutated.read_text()))
    _configure(copy, module, tests)
    environment = {**os.environ, "HYPOTHESIS_PROFILE": "mutants"}
    with (copy / "mutmut.log").open("w") as log:
        status = subprocess.run(
            [MUTMUT, "-m", "mutmut", "run", "--max-children", "1"],
            cwd=copy,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    mutants = _mutants(copy / "mutants" / module)
    if not mutants:
        text = (copy / "mutmut.log").read_text()
        raise SystemExit(f"mutmut ended with {status}:\n{text[-4000:]}")
    return judge(mutants, listed)


def _copy_to(copy: Path) -> None:
    """Copy the files that git tracks or would add, so that the sources here stay unchanged."""
    subprocess.run(["rm", "-rf", copy], check=True)
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())


def _configure(copy: Path, module: str, tests: Sequence[str]) -> None:
    package = module.partition("/")[0]
    others = [path.name for path in copy.iterdir() if path.name not in (package, "tests")]
    settings = configparser.ConfigParser()
    settings["mutmut"] = {
        "source_paths": package,
        "only_mutate": module,
        "also_copy": "\n".join(sorted(others)),
        "pytest_add_cli_args_test_selection": "\n".join(tests),
        "pytest_add_cli_args": "\n".join(["-p", "no:xdist", "-p", "no:cacheprovider"]),
        # The copy is new in each run, so that there are no earlier results to reuse.
        "track_dependencies": "false",
    }
    with (copy / "setup.cfg").open("w") as file:
        settings.write(file)


def _mutants(mutated: Path) -> list[tuple[Mutant, bool]]:
    """Return the mutants that mutmut wrote into a module, and whether a test noticed each."""
    meta = mutated.with_name(f"{mutated.name}.meta")
    if not meta.exists():
        return []
    codes: dict[str, int | None] = json.loads(meta.read_text())["exit_code_by_key"]
    if None in codes.values():
        return []  # it was ended before its end
    functions = _functions(mutated.read_text())
    found: list[tuple[Mutant, bool]] = []
    for key, code in codes.items():
        name = key.rpartition(".")[2]
        stem = name.rpartition("__mutmut_")[0]
        before, after = difference(functions[f"{stem}__mutmut_orig"], functions[name])
        found.append((Mutant(_plain(stem), before, after), code in NOTICED))
    return found


def _plain(mangled: str) -> str:
    """Return the name of a function, or of a class and its method, that mutmut mangled."""
    if mangled.startswith("xǁ"):
        return mangled.removeprefix("xǁ").replace("ǁ", ".")
    return mangled.removeprefix("x_")


def _functions(source: str) -> dict[str, str]:
    return {
        node.name: textwrap.dedent(ast.get_source_segment(source, node, padded=True) or "")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and "__mutmut_" in node.name
    }


def _body(source: str) -> list[str]:
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    function.name = "f"
    return ast.unparse(function).splitlines()


def _quoted(text: str) -> str:
    """Return a TOML string, literal where it can be."""
    if "\n" in text:
        return f"'''\n{text}'''"
    return f"'{text}'" if "'" not in text else json.dumps(text, ensure_ascii=False)


def _settings(name: str) -> dict[str, Any]:
    return tomllib.loads((HERE / name).read_text())


def main(arguments: Sequence[str]) -> int:
    """Print each module's score; return 1 when one is too low, or an entry is not true."""
    parser = argparse.ArgumentParser(description="Mutation scores of modules by their unit tests.")
    parser.add_argument("modules", nargs="*", help="paths from the root; none: all that are listed")
    parser.add_argument("--tests", nargs="+", help="tests of a module that is not listed")
    given = parser.parse_args(arguments)
    known, listed = _settings("modules.toml"), _settings("equivalent.toml")
    bad = False
    for module in given.modules or known:
        if not given.tests and module not in known:
            parser.error(f"{module} is not in modules.toml; give its tests with --tests (TESTS=)")
        result = run(module, given.tests or known[module], listed.get(module, []))
        for mutant in result.survivors:
            print(f"\n{mutant.entry(module)}")
        for problem in result.problems:
            print(f"\nequivalent.toml: {problem}")
        noticed = result.total - result.equivalent - len(result.survivors)
        print(
            f"{module}: {result.percent:.1f} % ({noticed} of {result.total - result.equivalent} "
            f"mutants noticed, {result.equivalent} equivalent)",
            flush=True,
        )
        bad |= result.percent < LEAST_PERCENT or bool(result.problems)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
