"""Errors of a deployment; each is one clear message for the person at the terminal.

DeployError
├── ProjectError     there is no project or no such stack, or a file cannot be read
├── ResourceError    a resource could not be created, updated or deleted
│   └── IncompleteError   a resource was created, but a setting of it was refused
├── ProtectedError   a protected resource would be deleted or replaced
└── ProgramError     the program itself failed
"""

from __future__ import annotations

from typing import Any


class DeployError(Exception):
    """The deployment failed."""


class ProjectError(DeployError):
    """A file of the project is missing or invalid."""


class ResourceError(DeployError):
    """The API rejected a request, or localcloud does not support the type or an input."""


class IncompleteError(ResourceError):
    """A resource exists, but a call after its creation failed; the next deployment updates it.

    Args:
        id_: the resource's id.
        outputs: what it has so far.
        reason: the error of the call.
    """

    def __init__(self, id_: str, outputs: dict[str, Any], reason: Exception) -> None:
        super().__init__(f"{id_} was created, but not all of it: {reason}")
        self.id, self.outputs = id_, outputs


class ProtectedError(DeployError):
    """A resource has the option `protect`; nothing was deleted."""


class ProgramError(DeployError):
    """The Pulumi program raised an exception."""


def is_gone(error: Exception) -> bool:
    """Return whether an error says that the resource no longer exists."""
    code = getattr(error, "response", {}).get("Error", {}).get("Code", "")
    text = str(error)
    # The answer to a HEAD has no body, and so no code but its status.
    return code == "404" or any(word in text for word in ("NoSuch", "NotFound", "does not exist"))
