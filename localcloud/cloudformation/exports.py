"""The exports and imports of stacks. Pure.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-exports.html
"""

from __future__ import annotations

from collections.abc import Iterable

from localcloud.cloudformation.model import Stack
from localcloud.cloudformation.template import TemplateError


def exports_of(outputs: Iterable[dict[str, str]]) -> dict[str, str]:
    """Return the exported values of outputs, by the name of the export."""
    return {o["ExportName"]: o["OutputValue"] for o in outputs if "ExportName" in o}


def importers(stacks: Iterable[Stack], name: str) -> list[str]:
    """Return the names of the stacks that import an export."""
    return sorted(stack.name for stack in stacks if name in stack.imports)


def value_of(stacks: Iterable[Stack], name: str) -> str:
    """Return the value of an export.

    Raises:
        TemplateError: there is no such export.
    """
    for stack in stacks:
        found = exports_of(stack.outputs).get(name)
        if found is not None:
            return found
    raise TemplateError(f"No export named {name} found.")


def check_exports(stack: Stack, outputs: list[dict[str, str]], stacks: Iterable[Stack]) -> None:
    """Refuse outputs that export the name of another stack, or change an export in use.

    Args:
        stack: the stack of the outputs.
        outputs: the new outputs; empty for a stack that is deleted.
        stacks: the existing stacks of the account and region.

    Raises:
        TemplateError: names the export and the other stack.
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
