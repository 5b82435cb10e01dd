"""The action and rule types that a pipeline may use here, as the API lists them. Pure.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-pipeline-structure.html
"""

from __future__ import annotations

from typing import Any

from localcloud.codepipeline.actions import PROVIDERS
from localcloud.codepipeline.rules import CONFIGURATION

# (category, provider) → least and most input and output artifacts, and its configuration:
# (key, whether it is required, whether it tells the action apart). At most ten keys are listed.
_Keys = tuple[tuple[str, bool, bool], ...]
_ACTIONS: dict[tuple[str, str], tuple[tuple[int, int], tuple[int, int], _Keys]] = {
    ("Source", "S3"): (
        (0, 0),
        (1, 1),
        (
            ("S3Bucket", True, True),
            ("S3ObjectKey", True, True),
            ("PollForSourceChanges", False, False),
            ("AllowOverrideForS3ObjectKey", False, False),
        ),
    ),
    ("Source", "CodeCommit"): (
        (0, 0),
        (1, 1),
        (
            ("RepositoryName", True, True),
            ("BranchName", True, True),
            ("PollForSourceChanges", False, False),
        ),
    ),
    ("Build", "CodeBuild"): (
        (1, 1),
        (0, 1),
        (("ProjectName", True, True), ("EnvironmentVariables", False, False)),
    ),
    ("Invoke", "Lambda"): (
        (0, 5),
        (0, 5),
        (("FunctionName", True, True), ("UserParameters", False, False)),
    ),
    ("Approval", "Manual"): (
        (0, 0),
        (0, 0),
        (
            ("NotificationArn", False, False),
            ("ExternalEntityLink", False, False),
            ("CustomData", False, False),
        ),
    ),
    ("Deploy", "CloudFormation"): (
        (0, 5),
        (0, 1),
        (
            ("ActionMode", True, False),
            ("StackName", True, True),
            ("ChangeSetName", False, False),
            ("TemplatePath", False, False),
            ("TemplateConfiguration", False, False),
            ("ParameterOverrides", False, False),
            ("Capabilities", False, False),
            ("RoleArn", False, False),
            ("OutputFileName", False, False),
        ),
    ),
}


def action_types() -> list[dict[str, Any]]:
    """Return ActionType structures."""
    return [
        {
            "id": {"category": category, "owner": "AWS", "provider": provider, "version": "1"},
            "settings": {},
            "actionConfigurationProperties": [
                _property(name, required, key)
                for name, required, key in _ACTIONS[category, provider][2]
            ],
            "inputArtifactDetails": _artifacts(_ACTIONS[category, provider][0]),
            "outputArtifactDetails": _artifacts(_ACTIONS[category, provider][1]),
        }
        for category, provider in PROVIDERS
    ]


def rule_types() -> list[dict[str, Any]]:
    """Return RuleType structures."""
    return [
        {
            "id": {"category": "Rule", "owner": "AWS", "provider": provider, "version": "1"},
            "settings": {},
            "ruleConfigurationProperties": [
                _property(name, required, False) for name, required in keys
            ],
            "inputArtifactDetails": _artifacts((0, 5)),
        }
        for provider, keys in sorted(CONFIGURATION.items())
    ]


def _property(name: str, required: bool, key: bool) -> dict[str, Any]:
    return {"name": name, "required": required, "key": key, "secret": False, "type": "String"}


def _artifacts(bounds: tuple[int, int]) -> dict[str, int]:
    return {"minimumCount": bounds[0], "maximumCount": bounds[1]}
