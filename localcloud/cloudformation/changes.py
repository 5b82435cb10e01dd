"""The list of changes of a change set: the effect of an update on each resource. Pure.

Like the engine, it modifies a resource if its rendered properties differ from the current ones. A
value that is known only after another resource was created or replaced is KNOWN_AFTER_APPLY. A
property with such a value is `Dynamic`, and a replacement that depends on it is `Conditional`.

    RequiresRecreation Always, Evaluation Static  ──► Replacement True
    RequiresRecreation Always, Evaluation Dynamic ──► Replacement Conditional
    anything else                                 ──► Replacement False

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ResourceChange.html
Differs: assumes that the attributes of a resource do not change when it is modified in place. A
changed parameter gives one detail, where AWS adds a Dynamic DirectModification.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.cloudformation.intrinsics import Imported, Renderer
from localcloud.cloudformation.model import StackResource
from localcloud.cloudformation.resource_types.nested_stack import NESTED
from localcloud.cloudformation.template import (
    RETAINING,
    Template,
    TemplateError,
    creation_order,
    references,
)

KNOWN_AFTER_APPLY = "{{changeSet:KNOWN_AFTER_APPLY}}"
# The attributes of a resource besides its properties; a change of these never replaces it.
_ATTRIBUTES = (
    "CreationPolicy",
    "DeletionPolicy",
    "Metadata",
    "UpdatePolicy",
    "UpdateReplacePolicy",
)

Change = dict[str, Any]
_Detail = dict[str, Any]


@dataclass(frozen=True, slots=True)
class CurrentStack:
    """The stack as it is; empty for a new stack."""

    template: Template | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    resources: Mapping[str, StackResource] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DesiredStack:
    """The stack as it should become.

    Attributes:
        values: parameters and pseudo parameters, in the form that a Renderer takes.
        imported: returns the value of an export by its name.
        adapted: takes a resource type, a property and its value; returns what the resource will
            have, with the tags of the stack and the values of dynamic references.
    """

    template: Template
    parameters: Mapping[str, str]
    values: Mapping[str, Any]
    imported: Imported | None = None
    adapted: Callable[[str, str, Any], Any] = lambda kind, name, value: value


def changes(
    deployed: CurrentStack, wanted: DesiredStack, recreates: Callable[[str, str], bool]
) -> list[Change]:
    """Return ResourceChange structures: additions and modifications in order, then removals.

    Args:
        deployed: the current stack.
        wanted: the desired stack.
        recreates: returns whether a change of a resource type's property replaces the resource.

    Raises:
        TemplateError: the template cannot be evaluated with these parameters.
    """
    return _Comparison(deployed, wanted, recreates).run()


class _Comparison:
    def __init__(
        self, deployed: CurrentStack, wanted: DesiredStack, recreates: Callable[[str, str], bool]
    ) -> None:
        self._current_stack = deployed
        self._template = wanted.template
        self._recreates = recreates
        self._adapted = wanted.adapted
        self._renderer = Renderer(wanted.template, wanted.values, self._lookup, wanted.imported)
        self._changed_parameters = {
            name
            for name, value in wanted.parameters.items()
            if deployed.parameters.get(name) != value
        }
        # Resources whose Ref and attributes are not known before they exist.
        self._unknown: set[str] = set()
        # The dependencies of the value that was rendered last, as (logical id, attribute).
        self._touched: dict[tuple[str, str | None], None] = {}

    def run(self) -> list[Change]:
        found: list[Change] = []
        kept: set[str] = set()
        for logical_id in creation_order(self._template):
            if not self._renderer.included(logical_id):
                continue
            kept.add(logical_id)
            current = self._current_stack.resources.get(logical_id)
            if current is None or not current.physical_id:
                self._unknown.add(logical_id)
                added = self._template.resources[logical_id]
                for value in added.get("Properties", {}).values():
                    self._value(value)  # an import of nothing is an error
                found.append(_change("Add", logical_id, added["Type"]))
                continue
            change = self._modification(current) or self._nested(current)
            if change is not None:
                found.append(change)
        removed = [r for name, r in self._current_stack.resources.items() if name not in kept]
        for resource in reversed(removed):
            change = _change("Remove", resource.logical_id, resource.type, resource.physical_id)
            policy = "Retain" if resource.deletion_policy in RETAINING else "Delete"
            found.append(change | {"PolicyAction": policy})
        return found

    def _modification(self, current: StackResource) -> Change | None:
        name = current.logical_id
        declared = self._template.resources[name]
        details = [*self._property_details(current), *self._attribute_details(name)]
        other_type = declared["Type"] != current.type
        if not details and not other_type:
            return None
        always = [d["Evaluation"] for d in details if _recreation(d) == "Always"]
        if other_type or "Static" in always:
            replacement = "True"
        else:
            replacement = "Conditional" if always else "False"
        if replacement != "False":
            self._unknown.add(name)
        change = _change("Modify", name, declared["Type"], current.physical_id)
        change |= {
            "Replacement": replacement,
            "Scope": sorted({detail["Target"]["Attribute"] for detail in details}),
            "Details": details,
        }
        if replacement == "False":
            return change
        kept = declared.get("UpdateReplacePolicy") == "Retain"
        return change | {"PolicyAction": "ReplaceAndRetain" if kept else "ReplaceAndDelete"}

    def _nested(self, current: StackResource) -> Change | None:
        """Return the change of a nested stack, whose template may have changed at its URL."""
        if current.type != NESTED:
            return None
        target = {"Attribute": "Properties", "RequiresRecreation": "Never"}
        details = [_detail(target, "Dynamic", "Automatic")]
        change = _change("Modify", current.logical_id, current.type, current.physical_id)
        return change | {"Replacement": "False", "Scope": ["Properties"], "Details": details}

    def _property_details(self, current: StackResource) -> list[_Detail]:
        after = self._template.resources[current.logical_id]
        declared = after.get("Properties", {})
        before = self._before(current.logical_id).get("Properties", {})
        found: list[_Detail] = []
        for name in dict.fromkeys([*declared, *current.properties, "Tags"]):
            value = self._value(declared.get(name))
            value = self._adapted(after["Type"], name, value)
            old = current.properties.get(name)
            if value == old and not self._touched:
                continue
            target = _target(name, old, value)
            recreated = self._recreates(after["Type"], name)
            target["RequiresRecreation"] = "Always" if recreated else "Never"
            found += self._causes(target, declared.get(name), before.get(name))
        return found

    def _causes(self, target: dict[str, Any], declared: Any, before: Any) -> list[_Detail]:
        """Return the details of a property, one for each reason of its change."""
        evaluation = "Dynamic" if self._touched else "Static"
        found: list[_Detail] = []
        if declared != before:
            found.append(_detail(target, evaluation, "DirectModification"))
        for name in sorted(self._parameters_of(declared) & self._changed_parameters):
            found.append(_detail(target, evaluation, "ParameterReference", name))
        for logical_id, attribute in self._touched:
            if attribute is None:
                found.append(_detail(target, "Dynamic", "ResourceReference", logical_id))
            else:
                entity = f"{logical_id}.{attribute}"
                found.append(_detail(target, "Dynamic", "ResourceAttribute", entity))
        # A mapping or a condition has another value now.
        return found or [_detail(target, evaluation, "DirectModification")]

    def _attribute_details(self, logical_id: str) -> list[_Detail]:
        before, after = self._before(logical_id), self._template.resources[logical_id]
        return [
            _detail(
                {"Attribute": name, "RequiresRecreation": "Never"}, "Static", "DirectModification"
            )
            for name in _ATTRIBUTES
            if before.get(name) != after.get(name)
        ]

    def _value(self, declared: Any) -> Any:
        """Return a property's value, and set `_touched` to its dependencies.

        Raises:
            TemplateError: the value cannot be rendered, even after the resources exist.
        """
        self._touched = {}
        try:
            return None if declared is None else self._renderer.render(declared)
        except TemplateError:
            if not self._touched:
                raise
            return KNOWN_AFTER_APPLY

    def _lookup(self, logical_id: str, attribute: str | None) -> str:
        resource = self._current_stack.resources.get(logical_id)
        if resource is None or logical_id in self._unknown:
            self._touched[logical_id, attribute] = None
            return KNOWN_AFTER_APPLY
        if attribute is None:
            return resource.physical_id
        if attribute not in resource.attributes:
            raise TemplateError(
                f"Template error: resource {logical_id} does not support attribute type "
                f"{attribute} in Fn::GetAtt"
            )
        return resource.attributes[attribute]

    def _parameters_of(self, declared: Any) -> set[str]:
        """Return the names that a value refers to, directly or by its conditions."""
        conditions = self._template.document.get("Conditions", {})
        names = references(declared)
        pending, seen = _conditions(declared), set[str]()
        while pending - seen:
            name = (pending - seen).pop()
            seen.add(name)
            names |= references(conditions.get(name))
            pending |= _conditions(conditions.get(name))
        return names

    def _before(self, logical_id: str) -> dict[str, Any]:
        template = self._current_stack.template
        return template.resources.get(logical_id, {}) if template is not None else {}


def _conditions(value: Any) -> set[str]:
    """Return the conditions that a value refers to by Fn::If or Condition."""
    found: set[str] = set()
    if isinstance(value, list):
        for item in value:
            found |= _conditions(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Fn::If" and isinstance(item, list) and item:
                found.add(str(item[0]))
            elif key == "Condition" and isinstance(item, str):
                found.add(item)
            found |= _conditions(item)
    return found


def _change(action: str, logical_id: str, kind: str, physical_id: str = "") -> Change:
    return {
        "Action": action,
        "LogicalResourceId": logical_id,
        "PhysicalResourceId": physical_id or None,
        "ResourceType": kind,
        "Scope": [],
        "Details": [],
    }


def _target(name: str, before: Any, after: Any) -> dict[str, Any]:
    target = {
        "Attribute": "Tags" if name == "Tags" else "Properties",
        "Name": None if name == "Tags" else name,
        "Path": f"/Properties/{name}",
        "BeforeValue": _text(before),
        "AfterValue": _text(after),
        "AttributeChangeType": "Modify",
    }
    if before is None:
        target["AttributeChangeType"] = "Add"
    elif after is None:
        target["AttributeChangeType"] = "Remove"
    return target


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, sort_keys=True, default=str)


def _detail(target: dict[str, Any], evaluation: str, source: str, cause: str = "") -> _Detail:
    return {
        "Target": target,
        "Evaluation": evaluation,
        "ChangeSource": source,
        "CausingEntity": cause or None,
    }


def _recreation(detail: _Detail) -> str:
    return str(detail["Target"]["RequiresRecreation"])
