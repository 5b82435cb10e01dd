"""Outputs that stacks share: who exports a name, who imports it. Pure.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html
"""

from __future__ import annotations

from collections.abc import Iterable

from localcloud.cloudformation.model import Stack
from localcloud.cloudformation.template import TemplateError


def exports_of(outputs: Iterable[dict[str, str]]) -> dict[str, str]:
    """Return value by name of what outputs export."""
    return {o["ExportName"]: o["OutputValue"] for o in outputs if "ExportName" in o}


def importers(stacks: Iterable[Stack], name: str) -> list[str]:
    """Return the names of the stacks that import an export."""
    return sorted(stack.name for stack in stacks if name in stack.imports)


def value_of(stacks: Iterable[Stack], name: str) -> str:
    """Return the value of an export.

    Raises:
        TemplateError: there is none.
    """
    for stack in stacks:
        found = exports_of(stack.outputs).get(name)
        if found is not None:
            return found
    raise TemplateError(f"No export named {name} found.")


def check_exports(stack: Stack, outputs: list[dict[str, str]], stacks: Iterable[Stack]) -> None:
    """Refuse outputs that take another stack's export, or change one that is in use.

    Args:
        stack: whose outputs they will be; what it exports now is compared.
        outputs: as they shall be; none for a stack that goes.
        stacks: of the account and region that are there.

    Raises:
        TemplateError: with the export and the stack in the way.
    """
    others = [other for other in stacks if other.id != stack.id]
    wanted = exports_of(outputs)
    names = [output["ExportName"] for output in outputs if "ExportName" in output]
    for name in sorted({name for name in names if names.count(name) > 1}):
        raise TemplateError(f"Export with name {name} is exported twice.")
    for other in others:
        for name in sorted(exports_of(other.outputs).keys() & wanted.keys()):
            raise TemplateError(
                f"Export with name {name} is already exported by stack {other.name}."
            )
    for name, value in exports_of(stack.outputs).items():
        users = importers(others, name)
        if users and wanted.get(name) != value:
            what = "updated" if name in wanted else "deleted"
            raise TemplateError(
                f"Export {name} cannot be {what} as it is in use by {' and '.join(users)}."
            )
