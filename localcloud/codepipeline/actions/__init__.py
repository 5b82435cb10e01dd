"""The action types that a pipeline may use, one ActionProvider for each.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/reference-pipeline-structure.html
"""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.codepipeline.actions.approval import approve
from localcloud.codepipeline.actions.base import ActionProvider, ConfigurationKey, RunAction
from localcloud.codepipeline.actions.cloudformation import deploy_stack
from localcloud.codepipeline.actions.code import fetch_branch, run_build
from localcloud.codepipeline.actions.connection_source import fetch_connected_branch
from localcloud.codepipeline.actions.invoke import invoke_function
from localcloud.codepipeline.actions.s3_source import fetch_object


def _identifying(name: str) -> ConfigurationKey:
    return ConfigurationKey(name, required=True, identifies=True)


def _optional(*names: str) -> tuple[ConfigurationKey, ...]:
    return tuple(ConfigurationKey(name) for name in names)


_ALL = (
    ActionProvider(
        "Source",
        "S3",
        fetch_object,
        inputs=(0, 0),
        outputs=(1, 1),
        configuration=(
            _identifying("S3Bucket"),
            _identifying("S3ObjectKey"),
            *_optional("PollForSourceChanges", "AllowOverrideForS3ObjectKey"),
        ),
    ),
    ActionProvider(
        "Source",
        "CodeCommit",
        fetch_branch,
        inputs=(0, 0),
        outputs=(1, 1),
        configuration=(
            _identifying("RepositoryName"),
            _identifying("BranchName"),
            *_optional("PollForSourceChanges"),
        ),
    ),
    ActionProvider(
        "Source",
        "CodeStarSourceConnection",
        fetch_connected_branch,
        inputs=(0, 0),
        outputs=(1, 1),
        configuration=(
            _identifying("ConnectionArn"),
            _identifying("FullRepositoryId"),
            _identifying("BranchName"),
            *_optional("DetectChanges"),
        ),
    ),
    ActionProvider(
        "Build",
        "CodeBuild",
        run_build,
        inputs=(1, 1),
        outputs=(0, 1),
        configuration=(_identifying("ProjectName"), *_optional("EnvironmentVariables")),
    ),
    ActionProvider(
        "Invoke",
        "Lambda",
        invoke_function,
        inputs=(0, 5),
        outputs=(0, 5),
        configuration=(_identifying("FunctionName"), *_optional("UserParameters")),
    ),
    ActionProvider(
        "Approval",
        "Manual",
        approve,
        inputs=(0, 0),
        outputs=(0, 0),
        configuration=_optional("NotificationArn", "ExternalEntityLink", "CustomData"),
    ),
    ActionProvider(
        "Deploy",
        "CloudFormation",
        deploy_stack,
        inputs=(0, 5),
        outputs=(0, 1),
        configuration=(
            ConfigurationKey("ActionMode", required=True),
            _identifying("StackName"),
            *_optional(
                "ChangeSetName",
                "TemplatePath",
                "TemplateConfiguration",
                "ParameterOverrides",
                "Capabilities",
                "RoleArn",
                "OutputFileName",
            ),
        ),
    ),
)

# (category, provider) → the action type.
PROVIDERS: Mapping[tuple[str, str], ActionProvider] = {(p.category, p.name): p for p in _ALL}
# (category, provider) → the function that runs its actions.
Runs = Mapping[tuple[str, str], RunAction]
RUNS: Runs = {key: provider.run for key, provider in PROVIDERS.items()}
