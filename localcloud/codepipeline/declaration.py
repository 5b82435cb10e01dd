"""The validation of a pipeline's declaration, beyond botocore's model. Pure.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-pipeline-structure.html
"""

from __future__ import annotations

from typing import Any

from localcloud.aws.errors import AwsError
from localcloud.codepipeline.action_rules import action_problems
from localcloud.codepipeline.model import BEFORE_ENTRY, ON_FAILURE, ON_SUCCESS
from localcloud.codepipeline.rules import RULES

# The results of a condition that is not met, and the results of a failure without a condition.
_RESULTS = {
    BEFORE_ENTRY: ("FAIL", "SKIP"),
    ON_SUCCESS: ("FAIL", "ROLLBACK"),
    ON_FAILURE: ("FAIL", "ROLLBACK"),
}
_AFTER_FAILURE = ("FAIL", "RETRY", "ROLLBACK")


def check_declaration(declaration: dict[str, Any]) -> None:
    """Refuse an invalid declaration.

    Raises:
        AwsError: InvalidStructureException, InvalidStageDeclarationException or
            InvalidActionDeclarationException; names every problem of that kind.
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
    _check_kind(declaration)
    names = [stage["name"] for stage in stages]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise AwsError(
            "InvalidStageDeclarationException",
            f"Stage names must be unique; repeated: {', '.join(repeated)}.",
        )
    mode = declaration.get("executionMode", "SUPERSEDED")
    wrong = [p for i, stage in enumerate(stages) for p in _condition_problems(stage, i, mode)]
    if wrong:
        raise AwsError("InvalidStageDeclarationException", "; ".join(wrong) + ".")
    problems = action_problems(declaration)
    if problems:
        raise AwsError("InvalidActionDeclarationException", "; ".join(problems) + ".")


def _check_kind(declaration: dict[str, Any]) -> None:
    """Refuse triggers, which are not supported here, and features that require type V2.

    Raises:
        AwsError: InvalidStructureException.
    """
    if declaration.get("triggers"):
        # The only provider of triggers is CodeStarSourceConnection, which is not supported here.
        raise AwsError(
            "InvalidStructureException",
            "The local cloud supports no triggers, because it has no CodeStarSourceConnection. "
            "Use an EventBridge rule or PollForSourceChanges to start the pipeline.",
        )
    if declaration.get("pipelineType", "V1") == "V2":
        return
    own = [name for name in ("variables", "triggers") if declaration.get(name)]
    if declaration.get("executionMode", "SUPERSEDED") != "SUPERSEDED":
        own.append(f"executionMode {declaration['executionMode']}")
    for stage in declaration["stages"]:
        own += [f"{stage['name']}: {name}" for name in _RESULTS if stage.get(name)]
    if own:
        raise AwsError(
            "InvalidStructureException",
            f"These require pipelineType V2: {', '.join(own)}.",
        )


def _condition_problems(stage: dict[str, Any], index: int, mode: str) -> list[str]:
    found = []
    failure = stage.get(ON_FAILURE) or {}
    result = failure.get("result", "FAIL")
    if stage.get("blockers"):
        found.append(f"{stage['name']}: blockers are not supported")
    if result not in _AFTER_FAILURE:
        known = ", ".join(_AFTER_FAILURE)
        found.append(f"{stage['name']}: onFailure result {result} must be one of {known}")
    if "retryConfiguration" in failure and result != "RETRY":
        found.append(f"{stage['name']}: retryConfiguration requires the result RETRY")
    results = {result}
    for kind, allowed in _RESULTS.items():
        for condition in (stage.get(kind) or {}).get("conditions", []):
            where = f"{stage['name']}/{kind}"
            engaged = condition.get("result", "FAIL")
            results.add(engaged)
            if engaged not in allowed:
                found.append(f"{where}: result {engaged} must be one of {', '.join(allowed)}")
            names = [rule["name"] for rule in condition.get("rules", [])]
            if not names or len(set(names)) < len(names):
                found.append(f"{where}: the condition must have rules with unique names")
            for rule in condition.get("rules", []):
                found += _rule_problems(f"{where}/{rule['name']}", rule)
    if "ROLLBACK" in results and (mode == "PARALLEL" or index == 0):
        what = "a source stage" if index == 0 else "a pipeline in PARALLEL execution mode"
        found.append(f"{stage['name']}: {what} cannot have the result ROLLBACK")
    if index == 0 and stage.get(BEFORE_ENTRY):
        found.append(f"{stage['name']}: a source stage cannot have an entry condition")
    return found


def _rule_problems(where: str, rule: dict[str, Any]) -> list[str]:
    provider = rule["ruleTypeId"]["provider"]
    if provider not in RULES:
        known = ", ".join(sorted(RULES))
        return [
            f"{where}: the local cloud does not support rules of {provider}; it supports: {known}"
        ]
    given = rule.get("configuration", {})
    keys = RULES[provider].configuration
    known_keys = {key.name for key in keys}
    missing = [key.name for key in keys if key.required and key.name not in given]
    found = [f"{where}: the configuration lacks {key}" for key in missing]
    unknown = sorted(set(given) - known_keys)
    found += [f"{where}: the configuration has no key {key}" for key in unknown]
    if rule.get("commands"):
        found.append(f"{where}: commands require a rule of provider Commands")
    return found
