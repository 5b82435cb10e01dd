"""The checks of a template with its parameters, before anything is created. Pure.

What AWS knows before the resources exist is evaluated: conditions, mappings, and functions whose
arguments are parameters. What depends on a resource is left to its creation.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/troubleshooting.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from localcloud.cloudformation.dynamic_references import stored_references
from localcloud.cloudformation.functions import IMPORTS_OF_RESOURCES, check_functions
from localcloud.cloudformation.intrinsics import Renderer
from localcloud.cloudformation.parameter_rules import check_rules
from localcloud.cloudformation.references import check_included, check_names, taken
from localcloud.cloudformation.resource_types import HANDLERS
from localcloud.cloudformation.template import (
    SUB,
    Template,
    TemplateError,
    check_export_name,
    creation_order,
    references,
    scalar_text,
)

_UNKNOWN = "{{unknown}}"


def check_template(template: Template) -> None:
    """Check what a template says whatever its parameters are.

    Raises:
        TemplateError: with AWS's text.
    """
    check_functions(template)
    check_names(template)
    _check_attributes(template)
    _check_imports(template)
    creation_order(template)


def check_types(template: Template, values: Mapping[str, Any]) -> None:
    """Refuse a resource of a type that the local cloud does not have.

    A resource that a condition leaves out may be of any type.

    Args:
        template: a template that `check_template` has taken.
        values: the values of parameters and pseudo parameters for Ref.

    Raises:
        TemplateError: with AWS's text for types that do not exist, and the types that do.
    """
    renderer = Renderer(template, values, lambda *_: _UNKNOWN)
    included = [r for name, r in template.resources.items() if renderer.included(name)]
    for attribute in ("CreationPolicy", "UpdatePolicy"):
        wrong = sorted({resource["Type"] for resource in included if attribute in resource})
        if wrong:
            raise TemplateError(
                f"Template error: resource type {', '.join(wrong)} does not support {attribute}"
            )
    unknown = sorted({resource["Type"] for resource in included} - HANDLERS.keys())
    if unknown:
        raise TemplateError(
            f"Template format error: Unrecognized resource types: [{', '.join(unknown)}]. The "
            f"local cloud supports: {', '.join(sorted(HANDLERS))}"
        )


def check_values(template: Template, values: Mapping[str, Any]) -> set[str]:
    """Evaluate what is known before the resources exist; return its references to Parameter Store.

    The references are names, each with or without a version.

    Args:
        template: a template that `check_template` has taken.
        values: the values of parameters and pseudo parameters for Ref.

    Raises:
        TemplateError: with AWS's text.
    """
    return _Evaluation(template, values).run()


class _Evaluation:
    def __init__(self, template: Template, values: Mapping[str, Any]) -> None:
        self._template = template
        self._renderer = Renderer(template, values, self._lookup, self._imported)
        # Whether the value that was rendered last depends on a resource or an export.
        self._unknown = False

    def run(self) -> set[str]:
        document, renderer = self._template.document, self._renderer
        check_rules(self._template, renderer)
        for name in document.get("Conditions", {}):
            renderer.condition(name)
        check_included(self._template, renderer)
        found: set[str] = set()
        for logical_id, resource in self._template.resources.items():
            if renderer.included(logical_id):
                properties = self._check(taken(resource.get("Properties", {}), renderer))
                where = f"{resource['Type']}/Properties"
                found |= stored_references(properties, where)
        for name, output in document.get("Outputs", {}).items():
            if "Condition" in output and not renderer.condition(output["Condition"]):
                continue
            value = self._check(taken(output["Value"], renderer))
            if not self._unknown and not isinstance(value, str | int | float):
                raise TemplateError(
                    "Template format error: The Value field of every Outputs member must evaluate "
                    f"to a String; that of {name} does not."
                )
            if "Export" in output:
                self._check_export(name, taken(output["Export"]["Name"], renderer))
        return found

    def _check_export(self, output: str, declared: Any) -> None:
        if references(declared) & self._template.resources.keys():
            raise TemplateError(
                f"Template error: Output {output}: the Name of an Export must not depend on any "
                "resources"
            )
        name = self._check(declared)
        if not self._unknown:
            check_export_name(output, scalar_text(name))

    def _check(self, value: Any) -> Any:
        """Return a value as far as it is known; a part that is wrong is an error of its own."""
        self._unknown = False
        try:
            return self._renderer.render(value)
        except TemplateError:
            if not self._unknown:
                raise
        found = [self._check(part) for part in _parts(value)]
        self._unknown = True
        return found

    def _lookup(self, logical_id: str, attribute: str | None) -> str:
        del logical_id, attribute
        self._unknown = True
        return _UNKNOWN

    def _imported(self, name: str) -> str:
        del name
        self._unknown = True
        return _UNKNOWN


def _parts(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _check_attributes(template: Template) -> None:
    """Refuse an attribute that a resource's type does not have."""
    blocks = [r.get("Properties", {}) for r in template.resources.values()]
    blocks += [output["Value"] for output in template.document.get("Outputs", {}).values()]
    for block in blocks:
        for logical_id, attribute in _attributes(block):
            resource = template.resources.get(logical_id)
            if resource is None:
                raise TemplateError(
                    "Template error: instance of Fn::GetAtt references undefined resource "
                    f"{logical_id}"
                )
            handler = HANDLERS.get(resource["Type"])
            if handler is None:
                continue
            if not any(re.fullmatch(known, attribute) for known in handler.schema.attributes):
                raise TemplateError(
                    f"Template error: resource {logical_id} does not support attribute type "
                    f"{attribute} in Fn::GetAtt"
                )
            if not any(re.fullmatch(known, attribute) for known in handler.attributes):
                raise TemplateError(
                    f"Template error: the local cloud does not support the attribute {attribute} "
                    f"of {handler.type}; it supports: {', '.join(handler.attributes)}"
                )


def _check_imports(template: Template) -> None:
    """Refuse an export whose name depends on a resource."""
    left: list[Any] = [template.document]
    while left:
        part = left.pop()
        if isinstance(part, list):
            left += part
        elif isinstance(part, dict):
            left += [item for name, item in part.items() if name != "Metadata"]
            if references(part.get("Fn::ImportValue")) & template.resources.keys():
                raise TemplateError(f"Template error: {IMPORTS_OF_RESOURCES}")


def _attributes(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the logical id and the attribute of each Fn::GetAtt, by itself or in Fn::Sub."""
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, list):
            left += part
        elif isinstance(part, dict):
            left += part.values()
            match part.get("Fn::GetAtt"):
                case str(text):
                    logical_id, _, attribute = text.partition(".")
                    yield logical_id, attribute
                case [str(name), str(attribute)]:
                    yield name, attribute
            match part.get("Fn::Sub"):
                case str(text):
                    yield from _substituted(text, {})
                case [str(text), *rest]:
                    yield from _substituted(text, rest[0] if rest else {})


def _substituted(text: str, own: Any) -> Iterator[tuple[str, str]]:
    for literal, name in SUB.findall(text):
        logical_id, dot, attribute = name.strip().partition(".")
        if dot and not literal and name.strip() not in own:
            yield logical_id, attribute
