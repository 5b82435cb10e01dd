"""Stores the state of stacks in the local cloud, so that it lives as long as the resources."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import msgspec

from localcloud.aws.routing import DEFAULT_ACCOUNT
from localcloud.deploy.errors import DeployError


@dataclass(frozen=True, slots=True)
class Options:
    """The resource options that a deployment supports.

    Source: https://www.pulumi.com/docs/iac/concepts/options/
    """

    protect: bool = False
    retain_on_delete: bool = False
    delete_before_replace: bool = False
    ignore_changes: tuple[str, ...] = ()
    replace_on_changes: tuple[str, ...] = ()


@dataclass(slots=True)
class ResourceState:
    """One resource as last deployed.

    Attributes:
        secrets: names of the inputs that must not be shown.
        dependencies: for each input, the URNs from which its value came.
        depends_on: every URN on which the resource depends.
    """

    urn: str
    type: str
    name: str
    id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    options: Options = field(default_factory=Options)
    secrets: list[str] = field(default_factory=list)
    dependencies: dict[str, list[str]] = field(default_factory=dict)
    depends_on: list[str] = field(default_factory=list)


@dataclass(slots=True)
class StackState:
    """A stack: its resources in order of creation, and its outputs.

    Attributes:
        replaced: old resources whose replacement exists and that are still to be deleted; the next
            run deletes those that an interrupted run leaves.
        project: the name of the project, from Pulumi.yaml.
        secret_outputs: the names of the outputs that must not be shown.
        account: the account in which its resources are, 12 digits.
    """

    name: str
    resources: list[ResourceState] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    replaced: list[ResourceState] = field(default_factory=list)
    project: str = ""
    secret_outputs: list[str] = field(default_factory=list)
    account: str = DEFAULT_ACCOUNT

    @property
    def shown_outputs(self) -> dict[str, Any]:
        """Return the outputs with `[secret]` in place of secret values, as Pulumi shows them."""
        return {
            key: "[secret]" if key in self.secret_outputs else value
            for key, value in self.outputs.items()
        }

    def find(self, urn: str) -> ResourceState | None:
        """Return a resource by URN."""
        return next((resource for resource in self.resources if resource.urn == urn), None)


class StateStore:
    """Reads and writes stacks through the local cloud's own HTTP route.

    A stack belongs to a project: two projects may each have a stack `dev`.
    """

    def __init__(self, endpoint_url: str) -> None:
        self._base = f"{endpoint_url}/_localcloud/stacks"

    def load(self, project: str, name: str) -> StackState:
        """Return a stack; an empty one when it was never deployed."""
        body = self._call("GET", f"{project}/{name}")
        if not body:
            return StackState(name, project=project)
        state = msgspec.json.decode(body, type=StackState)
        state.project = project
        return state

    def save(self, stack: StackState) -> None:
        """Save a stack."""
        self._call("PUT", f"{stack.project}/{stack.name}", msgspec.json.encode(stack))

    def delete(self, stack: StackState) -> None:
        """Delete the state of a stack."""
        self._call("DELETE", f"{stack.project}/{stack.name}")

    def names(self) -> list[tuple[str, str]]:
        """Return the project and the name of each deployed stack."""
        found: list[str] = json.loads(self._call("GET", ""))
        return [(project, name) for project, _, name in (key.partition("/") for key in found)]

    def project_of(self, name: str, here: str | None) -> str:
        """Return the project of a stack that a command names without one.

        Args:
            name: the name of the stack.
            here: the project of the working directory; None outside of a project.

        Raises:
            DeployError: several other projects have a stack of this name.
        """
        projects = sorted(project for project, stack in self.names() if stack == name)
        if here is not None and (here in projects or not projects):
            return here
        if len(projects) == 1:
            return projects[0]
        if not projects:
            return here or ""
        raise DeployError(
            f"the stack {name} exists in the projects {', '.join(projects)}: run this in the "
            "directory of one of them"
        )

    def _call(self, method: str, name: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - the local cloud's own http address
            f"{self._base}/{name}" if name else self._base, data=body, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                content: bytes = answer.read()
                return content
        except urllib.error.HTTPError as error:
            if error.code == 404 and method != "PUT":
                return b""
            raise DeployError(f"the stack state could not be read or written: {error}") from None
        except OSError as error:
            raise DeployError(
                f"no local cloud answers at {self._base.rsplit('/', 2)[0]} "
                f"({getattr(error, 'reason', error)}); "
                "start it with: localcloud start"
            ) from None
