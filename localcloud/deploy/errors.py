"""Errors of a deployment; each is one clear message for the person at the terminal.

DeployError
├── ProjectError     there is no project or no such stack, or a file cannot be read
├── ResourceError    a resource could not be created, updated or deleted
├── ProtectedError   a protected resource would be deleted or replaced
└── ProgramError     the program itself failed
"""


class DeployError(Exception):
    """The deployment failed."""


class ProjectError(DeployError):
    """A file of the project is missing or invalid."""


class ResourceError(DeployError):
    """The API rejected a request, or localcloud does not support the type or an input."""


class ProtectedError(DeployError):
    """A resource has the option `protect`; nothing was deleted."""


class ProgramError(DeployError):
    """The Pulumi program raised an exception."""
