"""Patches of CodeBuild. moto stores projects, but runs no build."""

from __future__ import annotations

import json
from typing import Any

# The members of a project that moto's CreateProject drops.
_KEPT = (
    "concurrentBuildLimit",
    "encryptionKey",
    "fileSystemLocations",
    "secondaryArtifacts",
    "secondarySourceVersions",
    "secondarySources",
    "sourceVersion",
)
# Source types without a location.
_WITHOUT_LOCATION = ("CODEPIPELINE", "NO_SOURCE")
_DEFAULT_TIMEOUT_MINUTES = 60
_DEFAULT_QUEUED_TIMEOUT_MINUTES = 480


def patch() -> None:
    """Apply the patches."""
    _patch_locations()
    _patch_creation()
    _patch_update()
    _patch_deletion()


def _patch_locations() -> None:
    """CreateProject: moto requires a location of every source and artifact; AWS does not."""
    from moto.codebuild import responses

    source, artifacts = (
        responses._validate_required_params_source,
        responses._validate_required_params_artifacts,
    )

    def validate_source(value: dict[str, Any]) -> None:
        source({"location": "none", **value} if value["type"] in _WITHOUT_LOCATION else value)

    def validate_artifacts(value: dict[str, Any]) -> None:
        artifacts({"location": "none", **value} if value["type"] == "CODEPIPELINE" else value)

    responses._validate_required_params_source = validate_source
    responses._validate_required_params_artifacts = validate_artifacts


def _patch_creation() -> None:
    """CreateProject: moto drops some members; AWS stores them, and has defaults for timeouts."""
    from moto.codebuild.responses import CodeBuildResponse

    original = CodeBuildResponse.create_project

    def create_project(self: Any) -> Any:
        answer = original(self)
        request = json.loads(self.body)
        project = self.codebuild_backend.codebuild_projects[request["name"]].project_metadata
        project |= {key: request[key] for key in _KEPT if key in request}
        project["timeoutInMinutes"] = request.get("timeoutInMinutes", _DEFAULT_TIMEOUT_MINUTES)
        project["queuedTimeoutInMinutes"] = request.get(
            "queuedTimeoutInMinutes", _DEFAULT_QUEUED_TIMEOUT_MINUTES
        )
        return answer

    CodeBuildResponse.create_project = create_project


def _patch_update() -> None:
    """UpdateProject: moto lacks it. On AWS the given members replace those of the project."""
    from moto.codebuild.exceptions import ResourceNotFoundException
    from moto.codebuild.responses import CodeBuildResponse
    from moto.core.responses import ActionResult
    from moto.core.utils import unix_time

    def update_project(self: Any) -> Any:
        request = json.loads(self.body)
        project = self.codebuild_backend.codebuild_projects.get(request["name"])
        if project is None:
            raise ResourceNotFoundException(f"Project cannot be found: {request['name']}")
        metadata = project.project_metadata
        metadata |= {key: value for key, value in request.items() if key != "badgeEnabled"}
        metadata["lastModified"] = unix_time()
        return ActionResult({"project": metadata})

    CodeBuildResponse.update_project = update_project


def _patch_deletion() -> None:
    """DeleteProject: with an ARN moto deletes nothing; AWS accepts a name or an ARN."""
    from moto.codebuild.models import CodeBuildBackend

    original = CodeBuildBackend.delete_project

    def delete_project(self: Any, project_name: str) -> None:
        original(self, project_name.rpartition("/")[2])

    CodeBuildBackend.delete_project = delete_project
