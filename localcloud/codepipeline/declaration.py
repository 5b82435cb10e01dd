"""The rules of a pipeline declaration that botocore's model does not hold. Pure.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-pipeline-structure.html
"""

from __future__ import annotations

from typing import Any

from localcloud.codepipeline.actions import PROVIDERS
from localcloud.errors import AwsError


def check_declaration(declaration: dict[str, Any]) -> None:
    """Refuse a declaration that cannot run.

    Raises:
        AwsError: InvalidStructureException, InvalidStageDeclarationException or
            InvalidActionDeclarationException, with every problem of that kind.
    """
    stages = declaration["stages"]
    if "artifactStore" not in declaration and "artifactStores" not in declaration:
        raise AwsError(
            "InvalidStructureException", "Either artifactStore or artifactStores must be given."
        )
    if len(stages) < 2:
        raise AwsError(
            "InvalidStructureException",
            f"The pipeline has {len(stages)} stage(s); it must have at least 2.",
        )
    names = [stage["name"] for stage in stages]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise AwsError(
            "InvalidStageDeclarationException",
            f"Stage names must be unique; repeated: {', '.join(repeated)}.",
        )
    problems: list[str] = []
    made: set[str] = set()
    for index, stage in enumerate(stages):
        actions = stage["actions"]
        action_names = [action["name"] for action in actions]
        for name in sorted({n for n in action_names if action_names.count(n) > 1}):
            problems.append(f"{stage['name']}: the action name {name} is repeated")
        for order in sorted({action.get("runOrder", 1) for action in actions}):
            earlier = frozenset(made)  # actions of one run order run side by side
            for action in actions:
                if action.get("runOrder", 1) == order:
                    problems += _action_problems(stage["name"], index, action, earlier, made)
    if problems:
        raise AwsError("InvalidActionDeclarationException", "; ".join(problems) + ".")


def _action_problems(
    stage: str, index: int, action: dict[str, Any], earlier: frozenset[str], made: set[str]
) -> list[str]:
    kind = action["actionTypeId"]
    key = (kind["category"], kind["provider"])
    where = f"{stage}/{action['name']}"
    problems = []
    if key not in PROVIDERS:
        known = ", ".join(f"{category} {provider}" for category, provider in PROVIDERS)
        problems.append(
            f"{where}: the local cloud has no {key[0]} action of provider {key[1]}; it has: {known}"
        )
    if (kind["category"] == "Source") != (index == 0):
        problems.append(f"{where}: the first stage, and no other, holds Source actions")
    for artifact in action.get("inputArtifacts", []):
        if artifact["name"] not in earlier:
            problems.append(f"{where}: no earlier action makes its input {artifact['name']}")
    for artifact in action.get("outputArtifacts", []):
        if artifact["name"] in made:
            problems.append(f"{where}: the output {artifact['name']} is made twice")
        made.add(artifact["name"])
    return problems
