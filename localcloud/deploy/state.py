"""Stores the state of stacks in the local cloud, so that it lives as long as the resources."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import msgspec

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
    """

    name: str
    resources: list[ResourceState] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)
    replaced: list[ResourceState] = field(default_factory=list)

    def find(self, urn: str) -> ResourceState | None:
        """Return a resource by URN."""
        return next((resource for resource in self.resources if resource.urn == urn), None)


class StateStore:
    """Reads and writes stacks through the local cloud's own HTTP route."""

    def __init__(self, endpoint_url: str) -> None:
        self._base = f"{endpoint_url}/_localcloud/stacks"

    def load(self, name: str) -> StackState:
        """Return a stack; an empty one when it was never deployed."""
        body = self._call("GET", name)
        return msgspec.json.decode(body, type=StackState) if body else StackState(name)

    def save(self, stack: StackState) -> None:
        """Save a stack."""
        self._call("PUT", stack.name, msgspec.json.encode(stack))

    def delete(self, name: str) -> None:
        """Delete the state of a stack."""
        self._call("DELETE", name)

    def names(self) -> list[str]:
        """Return the names of the deployed stacks."""
        found: list[str] = json.loads(self._call("GET", ""))
        return found

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
