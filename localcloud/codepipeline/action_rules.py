"""The validation of the actions of a pipeline's declaration. Pure.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-pipeline-structure.html
Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-variables.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from localcloud.codepipeline.actions import PROVIDERS
from localcloud.codepipeline.actions.base import ActionProvider
from localcloud.codepipeline.variables import references

# The namespaces of the execution itself and of the pipeline's own variables.
_EXECUTION, _PIPELINE = "codepipeline", "variables"
_OF_EXECUTION = ("PipelineExecutionId",)

# Keys of AWS that are not carried out here: provider → key → the values that change nothing.
_ONLY = {
    "CodeBuild": {"BatchEnabled": ("false",), "CombineArtifacts": ("false",)},
    "CodeCommit": {"OutputArtifactFormat": ("CODE_ZIP",)},
    "CodeStarSourceConnection": {"OutputArtifactFormat": ("CODE_ZIP",)},
}

Action = dict[str, Any]


def action_problems(declaration: dict[str, Any]) -> list[str]:
    """Return every problem of the actions of a declaration."""
    problems: list[str] = []
    made: set[str] = set()
    namespaces = {_EXECUTION, _PIPELINE}
    for index, stage in enumerate(declaration["stages"]):
        actions = stage["actions"]
        names = [action["name"] for action in actions]
        for name in sorted({n for n in names if names.count(n) > 1}):
            problems.append(f"{stage['name']}: the action name {name} is repeated")
        for order in sorted({action.get("runOrder", 1) for action in actions}):
            # Actions of one run order run in parallel, so they see only what earlier ones made.
            together = [action for action in actions if action.get("runOrder", 1) == order]
            earlier, known = frozenset(made), frozenset(namespaces)
            for action in together:
                where = f"{stage['name']}/{action['name']}"
                problems += _kind_problems(where, index, action)
                problems += _artifact_problems(where, action, earlier, made)
                problems += _unknown_variables(declaration, stage["name"], action, known)
                namespaces.add(action.get("namespace", _EXECUTION))
    return problems + _repeated_namespaces(declaration)


def _kind_problems(where: str, index: int, action: Action) -> Iterator[str]:
    kind = action["actionTypeId"]
    provider = PROVIDERS.get((kind["category"], kind["provider"]))
    if (kind["category"] == "Source") != (index == 0):
        yield f"{where}: Source actions belong in the first stage, and only there"
    if provider is None or (kind["owner"], kind["version"]) != ("AWS", "1"):
        known = ", ".join(f"{category} {name}" for category, name in PROVIDERS)
        yield (
            f"{where}: the local cloud does not support {kind['category']} actions of "
            f"{kind['provider']} (owner {kind['owner']}, version {kind['version']}); of AWS's "
            f"version 1 it supports: {known}"
        )
        return
    yield from _configuration_problems(provider, action)
    for side, (least, most) in (("input", provider.inputs), ("output", provider.outputs)):
        count = len(action.get(f"{side}Artifacts", []))
        if not least <= count <= most:
            yield (
                f"Action '{action['name']}' has {count} {side} artifact(s); an action of "
                f"{provider.name} has {least} to {most}"
            )


def _configuration_problems(provider: ActionProvider, action: Action) -> Iterator[str]:
    given = action.get("configuration", {})
    named = f"Action configuration for action '{action['name']}'"
    only = dict(_ONLY.get(provider.name, {}))
    if provider.name == "CodeBuild":
        # With one input it is the primary source.
        only["PrimarySource"] = tuple(a["name"] for a in action.get("inputArtifacts", [])[:1])
    known = {key.name for key in provider.configuration}
    for key in sorted(set(given) - known):
        if key not in only:
            yield f"{named} contains unknown configuration '{key}'"
        elif given[key] not in only[key]:
            yield (
                f"{named}: the local cloud does not support {key} '{given[key]}'; leave it out, "
                f"or give {' or '.join(only[key]) or 'nothing'}"
            )
    for wanted in provider.configuration:
        if wanted.required and wanted.name not in given:
            yield f"{named} is missing required configuration '{wanted.name}'"


def _artifact_problems(
    where: str, action: Action, earlier: frozenset[str], made: set[str]
) -> Iterator[str]:
    """Yield the problems of an action's artifacts, and add its outputs to those that were made."""
    settings = action.get("configuration", {})
    if settings.get("OutputFileName") and len(action.get("outputArtifacts", [])) != 1:
        yield f"{where}: OutputFileName requires one output artifact"
    for artifact in action.get("inputArtifacts", []):
        if artifact["name"] not in earlier:
            yield f"{where}: no earlier action produces its input {artifact['name']}"
    for artifact in action.get("outputArtifacts", []):
        if artifact["name"] in made:
            yield f"{where}: the output {artifact['name']} is produced twice"
        made.add(artifact["name"])


def _unknown_variables(
    declaration: dict[str, Any], stage: str, action: Action, known: frozenset[str]
) -> Iterator[str]:
    own = {variable["name"] for variable in declaration.get("variables", [])}
    keys = {_EXECUTION: _OF_EXECUTION, _PIPELINE: sorted(own)}
    for name, value in action.get("configuration", {}).items():
        for namespace, key in references(value):
            where = (
                f"StageName=[{stage}], ActionName=[{action['name']}], "
                f"ActionConfigurationKey=[{name}], VariableReference=[#{{{namespace}.{key}}}]"
            )
            if namespace not in known:
                yield (
                    "The following pipeline execution variables are referencing a namespace that "
                    f"no earlier action has. {where}"
                )
            elif namespace in keys and key not in keys[namespace]:
                there = ", ".join(keys[namespace]) or "none"
                yield (
                    f"The namespace {namespace} has no variable {key}; its variables are: {there}. "
                    f"{where}"
                )


def _repeated_namespaces(declaration: dict[str, Any]) -> list[str]:
    taken = {_EXECUTION, _PIPELINE}
    repeated = []
    for stage in declaration["stages"]:
        for action in stage["actions"]:
            namespace = action.get("namespace")
            if namespace in taken:
                repeated.append(
                    f"StageName=[{stage['name']}], ActionName=[{action['name']}], "
                    f"Namespace=[{namespace}]"
                )
            elif namespace is not None:
                taken.add(namespace)
    if not repeated:
        return []
    return [
        "Namespaces must be unique across the pipeline definition. The following occur more than "
        f"once in the pipeline. {'; '.join(repeated)}"
    ]
