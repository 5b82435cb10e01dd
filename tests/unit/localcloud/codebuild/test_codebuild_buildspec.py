"""Parsing of a buildspec, and its phases as a shell runs them."""

import subprocess
from pathlib import Path

import pytest

from localcloud.codebuild.buildspec import BuildspecError, Phase, parse
from localcloud.codebuild.shell import read_variables, script
from tests.unit.components.recording import ROOT

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html"
)

BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
)


@pytest.mark.parametrize(
    "body",
    [
        BOMB + "env: {variables: {A: *a11}}",
        "env: &e {variables: *e}",
        "env: {variables: [A, B]}",
        "env: {variables: text}",
        "env: {variables: {A: [1]}}",
        "env: {variables: {A: {B: c}}}",
        "env: {exported-variables: A}",
        "env: {exported-variables: {A: 1}}",
        "env: {exported-variables: [[A]]}",
        "env: [variables]",
        "artifacts: {files: text}",
        "artifacts: [files]",
        "env: {variables: {A: 0x" + "f" * 20_000 + "}}",
        "env: {variables: {A: 2026-99-99}}",
        "[" * 50_000,
        "env: " + "{a: " * 500 + "}" * 500,
        "phases: {build: [a]}",
        "phases: {build: {commands: {a: b}}}",
        "a: \0",
    ],
)
def test_a_buildspec_that_is_no_buildspec_is_refused(body: str) -> None:
    with pytest.raises(BuildspecError):
        parse(f"version: 0.2\nphases: {{build: {{commands: [x]}}}}\n{body}")


FULL = """
version: 0.2
env:
  variables: {COLOUR: blue, SIZE: 3}
  parameter-store: {KEY: /a/key}
  exported-variables: [TAG]
phases:
  post_build:
    commands: [c]
    finally: [d]
  install:
    runtime-versions: {python: 3.12}
    commands: a
  build:
    on-failure: CONTINUE
    commands: [b]
artifacts:
  files: ['**/*']
  base-directory: out
  discard-paths: yes
"""


def test_phases_run_in_codebuilds_order_whatever_the_files() -> None:
    spec = parse(FULL)
    assert spec.phases == [
        Phase("install", ["a"]),
        Phase("build", ["b"], abort_on_failure=False),
        Phase("post_build", ["c"], ["d"]),
    ]
    assert spec.variables == {"COLOUR": "blue", "SIZE": "3"}
    assert spec.parameters == {"KEY": "/a/key"}
    assert spec.exported == ["TAG"]
    assert (spec.files, spec.base_directory, spec.discard_paths) == (["**/*"], "out", True)


def test_the_models_own_buildspec_is_one_that_can_be_run() -> None:
    spec = parse((ROOT / "model" / "buildspec.yml").read_text())
    assert [phase.name for phase in spec.phases] == ["pre_build", "build", "post_build"]
    assert spec.files == ["image.json"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a", "not a mapping"),
        ("version: [", "YAML_FILE_ERROR"),
        ("version: 0.1\nphases: {build: {commands: a}}", "write 0.2"),
        ("version: 0.2", "phases is missing"),
        ("version: 0.2\nphases: {deploy: {commands: a}}", "deploy in phases is not supported"),
        ("version: 0.2\nphases: {build: {commands: [{a: 1}]}}", "must be a list of strings"),
        ("version: 0.2\ncache: {paths: [a]}\nphases: {build: {commands: a}}", "cache in the build"),
        (
            "version: 0.2\nenv: {secrets-manager: {A: b}}\nphases: {build: {commands: a}}",
            "secrets-manager in env is not supported",
        ),
        ("version: 0.2\nenv: {shell: powershell.exe}\nphases: {build: {commands: a}}", "use bash"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(BuildspecError, match=said):
        parse(text)


def shell(
    commands: list[str], state: Path, replaced_variables: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    file = state / "phase.sh"
    file.write_text(script(commands, state, replaced_variables))
    return subprocess.run(
        ["bash", str(file)], cwd=state, capture_output=True, text=True, check=False, timeout=20
    )


def test_a_phase_begins_where_the_one_before_it_ended(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert (
        shell(["set -euo pipefail", "cd sub", "TAG='a b'", "export X=1"], tmp_path).returncode == 0
    )
    done = shell(['printf "%s|%s|%s" "$TAG" "$X" "$(basename "$PWD")"', "false | true"], tmp_path)
    assert "a b|1|sub" in done.stdout
    # pipefail and -e are still on.
    assert done.returncode == 1


def test_a_command_that_fails_ends_its_phase_with_its_status(tmp_path: Path) -> None:
    done = shell(["echo one", "exit 7", "echo two"], tmp_path)
    assert done.returncode == 7
    assert "[Container] Running command echo one\none\n" in done.stdout
    assert "two" not in done.stdout


def test_a_shell_that_set_e_has_ended_leaves_its_variables_to_post_build(tmp_path: Path) -> None:
    assert shell(["set -eu", "MADE=yes", "echo $NOT_SET"], tmp_path).returncode != 0
    done = shell(
        ['echo "$MADE $CODEBUILD_BUILD_SUCCEEDING"'], tmp_path, {"CODEBUILD_BUILD_SUCCEEDING": "0"}
    )
    assert "yes 0\n" in done.stdout


def test_a_replaced_variable_loses_its_earlier_value(tmp_path: Path) -> None:
    shell(["true"], tmp_path, {"STATE": "1"})
    assert "state 0\n" in shell(['echo "state $STATE"'], tmp_path, {"STATE": "0"}).stdout


def test_quotes_and_lines_reach_the_shell_as_they_are_written(tmp_path: Path) -> None:
    done = shell(['for x in \'a b\' "c"; do\n  echo "<$x>"\ndone'], tmp_path)
    assert "<a b>\n<c>\n" in done.stdout


def test_exported_variables_are_read_from_the_last_shell(tmp_path: Path) -> None:
    shell(["TAG=$'two\\nlines'"], tmp_path)
    file = tmp_path / "read.sh"
    file.write_text(read_variables(["TAG", "NONE"], tmp_path))
    done = subprocess.run(["bash", str(file)], capture_output=True, text=True, check=True)
    assert done.stdout == "TAG=two\nlines\0NONE=\0"
