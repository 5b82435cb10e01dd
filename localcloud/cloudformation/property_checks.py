"""The check of a resource's properties by its schema in AWS's registry. Pure.

CloudFormation converts between texts, numbers and booleans, so "7" is an integer and 7 a string. No
message has a value, since that may be a secret.

Source: https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
Source: https://github.com/aws-cloudformation/cloudformation-resource-schema
Differs: the keywords anyOf, oneOf and format are left to the service.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import regex

from localcloud.cloudformation.template import scalar_text

# The names of types in the messages, which are those of the library that AWS uses.
_EXPECTED = {
    "string": "String",
    "integer": "Integer",
    "number": "Number",
    "boolean": "Boolean",
    "object": "JSONObject",
    "array": "JSONArray",
}
_MOST_PROBLEMS = 20
_LIMIT_SECONDS = 0.25  # of the wall clock, for one pattern


def problems(document: dict[str, Any], properties: dict[str, Any]) -> list[str]:
    """Return what is wrong with a resource's properties, in AWS's words.

    Args:
        document: the JSON schema of the resource type.
        properties: the rendered properties.
    """
    found: list[str] = []
    for problem in _Check(document).of(document, properties, "#"):
        found.append(problem)
        if len(found) == _MOST_PROBLEMS:
            break
    return found


class _Check:
    def __init__(self, document: dict[str, Any]) -> None:
        self._definitions = document.get("definitions", {})

    def of(self, schema: dict[str, Any], value: Any, path: str) -> Iterator[str]:
        while "$ref" in schema:
            schema = self._definitions.get(schema["$ref"].rpartition("/")[2], {})
        kinds = schema.get("type", [])
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if kinds and not any(_is(kind, value) for kind in kinds):
            expected = " or ".join(_EXPECTED[kind] for kind in kinds)
            yield f"{path}: expected type: {expected}, found: {_found(value)}"
        elif isinstance(value, dict):
            yield from self._object(schema, value, path)
        elif isinstance(value, list):
            yield from self._array(schema, value, path)
        else:
            yield from _scalar(schema, kinds, value, path)

    def _object(self, schema: dict[str, Any], value: dict[str, Any], path: str) -> Iterator[str]:
        known = schema.get("properties", {})
        patterns = schema.get("patternProperties", {})
        more = schema.get("additionalProperties", True)
        schemas: dict[str, list[dict[str, Any]]] = {}
        for name in value:
            schemas[name] = [known[name]] if name in known else []
            schemas[name] += [sub for pattern, sub in patterns.items() if _matches(pattern, name)]
            if not schemas[name] and more is False:
                yield f"{path}: extraneous key [{name}] is not permitted"
            elif not schemas[name] and isinstance(more, dict):
                schemas[name] = [more]
        for name in schema.get("required", []):
            if name not in value:
                yield f"{path}: required key [{name}] not found"
        for name, item in value.items():
            for sub in schemas[name]:
                yield from self.of(sub, item, f"{path}/{name}")

    def _array(self, schema: dict[str, Any], value: list[Any], path: str) -> Iterator[str]:
        least, most = schema.get("minItems"), schema.get("maxItems")
        if least is not None and len(value) < least:
            yield f"{path}: expected minimum item count: {least}, found: {len(value)}"
        if most is not None and len(value) > most:
            yield f"{path}: expected maximum item count: {most}, found: {len(value)}"
        if schema.get("uniqueItems"):
            texts = [json.dumps(item, sort_keys=True, default=str) for item in value]
            if len(set(texts)) < len(texts):
                yield f"{path}: array items are not unique"
        for place, item in enumerate(value):
            yield from self.of(schema.get("items", {}), item, f"{path}/{place}")


def _scalar(schema: dict[str, Any], kinds: list[str], value: Any, path: str) -> Iterator[str]:
    text = scalar_text(value)
    if "enum" in schema and text not in [scalar_text(one) for one in schema["enum"]]:
        yield f"{path}: failed validation constraint for keyword [enum]"
    if "string" in kinds:
        least, most = schema.get("minLength"), schema.get("maxLength")
        if least is not None and len(text) < least:
            yield f"{path}: expected minLength: {least}, actual: {len(text)}"
        if most is not None and len(text) > most:
            yield f"{path}: expected maxLength: {most}, actual: {len(text)}"
        if "pattern" in schema and not _matches(schema["pattern"], text):
            yield f"{path}: failed validation constraint for keyword [pattern]"
    if "integer" in kinds or "number" in kinds:
        number = _number(value)
        if number is None:  # a text, of a property that may be a text, too
            return
        if "minimum" in schema and number < schema["minimum"]:
            yield f"{path}: failed validation constraint for keyword [minimum]"
        if "maximum" in schema and number > schema["maximum"]:
            yield f"{path}: failed validation constraint for keyword [maximum]"


def _is(kind: str, value: Any) -> bool:
    match kind:
        case "object":
            return isinstance(value, dict)
        case "array":
            return isinstance(value, list)
        case "string":
            return isinstance(value, str | int | float)
        case "boolean":
            return scalar_text(value).lower() in ("true", "false")
    number = None if isinstance(value, bool) else _number(value)
    if number is None:
        return False
    return kind == "number" or number.is_integer()


def _number(value: Any) -> float | None:
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and "_" not in str(value) else None


def _found(value: Any) -> str:
    match value:
        case bool():
            return "Boolean"
        case int():
            return "Integer"
        case float():
            return "Double"
        case str():
            return "String"
        case list():
            return "JSONArray"
        case dict():
            return "JSONObject"
    return "Null"


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> regex.Pattern[str] | None:
    try:
        return regex.compile(pattern)
    except regex.error:  # a pattern that only AWS's library knows
        return None


def _matches(pattern: str, text: str) -> bool:
    compiled = _compiled(pattern)
    if compiled is None:
        return True
    try:
        return compiled.search(text, timeout=_LIMIT_SECONDS) is not None
    except TimeoutError:
        return False
