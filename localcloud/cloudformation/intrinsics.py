"""The evaluation of intrinsic functions and conditions. Pure.

The caller passes functions that return the values of resources and exports.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
Differs: Fn::Transform, Fn::ForEach, Fn::Length and Fn::ToJsonString are refused by name; every
region has three availability zones.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from itertools import islice
from typing import Any

from localcloud.cloudformation.template import SUB, Template, TemplateError, scalar_text

_NO_VALUE = object()
# What all functions of a template may yield together, so that nested ones cannot multiply it.
_MOST_CHARACTERS = 20_000_000

# Takes a logical id, and an attribute or None for Ref; returns the value.
Lookup = Callable[[str, str | None], Any]
# Takes the name of an export; returns its value.
Imported = Callable[[str], str]


class Renderer:
    """Evaluates intrinsic functions.

    Args:
        template: the template.
        parameters: the values of parameters and pseudo parameters.
        lookup: returns the value of Ref or Fn::GetAtt for a resource.
        imported: returns the value of an export; without it Fn::ImportValue is an error.
    """

    def __init__(
        self,
        template: Template,
        parameters: Mapping[str, Any],
        lookup: Lookup,
        imported: Imported | None = None,
    ) -> None:
        self._document = template.document
        self._resources = template.resources
        self._parameters = parameters
        self._lookup = lookup
        self._imported = imported
        # The values of conditions; None while one is being evaluated.
        self._conditions: dict[str, bool | None] = {}
        self._produced = 0

    def render(self, value: Any) -> Any:
        """Return a value with its functions evaluated and AWS::NoValue members dropped.

        Raises:
            TemplateError: an unknown function, or a reference to nothing.
        """
        result = self._render(value)
        return None if result is _NO_VALUE else result

    def condition(self, name: str) -> bool:
        """Return the value of a named condition, which is evaluated once.

        Raises:
            TemplateError: there is no such condition, or it is malformed or circular.
        """
        conditions = self._document.get("Conditions", {})
        if not isinstance(name, str) or name not in conditions:
            raise TemplateError(f"Template error: unresolved condition dependency {name}")
        known = self._conditions.get(name)
        if known is not None:
            return known
        if name in self._conditions:
            raise TemplateError(f"Template error: circular dependency of the condition {name}")
        self._conditions[name] = None
        try:
            value = self._truth(conditions[name])
        except RecursionError:
            raise TemplateError(
                f"Template error: the condition {name} depends on too many others"
            ) from None
        except (ValueError, TypeError, IndexError, KeyError) as error:
            if isinstance(error, TemplateError):
                raise
            raise TemplateError(
                f"Template error: invalid condition {json.dumps(conditions[name])}"
            ) from None
        finally:
            self._conditions.pop(name)
        self._conditions[name] = value
        return value

    def included(self, logical_id: str) -> bool:
        """Return whether the condition of a resource or an output is true."""
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
                return self._counted(self._ref(str(argument)))
            if name.startswith("Fn::"):
                try:
                    return self._counted(self._function(name, argument))
                except TemplateError:
                    raise
                except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
                    raise TemplateError(
                        f"Template error: every {name} object requires arguments of its form; "
                        f"it has {json.dumps(argument, default=str)}"
                    ) from error
        rendered = {key: self._render(item) for key, item in value.items()}
        return {key: item for key, item in rendered.items() if item is not _NO_VALUE}

    def _counted(self, value: Any) -> Any:
        """Return a value, and count its characters."""
        match value:
            case str():
                self._count(len(value))
            case list():
                self._count(sum(len(item) if isinstance(item, str) else 1 for item in value))
        return value

    def _count(self, characters: int) -> None:
        self._produced += characters
        if self._produced > _MOST_CHARACTERS:
            raise TemplateError(
                f"Template error: the functions yield over {_MOST_CHARACTERS} characters"
            )

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
                texts = [scalar_text(item) for item in self._render(items)]
                self._count(len(str(delimiter)) * len(texts))
                return str(delimiter).join(texts)
            case "Fn::Select":
                index, items = argument
                return _selected(self._render(index), self._render(items))
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
            case "Fn::Cidr":
                block, count, *bits = (self._render(part) for part in argument)
                return _cidr(str(block), int(count), int(bits[0]) if bits else None)
            case "Fn::GetAZs":
                region = self._render(argument) or self._parameters["AWS::Region"]
                return [f"{region}{letter}" for letter in "abc"]
            case "Fn::ImportValue":
                wanted = str(self._render(argument))
                if self._imported is None:
                    raise TemplateError(f"No export named {wanted} found.")
                return self._imported(wanted)
            case "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not":
                return self._truth({name: argument})
            case _:
                raise TemplateError(f"Template error: the local cloud does not support {name}")

    def _sub(self, argument: Any) -> str:
        text, extra = argument if isinstance(argument, list) else (argument, {})
        values = {name: scalar_text(self._render(value)) for name, value in extra.items()}

        def replace(match: re.Match[str]) -> str:
            literal, name = match.groups()
            if literal:
                return f"${{{name}}}"
            name = name.strip()
            if name in values:
                self._count(len(values[name]))
                return values[name]
            if "." in name and name.split(".", 1)[0] in self._resources:
                logical_id, attribute = name.split(".", 1)
                return scalar_text(self._counted(self._lookup(logical_id, attribute)))
            return scalar_text(self._counted(self._ref(name)))

        return SUB.sub(replace, str(text))

    def _truth(self, condition: Any) -> bool:
        if isinstance(condition, dict) and len(condition) == 1:
            (name, argument), *_ = condition.items()
            match name:
                case "Condition":
                    return self.condition(argument)
                case "Fn::Equals":
                    left, right = (self._render(side) for side in argument)
                    if isinstance(left, list | dict) or isinstance(right, list | dict):
                        raise TemplateError(
                            "Template error: every Fn::Equals object requires a list of 2 string "
                            "parameters."
                        )
                    return scalar_text(left) == scalar_text(right)
                case "Fn::And":
                    return all(self._truth(part) for part in argument)
                case "Fn::Or":
                    return any(self._truth(part) for part in argument)
                case "Fn::Not":
                    return not self._truth(argument[0])
        raise TemplateError(f"Template error: invalid condition {json.dumps(condition)}")


def _selected(index: Any, items: Any) -> Any:
    """Return the item of a list at an index that counts from 0."""
    if not isinstance(items, list) or not str(index).isdecimal():
        raise TemplateError(
            "Template error: Fn::Select requires a list argument with two elements: an integer "
            "index and a list"
        )
    if int(index) >= len(items):
        raise TemplateError(
            f"Template error: Fn::Select cannot select nonexistent value at index {index}"
        )
    return items[int(index)]


def _cidr(block: str, count: int, bits: int | None) -> list[str]:
    """Return the first `count` subnets of a block, each of 2^bits addresses."""
    network = ip_network(block)
    width = network.max_prefixlen
    prefix = width - bits if bits is not None else width - (8 if width == 32 else 64)
    if not 1 <= count <= 256 or prefix < network.prefixlen:
        raise TemplateError(f"Template error: Fn::Cidr cannot take {count} subnets of {block}")
    found = [str(subnet) for subnet in islice(network.subnets(new_prefix=prefix), count)]
    if len(found) < count:
        raise TemplateError(f"Template error: Fn::Cidr: {block} has {len(found)} such subnets")
    return found
