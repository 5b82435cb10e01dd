"""The policy pack: ``pulumi preview --policy-pack policy``. The rules are in ``rules.py``.

Pulumi starts it as a process, in an environment that it creates from requirements.txt.
"""

import sys
from pathlib import Path

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    StackValidationArgs,
    StackValidationPolicy,
)

# Pulumi runs this file as a script, so the package is not on the path.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from policy.rules import RULES, Resource, Rule


def stack_policy(rule: Rule) -> StackValidationPolicy:
    """Return a rule as a Pulumi stack validation policy."""

    def validate(args: StackValidationArgs, report_violation: ReportViolation) -> None:
        resources = [
            Resource(
                resource.resource_type,
                resource.name,
                resource.urn,
                resource.props,
                protect=bool(resource.opts.protect),
            )
            for resource in args.resources
        ]
        for violation in rule.check(resources):
            report_violation(violation.message, violation.urn)

    return StackValidationPolicy(name=rule.name, description=rule.description, validate=validate)


if __name__ == "__main__":
    PolicyPack(
        "mlops-lab",
        [stack_policy(rule) for rule in RULES],
        enforcement_level=EnforcementLevel.MANDATORY,
    )
