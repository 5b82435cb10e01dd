"""The form of every intrinsic function in a template, checked before anything is created. Pure.

Only the form is checked: how many arguments a function has, and of which kind, as far as the
template says it. `template_checks.py` evaluates what is known before the resources exist.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from localcloud.cloudformation.template import Template, TemplateError

_SUPPORTED = (
    *("Fn::Base64", "Fn::GetAtt", "Fn::GetAZs", "Fn::ImportValue", "Fn::Join", "Fn::Split"),
    *("Fn::FindInMap", "Fn::Select", "Ref", "Fn::Equals", "Fn::If", "Fn::Not", "Condition"),
    *("Fn::And", "Fn::Or", "Fn::Contains", "Fn::EachMemberEquals", "Fn::EachMemberIn"),
    *("Fn::ValueOf", "Fn::ValueOfAll", "Fn::RefAll", "Fn::Sub", "Fn::Cidr"),
)
# Functions of AWS that need a transform, and those of rules outside of rules.
_ELSEWHERE = (
    *("Fn::Transform", "Fn::ForEach", "Fn::Length", "Fn::ToJsonString", "Fn::GetStackOutput"),
    *("Fn::Contains", "Fn::EachMemberEquals", "Fn::EachMemberIn"),
    *("Fn::ValueOf", "Fn::ValueOfAll", "Fn::RefAll"),
)
_VARIABLE = re.compile(r"\$\{(!?[^}]*)\}")
_VARIABLE_NAME = re.compile(r"!.*|\s*[a-zA-Z0-9_.:]+\s*", re.DOTALL)
_BOOLEANS = ("Fn::Equals", "Fn::And", "Fn::Or", "Fn::Not", "Condition")
_BETWEEN_2_AND_10 = "object requires a list of at least 2 and at most 10 boolean parameters."


def check_functions(template: Template) -> None:
    """Refuse a function with arguments that it cannot have.

    Raises:
        TemplateError: with AWS's text.
    """
    document = template.document
    for resource in template.resources.values():
        _check(resource.get("Properties", {}))
    for output in document.get("Outputs", {}).values():
        _check([output["Value"], output.get("Export", {})])
    for name, condition in document.get("Conditions", {}).items():
        if not _is_boolean(condition):
            raise TemplateError(
                f"Template format error: Conditions can only be boolean operations on parameters "
                f"and other conditions; {name} is none."
            )
        _check(condition)


def _check(value: Any) -> None:
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, list):
            left += reversed(part)
        elif isinstance(part, dict):
            if len(part) == 1:
                (name, argument), *_ = part.items()
                if name == "Ref" or name.startswith("Fn::"):
                    _check_function(name, argument)
            left += reversed(part.values())


def _check_function(name: str, argument: Any) -> None:
    base = "::".join(name.split("::")[:2])
    if base in _ELSEWHERE:
        raise TemplateError(f"Template error: the local cloud does not support {base}")
    form = _FORMS.get(name)
    if form is None:
        raise TemplateError(
            f"Template Error: Encountered unsupported function: {name} Supported functions are: "
            f"[{', '.join(_SUPPORTED)}]"
        )
    problem = form(argument)
    if problem:
        raise TemplateError(f"Template error: {problem}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _is_function(value: Any) -> bool:
    if not isinstance(value, dict) or len(value) != 1:
        return False
    (name,) = value
    return name == "Ref" or str(name).startswith("Fn::")


def _gives_text(value: Any) -> bool:
    """Return whether a value may be a text once it is evaluated."""
    return _is_text(value) or _is_function(value)


def _gives_list(value: Any) -> bool:
    return isinstance(value, list) or _is_function(value)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _BOOLEANS


def _ref(argument: Any) -> str:
    return "" if isinstance(argument, str) else "every Ref object must have a single String value."


def _get_att(argument: Any) -> str:
    match argument:
        case str() if all(argument.partition(".")):
            return ""
        case [str(name), attribute] if name and attribute and _gives_text(attribute):
            return ""
    return (
        "every Fn::GetAtt object requires two non-empty parameters, the resource name and the "
        "resource attribute"
    )


def _join(argument: Any) -> str:
    match argument:
        case [str(), items] if _gives_list(items):
            return ""
    return (
        "every Fn::Join object requires two parameters, (1) a string delimiter and (2) a list of "
        "strings to be joined or a function that returns a list of strings (such as Fn::GetAZs) to "
        "be joined."
    )


def _split(argument: Any) -> str:
    match argument:
        case [str(delimiter), text] if delimiter and _gives_text(text):
            return ""
    return (
        "every Fn::Split object requires two parameters, (1) a string delimiter and (2) a string "
        "to be split or a function that returns a string to be split."
    )


def _select(argument: Any) -> str:
    match argument:
        case [index, items] if _gives_list(items):
            if _is_function(index) or str(index).isdecimal():
                return ""
            return (
                "Fn::Select requires a list argument with a valid index value as its first element"
            )
    return "Fn::Select requires a list argument with two elements: an integer index and a list"


def _sub(argument: Any) -> str:
    match argument:
        case str():
            text = argument
        case [str(text)] | [str(text), dict()]:
            pass
        case _:
            return (
                "One or more Fn::Sub intrinsic functions don't specify expected arguments. Specify "
                "a string as first argument, and an optional second argument to specify a mapping "
                "of values to replace in the string"
            )
    if all(_VARIABLE_NAME.fullmatch(name) for name in _VARIABLE.findall(text)):
        return ""
    return (
        "variable names in Fn::Sub syntax must contain only alphanumeric characters, underscores, "
        "periods, and colons"
    )


def _find_in_map(argument: Any) -> str:
    match argument:
        case [first, second, third] if all(map(_gives_text, (first, second, third))):
            return ""
    return (
        "every Fn::FindInMap object requires three parameters, the map name, map key and the "
        "attribute for return value"
    )


def _base64(argument: Any) -> str:
    return (
        "" if _gives_text(argument) else "every Fn::Base64 object must have a String-typed value."
    )


def _get_azs(argument: Any) -> str:
    return (
        "" if _gives_text(argument) else "every Fn::GetAZs object must have a String-typed value."
    )


def _cidr(argument: Any) -> str:
    if isinstance(argument, list) and len(argument) in (2, 3) and all(map(_gives_text, argument)):
        return ""
    return "every Fn::Cidr object requires an IP block, a count and optionally the CIDR bits"


def _import_value(argument: Any) -> str:
    if not _gives_text(argument):
        return (
            "the attribute in Fn::ImportValue must be a string or a function that returns a string"
        )
    left = [argument]
    while left:
        part = left.pop()
        if isinstance(part, list):
            left += part
        elif isinstance(part, dict):
            if part.keys() & {"Fn::GetAtt", "Fn::ImportValue", "Fn::GetAZs"}:
                return IMPORTS_OF_RESOURCES
            left += part.values()
    return ""


IMPORTS_OF_RESOURCES = (
    "the attribute in Fn::ImportValue must not depend on any resources, imported values, or "
    "Fn::GetAZs"
)


def _if(argument: Any) -> str:
    match argument:
        case [str(), _, _]:
            return ""
        case [str(), *_]:
            return "Fn::If requires a list argument with three elements"
    return "Fn::If requires a list argument with the first element being a condition"


def _equals(argument: Any) -> str:
    match argument:
        case [left, right] if _gives_text(left) and _gives_text(right):
            return ""
    return "every Fn::Equals object requires a list of 2 string parameters."


def _several(name: str) -> Callable[[Any], str]:
    def check(argument: Any) -> str:
        if (
            isinstance(argument, list)
            and 2 <= len(argument) <= 10
            and all(map(_is_boolean, argument))
        ):
            return ""
        return f"every {name} {_BETWEEN_2_AND_10}"

    return check


def _not(argument: Any) -> str:
    match argument:
        case [condition]:
            if _is_boolean(condition):
                return ""
            return "Fn::Not requires a list argument with one function token"
    return "Fn::Not requires a list argument with one element"


_FORMS: dict[str, Callable[[Any], str]] = {
    "Ref": _ref,
    "Fn::GetAtt": _get_att,
    "Fn::Join": _join,
    "Fn::Split": _split,
    "Fn::Select": _select,
    "Fn::Sub": _sub,
    "Fn::FindInMap": _find_in_map,
    "Fn::Base64": _base64,
    "Fn::GetAZs": _get_azs,
    "Fn::Cidr": _cidr,
    "Fn::ImportValue": _import_value,
    "Fn::If": _if,
    "Fn::Equals": _equals,
    "Fn::And": _several("Fn::And"),
    "Fn::Or": _several("Fn::Or"),
    "Fn::Not": _not,
}
