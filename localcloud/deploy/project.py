"""Reads the configuration of a run from Pulumi.yaml and Pulumi.<stack>.yaml."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from localcloud.deploy.errors import ProjectError
from localcloud.project.files import missing


@dataclass(frozen=True, slots=True)
class Project:
    """A Pulumi project and one of its stacks.

    Attributes:
        configuration: maps `namespace:key` to the value that the program reads.
    """

    directory: Path
    name: str
    stack: str
    configuration: dict[str, str]

    @property
    def main(self) -> Path:
        """Return the path of the program."""
        return self.directory / "__main__.py"


def project_name(directory: Path) -> str | None:
    """Return the name of the project in a directory, or None if there is none."""
    file = directory / "Pulumi.yaml"
    name = _read(file).get("name") if file.exists() else None
    return name if isinstance(name, str) else None


def load(directory: Path, stack: str, overrides: Mapping[str, str] | None = None) -> Project:
    """Read a project and a stack's configuration.

    Args:
        directory: the project's directory.
        stack: name of the stack, whose file overrides the project's defaults.
        overrides: settings that override both, for this run only.

    Raises:
        ProjectError: a file is missing, is invalid or has an encrypted value.
    """
    project_file = directory / "Pulumi.yaml"
    problem = missing(directory)
    if problem:
        raise ProjectError(problem)
    stack_file = directory / f"Pulumi.{stack}.yaml"
    if not stack_file.exists():
        known = sorted(p.name.split(".")[1] for p in directory.glob("Pulumi.*.yaml"))
        raise ProjectError(
            f"there is no stack '{stack}' (no {stack_file.name}); the stacks are: "
            f"{', '.join(known) or 'none'}"
        )
    document = _read(project_file)
    name = document.get("name")
    if not isinstance(name, str):
        raise ProjectError("Pulumi.yaml has no name")
    configuration: dict[str, str] = {}
    for key, declared in (document.get("config") or {}).items():
        value = (
            declared.get("default", declared.get("value"))
            if isinstance(declared, dict)
            else (declared)
        )
        if value is not None:
            configuration[_qualified(name, key)] = _text(value)
    for key, value in (_read(stack_file).get("config") or {}).items():
        if isinstance(value, dict) and set(value) == {"secure"}:
            raise ProjectError(
                f"{stack_file.name}: {key} is encrypted, which only the Pulumi CLI can read; "
                "give this stack a plain value for local use"
            )
        configuration[_qualified(name, key)] = _text(value)
    for key, value in (overrides or {}).items():
        configuration[_qualified(name, key)] = value
    return Project(directory, name, stack, configuration)


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ProjectError(f"{path.name} is not YAML: {error}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ProjectError(f"{path.name} must contain a mapping")
    return document


def _qualified(project: str, key: str) -> str:
    return key if ":" in key else f"{project}:{key}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)
