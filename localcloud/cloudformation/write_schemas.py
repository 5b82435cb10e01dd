"""`make schemas`: writes `schemas.json` for every resource type that has a handler."""

from __future__ import annotations

import json
from collections.abc import Iterable

from localcloud.cloudformation.resource_types import HANDLERS
from localcloud.cloudformation.schema import FILE, extract


def document(types: Iterable[str]) -> dict[str, dict[str, list[str]]]:
    """Return the content of `schemas.json` from the installed cfn-lint."""
    # A development dependency, so not imported with the module.
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    return {
        name: extract(PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", name).schema)
        for name in sorted(types)
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(document(HANDLERS), indent=1) + "\n")
