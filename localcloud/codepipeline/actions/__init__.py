"""What each action provider does. A provider is a coroutine; this table is all of them."""

from __future__ import annotations

from collections.abc import Mapping

from localcloud.codepipeline.actions.approval import approve
from localcloud.codepipeline.actions.base import Provider
from localcloud.codepipeline.actions.cloudformation import deploy_stack
from localcloud.codepipeline.actions.code import fetch_branch, run_build
from localcloud.codepipeline.actions.invoke import invoke_function
from localcloud.codepipeline.actions.s3_source import fetch_object

# (category, provider) → what it does.
Providers = Mapping[tuple[str, str], Provider]

PROVIDERS: Providers = {
    ("Source", "S3"): fetch_object,
    ("Source", "CodeCommit"): fetch_branch,
    ("Build", "CodeBuild"): run_build,
    ("Invoke", "Lambda"): invoke_function,
    ("Approval", "Manual"): approve,
    ("Deploy", "CloudFormation"): deploy_stack,
}
