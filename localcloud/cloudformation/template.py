"""Templates: parsing, parameters, conditions, intrinsic functions and the order of resources.

Pure: what a resource's Ref and attributes are is asked of the caller.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
Differs: Fn::ImportValue, Fn::Transform, Fn::Cidr and macros are refused by name.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

_SUB = re.compile(r"\$\{(!?)([^${}]+)\}")
_NO_VALUE = object()


class TemplateError(ValueError):
    """A template that CloudFormation would refuse; the message is AWS's, or as near as may be."""


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms (!Ref, !GetAtt, !Sub …)."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)
# A date in a template (AWSTemplateFormatVersion: 2010-09-09) is text.
_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template."""

    document: dict[str, Any]

    @property
    def resources(self) -> dict[str, dict[str, Any]]:
        """Return the resources by logical id."""
        found: dict[str, dict[str, Any]] = self.document["Resources"]
        return found

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """Return the declared parameters."""
        found: dict[str, dict[str, Any]] = self.document.get("Parameters", {})
        return found


def parse(body: str) -> Template:
    """Parse JSON or YAML.

    Raises:
        TemplateError: not a template.
    """
    try:
        document = json.loads(body) if body.lstrip().startswith("{") else yaml.load(body, _Loader)  # noqa: S506 - _Loader is a SafeLoader
    except (ValueError, yaml.YAMLError) as error:
        raise TemplateError(f"Template format error: {error}") from None
    if not isinstance(document, dict):
        raise TemplateError("Template format error: unsupported structure.")
    resources = document.get("Resources")
    if not isinstance(resources, dict) or not resources:
        raise TemplateError("Template format error: At least one Resources member must be defined.")
    for section in ("Transform", "Macros"):
        if section in document:
            raise TemplateError(f"Template error: the local cloud does not support {section}.")
    for logical_id, resource in resources.items():
        if not isinstance(resource, dict) or "Type" not in resource:
            raise TemplateError(
                f"Template format error: [/Resources/{logical_id}] Every Resources object must "
                "contain a Type member."
            )
    return Template(document)


def parameter_values(template: Template, given: Mapping[str, str]) -> dict[str, str]:
    """Return every parameter's value.

    Raises:
        TemplateError: an unknown or missing parameter, or a value that is not allowed.
    """
    unknown = sorted(set(given) - set(template.parameters))
    if unknown:
        raise TemplateError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    values: dict[str, str] = {}
    missing: list[str] = []
    for name, declared in template.parameters.items():
        if name in given:
            value = given[name]
        elif "Default" in declared:
            value = scalar_text(declared["Default"])
        else:
            missing.append(name)
            continue
        _check_parameter(name, value, declared)
        values[name] = value
    if missing:
        raise TemplateError(f"Parameters: [{', '.join(missing)}] must have values")
    return values


def _check_parameter(name: str, value: str, declared: dict[str, Any]) -> None:
    allowed = [scalar_text(v) for v in declared.get("AllowedValues", [])]
    if allowed and value not in allowed:
        raise TemplateError(
            f"Parameter '{name}' must be one of AllowedValues: [{', '.join(allowed)}]; "
            f"it is '{value}'"
        )
    pattern = declared.get("AllowedPattern")
    if pattern and not re.fullmatch(pattern, value):
        raise TemplateError(f"Parameter '{name}' must match pattern {pattern}; it is '{value}'")
    if len(value) < int(declared.get("MinLength", 0)):
        raise TemplateError(
            f"Parameter '{name}' must contain at least {declared['MinLength']} characters"
        )
    if len(value) > int(declared.get("MaxLength", len(value))):
        raise TemplateError(
            f"Parameter '{name}' must contain at most {declared['MaxLength']} characters"
        )
    if declared.get("Type") == "Number":
        try:
            number = float(value)
        except ValueError:
            raise TemplateError(f"Parameter '{name}' must be a number; it is '{value}'") from None
        if number < float(declared.get("MinValue", number)):
            raise TemplateError(
                f"Parameter '{name}' must be a number not less than {declared['MinValue']}"
            )
        if number > float(declared.get("MaxValue", number)):
            raise TemplateError(
                f"Parameter '{name}' must be a number not greater than {declared['MaxValue']}"
            )


def scalar_text(value: Any) -> str:
    """Return a scalar as CloudFormation writes it: a boolean in lower case."""
    return str(value).lower() if isinstance(value, bool) else str(value)


# (logical id, attribute or None for Ref) → value.
Lookup = Callable[[str, str | None], Any]


class Renderer:
    """Evaluates intrinsic functions.

    Args:
        template: the template.
        parameters: parameter and pseudo parameter values.
        lookup: what resources answer to Ref and Fn::GetAtt.
    """

    def __init__(self, template: Template, parameters: Mapping[str, Any], lookup: Lookup) -> None:
        self._document = template.document
        self._resources = template.resources
        self._parameters = parameters
        self._lookup = lookup

    def render(self, value: Any) -> Any:
        """Return a value with its functions evaluated and AWS::NoValue members dropped.

        Raises:
            TemplateError: an unknown function, or a reference to nothing.
        """
        result = self._render(value)
        return None if result is _NO_VALUE else result

    def condition(self, name: str) -> bool:
        """Return a named condition's value."""
        conditions = self._document.get("Conditions", {})
        if name not in conditions:
            raise TemplateError(f"Template error: unresolved condition dependency {name}")
        try:
            return self._truth(conditions[name])
        except RecursionError:
            raise TemplateError(
                f"Template error: circular dependency of the condition {name}"
            ) from None

    def included(self, logical_id: str) -> bool:
        """Return whether a resource's or output's condition lets it exist."""
        condition = self._resources[logical_id].get("Condition")
        return condition is None or self.condition(condition)

    def _render(self, value: Any) -> Any:
        if isinstance(value, list):
            return [v for v in (self._render(item) for item in value) if v is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument), *_ = value.items()
            if name == "Ref":
                return self._ref(str(argument))
            if name.startswith("Fn::"):
                try:
                    return self._function(name, argument)
                except TemplateError:
                    raise
                except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
                    raise TemplateError(
                        f"Template error: every {name} object requires arguments of its form; "
                        f"it has {json.dumps(argument, default=str)}"
                    ) from error
        rendered = {key: self._render(item) for key, item in value.items()}
        return {key: item for key, item in rendered.items() if item is not _NO_VALUE}

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in self._parameters:
            return self._parameters[name]
        if name in self._resources:
            return self._lookup(name, None)
        raise TemplateError(f"Template format error: Unresolved resource dependencies [{name}]")

    def _function(self, name: str, argument: Any) -> Any:
        match name:
            case "Fn::GetAtt":
                parts = argument.split(".", 1) if isinstance(argument, str) else argument
                if parts[0] not in self._resources:
                    raise TemplateError(
                        f"Template error: instance of Fn::GetAtt references undefined resource "
                        f"{parts[0]}"
                    )
                return self._lookup(parts[0], str(self._render(parts[1])))
            case "Fn::Sub":
                return self._sub(argument)
            case "Fn::Join":
                delimiter, items = argument
                return str(delimiter).join(scalar_text(item) for item in self._render(items))
            case "Fn::Select":
                index, items = argument
                return self._render(items)[int(self._render(index))]
            case "Fn::Split":
                delimiter, text = argument
                return str(self._render(text)).split(delimiter)
            case "Fn::If":
                condition, yes, no = argument
                return self._render(yes if self.condition(condition) else no)
            case "Fn::FindInMap":
                mapping, top, second = (self._render(part) for part in argument)
                try:
                    return self._document["Mappings"][mapping][top][second]
                except KeyError as error:
                    raise TemplateError(
                        f"Template error: Unable to get mapping for {mapping}::{top}::{second}"
                    ) from error
            case "Fn::Base64":
                return base64.b64encode(str(self._render(argument)).encode()).decode()
            case "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not":
                return self._truth({name: argument})
            case _:
                raise TemplateError(f"Template error: the local cloud does not support {name}")

    def _sub(self, argument: Any) -> str:
        text, extra = argument if isinstance(argument, list) else (argument, {})

        def replace(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            name = name.strip()
            if name in extra:
                return scalar_text(self._render(extra[name]))
            if "." in name and name.split(".", 1)[0] in self._resources:
                logical_id, attribute = name.split(".", 1)
                return scalar_text(self._lookup(logical_id, attribute))
            return scalar_text(self._ref(name))

        return _SUB.sub(replace, str(text))

    def _truth(self, condition: Any) -> bool:
        if isinstance(condition, dict) and len(condition) == 1:
            (name, argument), *_ = condition.items()
            match name:
                case "Condition":
                    return self.condition(argument)
                case "Fn::Equals":
                    left, right = (self._render(side) for side in argument)
                    return scalar_text(left) == scalar_text(right)
                case "Fn::And":
                    return all(self._truth(part) for part in argument)
                case "Fn::Or":
                    return any(self._truth(part) for part in argument)
                case "Fn::Not":
                    return not self._truth(argument[0])
        raise TemplateError(f"Template error: invalid condition {json.dumps(condition)}")


def references(value: Any) -> set[str]:
    """Return every name that a value refers to by Ref, Fn::GetAtt or Fn::Sub."""
    found: set[str] = set()
    if isinstance(value, list):
        for item in value:
            found |= references(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "Ref" and isinstance(item, str):
                found.add(item)
            elif key == "Fn::GetAtt":
                found.add(item.split(".")[0] if isinstance(item, str) else str(item[0]))
            elif key == "Fn::Sub":
                text = item[0] if isinstance(item, list) else item
                own = set(item[1]) if isinstance(item, list) and len(item) > 1 else set()
                names = {name.strip() for literal, name in _SUB.findall(str(text)) if not literal}
                found |= {name.split(".")[0] for name in names - own}
            found |= references(item)
    return found


def creation_order(template: Template) -> list[str]:
    """Return the logical ids, each after those it depends on.

    Raises:
        TemplateError: a circular dependency, or one on nothing.
    """
    resources = template.resources
    remaining = {name: dependencies(resources[name], resources) for name in resources}
    order: list[str] = []
    while remaining:
        ready = [name for name, needs in remaining.items() if not needs & remaining.keys()]
        if not ready:
            raise TemplateError(
                f"Circular dependency between resources: [{', '.join(sorted(remaining))}]"
            )
        order += ready
        for name in ready:
            del remaining[name]
    return order


def dependencies(resource: dict[str, Any], resources: Mapping[str, Any]) -> set[str]:
    """Return the logical ids that a resource depends on.

    Raises:
        TemplateError: DependsOn names a resource that is not there.
    """
    explicit = resource.get("DependsOn", [])
    explicit = [explicit] if isinstance(explicit, str) else explicit
    unknown = sorted(set(explicit) - set(resources))
    if unknown:
        raise TemplateError(
            f"Template format error: Unresolved resource dependencies [{', '.join(unknown)}] in "
            "the Resources block of the template"
        )
    return set(explicit) | (references(resource.get("Properties", {})) & set(resources))
