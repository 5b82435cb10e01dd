"""`git push` and `git clone` over HTTP, the operations on branches and commits, and their events.

The clone URL of a repository leads here. moto answers the other operations, which create, describe
and tag repositories.

Source: https://docs.aws.amazon.com/codecommit/latest/userguide/monitoring-events.html
Differs: every user of this machine may push; the clone URL is an address of this local cloud.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from localcloud.aws.errors import AwsError
from localcloud.aws.pagination import page
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Request, Response, Scope
from localcloud.codecommit.git import Commit, GitError, GitRepository, Person
from localcloud.codecommit.smart_http import References, answer, text
from localcloud.moto_backend.dispatcher import backend
from localcloud.service_context import ServiceContext

_BRANCHES_OF_A_PAGE = 100

GIT_PREFIX = "/_localcloud/git/"
_PATH = re.compile(r"/_localcloud/git/(\d{12})/([a-z0-9-]+)/([\w.-]{1,100})/(.+)")
_AWS_URL = re.compile(rb"https://git-codecommit\.([a-z0-9-]+)\.amazonaws\.com/v1/repos/")
_ZERO = "0" * 40


class CodeCommitApi:
    """Repositories with Git content.

    Args:
        context: what services share.
        on_delete: called when a repository is deleted.
    """

    def __init__(self, context: ServiceContext, on_delete: Callable[[Scope, str], None]) -> None:
        self._context = context
        self._on_delete = on_delete

    def repository(self, scope: Scope, name: str) -> GitRepository:
        """Return the Git repository behind a CodeCommit repository."""
        directory = self._context.directory / "codecommit" / scope.account / scope.region
        return GitRepository(directory / f"{name}.git")

    async def ask_moto(self, request: Request) -> Response:
        """Return moto's response, with our clone URL in it."""
        response = await self._context.moto.handle(request)
        base = f"{self._context.endpoint_url}{GIT_PREFIX}{request.scope.account}/".encode()
        response.body = _AWS_URL.sub(lambda found: base + found[1] + b"/", response.body)
        return response

    async def git(self, request: Request) -> Response:
        """Answer a request of Git, below GIT_PREFIX."""
        match = _PATH.fullmatch(request.path)
        if match is None:
            return text(404, "The repository does not exist.\n")
        account, region, name, rest = match.groups()
        scope = Scope(account, region)
        if not await self._context.moto.call(exists, scope, name):
            return text(404, f"There is no CodeCommit repository {name} in {region}.\n")

        def publish(before: References, after: References) -> None:
            self._publish_changes(scope, name, before, after)

        return await answer(self.repository(scope, name), request, rest, publish)

    def _publish_changes(
        self, scope: Scope, name: str, before: References, after: References
    ) -> None:
        """Send an event to EventBridge for each reference that a push changed."""
        for reference in sorted(set(before) | set(after)):
            old, new = before.get(reference), after.get(reference)
            if old == new:
                continue
            kind, _, short = reference.removeprefix("refs/").partition("/")
            happened = "Created" if old is None else "Deleted" if new is None else "Updated"
            detail = {
                "event": f"reference{happened}",
                "repositoryName": name,
                "referenceType": "branch" if kind == "heads" else "tag",
                "referenceName": short,
                "referenceFullName": reference,
                "commitId": new or _ZERO,
                "callerUserArn": f"arn:aws:iam::{scope.account}:root",
                **({"oldCommitId": old} if old else {}),
            }
            self._context.publish(
                scope,
                "aws.codecommit",
                "CodeCommit Repository State Change",
                [scope.arn("codecommit", name)],
                detail,
            )

    @operation("GetBranch")
    async def get_branch(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, branch = params.get("repositoryName"), params.get("branchName")
        if name is None:
            raise AwsError(
                "RepositoryNameRequiredException", "A repository name is required: repositoryName."
            )
        if branch is None:
            raise AwsError("BranchNameRequiredException", "A branch name is required: branchName.")
        found = await self.branches(scope, name)
        if branch not in found:
            raise AwsError("BranchDoesNotExistException", f"Branch {branch} does not exist")
        return {"branch": {"branchName": branch, "commitId": found[branch]}}

    @operation("ListBranches")
    async def list_branches(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        branches, token = page(
            sorted(await self.branches(scope, params["repositoryName"])),
            str,
            params.get("nextToken"),
            _BRANCHES_OF_A_PAGE,
            "InvalidContinuationTokenException",
        )
        return {"branches": branches, **({"nextToken": token} if token else {})}

    @operation("GetCommit")
    async def get_commit(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, id_ = params["repositoryName"], params["commitId"]
        await self.branches(scope, name)
        try:
            found = await self.repository(scope, name).commit(id_)
        except GitError:
            raise AwsError(
                "CommitIdDoesNotExistException", f"Commit {id_} does not exist"
            ) from None
        return {"commit": _commit(found)}

    @operation("DeleteRepository")
    async def delete_repository(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = params["repositoryName"]
        id_ = await self._context.moto.call(_forget, scope, name)
        self.repository(scope, name).remove()
        self._on_delete(scope, name)
        return {"repositoryId": id_} if id_ else {}

    async def branches(self, scope: Scope, name: str) -> dict[str, str]:
        """Return the commit of each branch.

        Raises:
            AwsError: RepositoryDoesNotExistException.
        """
        if not await self._context.moto.call(exists, scope, name):
            raise AwsError("RepositoryDoesNotExistException", f"{name} does not exist")
        references = await self.repository(scope, name).references()
        heads = "refs/heads/"
        return {
            key.removeprefix(heads): commit
            for key, commit in references.items()
            if key.startswith(heads)
        }


def exists(scope: Scope, name: str) -> bool:
    """Return whether there is a repository; call it in moto's thread."""
    return name in backend("codecommit", scope).repositories


def _forget(scope: Scope, name: str) -> str | None:
    repository = backend("codecommit", scope).repositories.pop(name, None)
    return str(repository.repository_metadata["repositoryId"]) if repository else None


def _commit(commit: Commit) -> dict[str, Any]:
    return {
        "commitId": commit.id,
        "treeId": commit.tree,
        "parents": commit.parents,
        "message": commit.message,
        "author": _person(commit.author),
        "committer": _person(commit.committer),
        "additionalData": "",
    }


def _person(person: Person) -> dict[str, str]:
    return {"name": person.name, "email": person.email, "date": person.date}
