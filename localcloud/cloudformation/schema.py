"""The registry schemas of the supported resource types, in an extract.

`schemas.json` has the extract of AWS's registry schemas, as cfn-lint ships them. `make schemas`
writes it, and a test compares it with the installed cfn-lint, so that the local cloud itself does
not need cfn-lint.

Source: https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("schemas.json")


@dataclass(frozen=True, slots=True)
class Schema:
    """The top-level properties of a resource type.

    Attributes:
        properties: the names of all properties.
        required: the properties that a template must have.
        create_only: the properties whose change replaces the resource.
        read_only: the properties that only Fn::GetAtt returns.
    """

    properties: frozenset[str]
    required: frozenset[str]
    create_only: frozenset[str]
    read_only: frozenset[str]


def extract(schema: dict[str, Any]) -> dict[str, list[str]]:
    """Return the extract of one registry schema, as `schemas.json` holds it."""

    def named(key: str) -> list[str]:
        # "/properties/A" is a property; "/properties/A/B" is a part of one.
        paths = [path.split("/")[2:] for path in schema.get(key) or []]
        return sorted(path[0] for path in paths if len(path) == 1)

    return {
        "properties": sorted(schema["properties"]),
        "required": sorted(schema.get("required") or []),
        "create_only": named("createOnlyProperties"),
        "read_only": named("readOnlyProperties"),
    }


def _load() -> dict[str, Schema]:
    document = json.loads(FILE.read_text())
    return {
        name: Schema(**{key: frozenset(names) for key, names in extracted.items()})
        for name, extracted in document.items()
    }


SCHEMAS: dict[str, Schema] = _load()
