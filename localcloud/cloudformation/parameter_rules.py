"""The section Rules of a template: assertions about parameters. Pure.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html
Differs: Fn::RefAll, Fn::ValueOf and Fn::ValueOfAll, which read the values of AWS-specific types of
parameters, are refused by name.
"""

from __future__ import annotations

from typing import Any

from localcloud.cloudformation.intrinsics import Renderer
from localcloud.cloudformation.template import Template, TemplateError, scalar_text


def check_rules(template: Template, renderer: Renderer) -> None:
    """Check the parameters by every rule.

    Raises:
        TemplateError: an assertion is false, or a rule cannot be evaluated.
    """
    for name, rule in template.document.get("Rules", {}).items():
        try:
            _check_rule(name, rule, renderer)
        except TemplateError:
            raise
        except (ValueError, TypeError, IndexError, KeyError, AttributeError):
            raise TemplateError(f"Template format error: [/Rules/{name}] is malformed") from None


def _check_rule(name: str, rule: Any, renderer: Renderer) -> None:
    condition = rule.get("RuleCondition")
    if condition is not None and not _holds(name, condition, renderer):
        return
    for assertion in rule.get("Assertions", []):
        if not _holds(name, assertion.get("Assert"), renderer):
            text = assertion.get("AssertDescription", "an assertion is false")
            raise TemplateError(f"Template validation error: Rule {name} failed: {text}")


def _holds(rule: str, node: Any, renderer: Renderer) -> bool:
    if not isinstance(node, dict) or len(node) != 1:
        raise TemplateError(f"Template error: Rule {rule}: an assertion must be one function")
    (function, argument), *_ = node.items()
    match function:
        case "Fn::And":
            return all(_holds(rule, part, renderer) for part in argument)
        case "Fn::Or":
            return any(_holds(rule, part, renderer) for part in argument)
        case "Fn::Not":
            return not _holds(rule, argument[0], renderer)
        case "Fn::Equals":
            left, right = (scalar_text(renderer.render(side)) for side in argument)
            return left == right
        case "Fn::Contains":
            members, value = (
                _texts(renderer, argument[0]),
                scalar_text(renderer.render(argument[1])),
            )
            return value in members
        case "Fn::EachMemberEquals":
            value = scalar_text(renderer.render(argument[1]))
            return all(member == value for member in _texts(renderer, argument[0]))
        case "Fn::EachMemberIn":
            return set(_texts(renderer, argument[0])) <= set(_texts(renderer, argument[1]))
    raise TemplateError(f"Template error: Rule {rule}: the local cloud does not support {function}")


def _texts(renderer: Renderer, value: Any) -> list[str]:
    rendered = renderer.render(value)
    members = rendered if isinstance(rendered, list) else [rendered]
    return [scalar_text(member) for member in members]
