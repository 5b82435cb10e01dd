"""Checks the resources of a stack by the rules: JSON from standard input to standard output.

    [{"type": "aws:s3/bucket:Bucket", "name": …, "urn": …, "properties": {…}, "protect": false}, …]
    ─► [{"rule": "encryption", "urn": …, "message": …}, …]

For programs that must not import the rules, such as `localcloud diff`.
"""

import json
import sys

from policy.rules import RULES, Resource


def main() -> int:
    """Read resources, write violations; return the exit status, which is 0 also with violations."""
    resources = [
        Resource(r["type"], r["name"], r["urn"], r["properties"], bool(r.get("protect")))
        for r in json.load(sys.stdin)
    ]
    found = [
        {"rule": rule.name, "urn": violation.urn, "message": violation.message}
        for rule in RULES
        for violation in rule.check(resources)
    ]
    json.dump(found, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
