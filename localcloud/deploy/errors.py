"""Errors of a deployment; each is one clear text for the person at the terminal.

DeployError
├── ProjectError     no project, no such stack, or a file that cannot be read
├── ResourceError    a resource could not be made, changed or deleted
├── ProtectedError   a protected resource would be deleted or replaced
└── ProgramError     the program itself failed
"""


class DeployError(Exception):
    """A deployment that did not work."""


class ProjectError(DeployError):
    """The project's files are not what they must be."""


class ResourceError(DeployError):
    """AWS's API refused, or the type is not supported."""


class ProtectedError(DeployError):
    """Pulumi's `protect` forbids what was asked for; nothing was deleted."""


class ProgramError(DeployError):
    """The Pulumi program raised."""
