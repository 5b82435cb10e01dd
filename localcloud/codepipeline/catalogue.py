"""The action and rule types that a pipeline may use here, as the API lists them. Pure.

Source: https://docs.aws.amazon.com/codepipeline/latest/APIReference/API_ActionType.html
"""

from __future__ import annotations

from typing import Any

from localcloud.codepipeline.actions import PROVIDERS
from localcloud.codepipeline.actions.base import ConfigurationKey
from localcloud.codepipeline.rules import RULES

# A rule may read as many artifacts as an action.
_RULE_INPUTS = (0, 5)


def action_types() -> list[dict[str, Any]]:
    """Return ActionType structures."""
    return [
        {
            "id": {
                "category": provider.category,
                "owner": "AWS",
                "provider": provider.name,
                "version": "1",
            },
            "settings": {},
            "actionConfigurationProperties": [_property(key) for key in provider.configuration],
            "inputArtifactDetails": _artifacts(provider.inputs),
            "outputArtifactDetails": _artifacts(provider.outputs),
        }
        for provider in PROVIDERS.values()
    ]


def rule_types() -> list[dict[str, Any]]:
    """Return RuleType structures."""
    return [
        {
            "id": {"category": "Rule", "owner": "AWS", "provider": name, "version": "1"},
            "settings": {},
            "ruleConfigurationProperties": [_property(key) for key in provider.configuration],
            "inputArtifactDetails": _artifacts(_RULE_INPUTS),
        }
        for name, provider in sorted(RULES.items())
    ]


def _property(key: ConfigurationKey) -> dict[str, Any]:
    return {
        "name": key.name,
        "required": key.required,
        "key": key.identifies,
        "secret": False,
        "type": "String",
    }


def _artifacts(bounds: tuple[int, int]) -> dict[str, int]:
    return {"minimumCount": bounds[0], "maximumCount": bounds[1]}
