"""`make schemas`: writes `schemas.json` for every resource type that has a handler."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from localcloud.cloudformation.resource_types import HANDLERS
from localcloud.cloudformation.schema import FILE, extract


def document(types: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the content of `schemas.json` from the installed cfn-lint."""
    # A development dependency, so not imported with the module.
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    found = {
        name: PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", name)
        for name in sorted(types)
    }
    return {name: extract(known.schema, known.get_atts) for name, known in found.items()}


if __name__ == "__main__":
    FILE.write_text(json.dumps(document(HANDLERS), indent=1, sort_keys=True) + "\n")
