"""The actions of the image's pipeline, which do not run here yet: each fails by name.

Source: https://docs.aws.amazon.com/codepipeline/latest/userguide/action-reference-CodeCommit.html
Differs: nothing can be pushed to a repository here, so it has no branch; no build is started.
"""

from __future__ import annotations

from localcloud.codepipeline.actions.base import ActionContext, ActionFailed, ActionOutcome


async def fetch_branch(context: ActionContext) -> ActionOutcome:
    """Fail as an empty repository does.

    Raises:
        ActionFailed: always; with the service's own text where there is no repository.
    """
    repository, branch = context.require("RepositoryName"), context.require("BranchName")
    try:
        await context.cloud.api(
            context.scope, "codecommit", "get_repository", repositoryName=repository
        )
    except Exception as error:
        raise ActionFailed("ConfigurationError", str(error)) from error
    raise ActionFailed(
        "ConfigurationError",
        f"The action failed because no branch named {branch} was found in the selected AWS "
        f"CodeCommit repository {repository}. Make sure you are using the correct branch name, "
        "and then try again.",
    )


async def run_build(context: ActionContext) -> ActionOutcome:
    """Fail by name.

    Raises:
        ActionFailed: always.
    """
    raise ActionFailed(
        "ConfigurationError",
        f"the local cloud does not run the CodeBuild project {context.require('ProjectName')}; "
        "push the container with: localcloud image push DIR --repository NAME --release PARAMETER",
    )
