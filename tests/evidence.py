"""The schema of the evidence."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator

from tests.cloud import ROOT

_SCHEMA = json.loads((ROOT / "docs" / "evidence.schema.json").read_text())


def problems(document: dict[str, Any]) -> list[str]:
    """Return where a document of the evidence is not as its schema says."""
    errors = Draft202012Validator(_SCHEMA).iter_errors(document)
    return [f"{'/'.join(map(str, error.path))}: {error.message}" for error in errors]
