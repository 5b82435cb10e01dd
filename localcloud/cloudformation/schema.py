"""The registry schemas of the supported resource types.

`schemas.json` has AWS's registry schemas, as cfn-lint ships them, without their descriptions. `make
schemas` writes it, and a test compares it with the installed cfn-lint, so that the local cloud
itself does not need cfn-lint. `property_checks.py` checks properties by them.

Source: https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("schemas.json")
# What says something about a property's value. The rest is for people, or cfn-lint's own.
_KEYWORDS = (
    *("type", "$ref", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum"),
    *("properties", "patternProperties", "additionalProperties", "required"),
    *("items", "minItems", "maxItems", "uniqueItems"),
)


@dataclass(frozen=True, slots=True)
class Schema:
    """A resource type in AWS's registry.

    Attributes:
        properties: the names of all properties.
        required: the properties that a template must have.
        create_only: the properties whose change replaces the resource.
        read_only: the properties that only Fn::GetAtt returns.
        attributes: patterns of what Fn::GetAtt takes.
        identifiers: the properties that identify a resource which is imported.
        document: the JSON schema of the properties, with its definitions.
    """

    properties: frozenset[str]
    required: frozenset[str]
    create_only: frozenset[str]
    read_only: frozenset[str]
    attributes: frozenset[str]
    identifiers: tuple[str, ...]
    document: dict[str, Any] = field(compare=False, hash=False)


def extract(schema: dict[str, Any], attributes: Iterable[str]) -> dict[str, Any]:
    """Return the extract of one registry schema, as `schemas.json` holds it.

    Args:
        schema: the schema.
        attributes: patterns of what Fn::GetAtt takes.
    """

    def named(key: str) -> list[str]:
        # "/properties/A" is a property; "/properties/A/B" is a part of one.
        paths = [path.split("/")[2:] for path in schema.get(key) or []]
        return sorted(path[0] for path in paths if len(path) == 1)

    read_only = named("readOnlyProperties")
    return {
        "create_only": named("createOnlyProperties"),
        "read_only": read_only,
        "attributes": sorted(attributes),
        "identifiers": [name for name in named("primaryIdentifier") if name not in read_only],
        "document": {
            "type": "object",
            **_bare(schema),
            "definitions": {
                name: _bare(definition)
                for name, definition in sorted((schema.get("definitions") or {}).items())
            },
        },
    }


def _bare(schema: Any) -> Any:
    """Return a schema with the keywords that say something about a value."""
    if not isinstance(schema, dict):
        return schema
    found: dict[str, Any] = {}
    for keyword in _KEYWORDS:
        if keyword not in schema:
            continue
        value = schema[keyword]
        if keyword in ("properties", "patternProperties"):
            found[keyword] = {name: _bare(value[name]) for name in sorted(value)}
        elif keyword in ("items", "additionalProperties"):
            found[keyword] = _bare(value)
        else:
            found[keyword] = sorted(value) if keyword == "required" else value
    return found


def _load() -> dict[str, Schema]:
    return {
        name: Schema(
            properties=frozenset(extracted["document"]["properties"]),
            required=frozenset(extracted["document"].get("required", [])),
            create_only=frozenset(extracted["create_only"]),
            read_only=frozenset(extracted["read_only"]),
            attributes=frozenset(extracted["attributes"]),
            identifiers=tuple(extracted.get("identifiers", ())),
            document=extracted["document"],
        )
        for name, extracted in json.loads(FILE.read_text()).items()
    }


SCHEMAS: dict[str, Schema] = _load()
