"""The parser of buildspecs. Pure. A feature that is not supported here is refused by name.

Source: https://docs.aws.amazon.com/codebuild/latest/userguide/build-spec-ref.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from localcloud.core.bounded_yaml import YamlError, load

PHASES = ("install", "pre_build", "build", "post_build")
_TOP = {"version", "env", "phases", "artifacts"}
_ENV = {"shell", "variables", "exported-variables", "parameter-store"}
_PHASE = {"commands", "finally", "on-failure"}
_ARTIFACTS = {"files", "base-directory", "discard-paths", "name"}


class BuildspecError(ValueError):
    """A buildspec that is not valid, or that uses a feature which is not supported here."""


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: its commands, and the `finally` commands that run in any case."""

    name: str
    commands: list[str]
    at_last: list[str] = field(default_factory=list)
    abort_on_failure: bool = True


@dataclass(frozen=True, slots=True)
class Buildspec:
    """A parsed buildspec.

    Attributes:
        phases: in the order in which CodeBuild runs them.
        variables: plain environment variables.
        parameters: environment variables whose values are in SSM parameters.
        exported: variables for later actions of a pipeline.
        files: patterns of the artifact's files, relative to the base directory.
    """

    phases: list[Phase]
    variables: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    exported: list[str] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    base_directory: str = "."
    discard_paths: bool = False


def parse(text: str) -> Buildspec:
    """Parse a buildspec.

    Raises:
        BuildspecError: it is not valid, or uses a feature which is not supported here.
    """
    try:
        document = load(text)
    except YamlError as error:
        raise BuildspecError(f"YAML_FILE_ERROR: {error}") from None
    if not isinstance(document, dict):
        raise BuildspecError("YAML_FILE_ERROR: the buildspec is not a mapping")
    _only(document, _TOP, "the buildspec")
    if str(document.get("version")) != "0.2":
        raise BuildspecError(f"version {document.get('version')!r} is not supported; write 0.2")
    env = document.get("env") or {}
    _only(env, _ENV, "env")
    if env.get("shell", "bash") not in ("bash", "sh"):
        raise BuildspecError(f"env.shell {env['shell']!r} is not supported locally; use bash")
    declared = document.get("phases")
    if not isinstance(declared, dict) or not declared:
        raise BuildspecError("YAML_FILE_ERROR: phases is missing")
    _only(declared, set(PHASES), "phases")
    artifacts = document.get("artifacts") or {}
    _only(artifacts, _ARTIFACTS, "artifacts")
    return Buildspec(
        phases=[_phase(name, declared[name] or {}) for name in PHASES if name in declared],
        variables=_texts(env.get("variables"), "env.variables"),
        parameters=_texts(env.get("parameter-store"), "env.parameter-store"),
        exported=_scalars(env.get("exported-variables"), "env.exported-variables"),
        files=_scalars(artifacts.get("files"), "artifacts.files"),
        base_directory=str(artifacts.get("base-directory", ".")),
        discard_paths=str(artifacts.get("discard-paths", "no")).lower() in ("yes", "true"),
    )


def _phase(name: str, declared: dict[str, Any]) -> Phase:
    # runtime-versions has no effect: the programs are those of this machine.
    _only(declared, {*_PHASE, "runtime-versions"}, f"phases.{name}")
    return Phase(
        name,
        _commands(declared.get("commands"), f"phases.{name}.commands"),
        _commands(declared.get("finally"), f"phases.{name}.finally"),
        str(declared.get("on-failure", "ABORT")) != "CONTINUE",
    )


def _commands(value: Any, where: str) -> list[str]:
    if value is None:
        return []
    found = [value] if isinstance(value, str) else value
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise BuildspecError(f"YAML_FILE_ERROR: {where} must be a list of strings")
    return found


def _texts(value: Any, where: str) -> dict[str, str]:
    if not isinstance(value or {}, dict):
        raise BuildspecError(f"YAML_FILE_ERROR: {where} must be a mapping")
    return {_text(key, where): _text(item, where) for key, item in (value or {}).items()}


def _scalars(value: Any, where: str) -> list[str]:
    if not isinstance(value or [], list):
        raise BuildspecError(f"YAML_FILE_ERROR: {where} must be a list")
    return [_text(item, where) for item in value or []]


def _text(value: Any, where: str) -> str:
    if isinstance(value, dict | list | set | tuple | bytes):
        kind = type(value).__name__
        raise BuildspecError(f"YAML_FILE_ERROR: {where} must have strings, not a {kind}")
    try:
        return str(value)
    except ValueError:  # an integer of thousands of digits
        raise BuildspecError(f"YAML_FILE_ERROR: {where} has a number that is too large") from None


def _only(mapping: Any, known: set[str], where: str) -> None:
    if not isinstance(mapping, dict):
        raise BuildspecError(f"YAML_FILE_ERROR: {where} must be a mapping")
    unknown = sorted(str(key) for key in set(mapping) - known)
    if unknown:
        raise BuildspecError(f"{', '.join(unknown)} in {where} is not supported locally")
