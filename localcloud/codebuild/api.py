"""The operations on builds. moto answers those on projects.

Source: https://docs.aws.amazon.com/codebuild/latest/APIReference/API_StartBuild.html
Differs: supports the sources CODEPIPELINE, CODECOMMIT, S3 and NO_SOURCE.
"""

from __future__ import annotations

import uuid
from typing import Any

from localcloud.aws.errors import AwsError
from localcloud.aws.pagination import page
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.codebuild.engine import BuildEngine
from localcloud.codebuild.model import Build, BuildPhase
from localcloud.core.store import Collection
from localcloud.moto_backend.dispatcher import backend
from localcloud.service_context import ServiceContext

_IDS_OF_A_PAGE = 100


class CodeBuildApi:
    """Builds."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._builds = Collection(context.database, "codebuild-build", Build)
        self.engine = BuildEngine(context, self._builds)

    @operation("StartBuild")
    async def start_build(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = params["projectName"]
        project = await self._project(scope, name)
        kind = params.get("sourceTypeOverride") or project["source"]["type"]
        location = params.get("sourceLocationOverride") or project["source"].get("location", "")
        source = None
        if kind == "S3":
            bucket, _, key = location.removeprefix("arn:aws:s3:::").partition("/")
            source = (bucket, key)
        elif kind != "NO_SOURCE":
            raise AwsError(
                "InvalidInputException",
                f"The project {name} takes its source from {kind}: start its pipeline; here "
                "StartBuild builds a source of type S3 or NO_SOURCE.",
            )
        build = await self.begin(
            scope,
            project,
            initiator="root",
            source=source,
            output=None,
            source_version=params.get("sourceVersion", ""),
            overrides={
                v["name"]: v["value"] for v in params.get("environmentVariablesOverride", [])
            },
            buildspec=params.get("buildspecOverride", ""),
        )
        return {"build": _shown(build)}

    async def begin(
        self,
        scope: Scope,
        project: dict[str, Any],
        *,
        initiator: str,
        source: tuple[str, str] | None,
        output: tuple[str, str] | None,
        source_version: str,
        overrides: dict[str, str] | None = None,
        buildspec: str = "",
    ) -> Build:
        """Start a build of a project.

        Raises:
            AwsError: an environment variable has a type that is not supported here.
        """
        name = project["name"]
        variables: dict[str, str] = {}
        for variable in project["environment"].get("environmentVariables", []):
            if variable.get("type", "PLAINTEXT") != "PLAINTEXT":
                raise AwsError(
                    "InvalidInputException",
                    f"The variable {variable['name']} of type {variable['type']} is not supported "
                    "here; PLAINTEXT is.",
                )
            variables[variable["name"]] = variable["value"]
        mine = [build.number for build in self._builds.values() if build.project == name]
        unique = str(uuid.uuid4())
        logs = (project.get("logsConfig") or {}).get("cloudWatchLogs") or {}
        stem = logs.get("streamName")
        build = Build(
            arn=scope.arn("codebuild", f"build/{name}:{unique}"),
            id=f"{name}:{unique}",
            project=name,
            number=max(mine, default=0) + 1,
            initiator=initiator,
            started=self._context.clock.now(),
            log_group=logs.get("groupName") or f"/aws/codebuild/{name}",
            log_stream=f"{stem}/{unique}" if stem else unique,
            service_role=project["serviceRole"],
            timeout_minutes=int(project.get("timeoutInMinutes") or 60),
            source=source,
            output=output,
            source_version=source_version,
            buildspec=buildspec or project["source"].get("buildspec", ""),
            environment={**variables, **(overrides or {})},
        )
        self.engine.start(build)
        return build

    @operation("BatchGetBuilds")
    def batch_get_builds(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        found = {id_: self._find(scope, id_) for id_ in params["ids"]}
        return {
            "builds": [_shown(build) for build in found.values() if build is not None],
            "buildsNotFound": [id_ for id_, build in found.items() if build is None],
        }

    @operation("StopBuild")
    async def stop_build(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        build = self._find(scope, params["id"])
        if build is None:
            raise AwsError("ResourceNotFoundException", f"Build cannot be found: {params['id']}")
        await self.engine.stop(build)
        return {"build": _shown(build)}

    @operation("ListBuilds")
    def list_builds(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        return self._page(scope, None, params)

    @operation("ListBuildsForProject")
    async def list_builds_for_project(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        await self._project(scope, params["projectName"])
        return self._page(scope, params["projectName"], params)

    async def _project(self, scope: Scope, name: str) -> dict[str, Any]:
        found = await self.project(scope, name)
        if found is None:
            raise AwsError("ResourceNotFoundException", f"Project cannot be found: {name}")
        return found

    async def project(self, scope: Scope, name: str) -> dict[str, Any] | None:
        """Return a project from moto, or None; call it in moto's thread."""
        return await self._context.moto.call(_metadata, scope, name)

    def _find(self, scope: Scope, id_: str) -> Build | None:
        build = self._builds.get(id_.rpartition("build/")[2])
        return (
            build
            if build is not None and build.arn.startswith(scope.arn("codebuild", ""))
            else None
        )

    def _page(self, scope: Scope, project: str | None, params: dict[str, Any]) -> dict[str, Any]:
        newest_first = params.get("sortOrder", "DESCENDING") == "DESCENDING"
        mine = [
            build
            for build in self._builds.values()
            if build.arn.startswith(scope.arn("codebuild", "")) and project in (None, build.project)
        ]
        ordered = sorted(mine, key=lambda build: build.started, reverse=newest_first)
        ids, token = page(
            [build.id for build in ordered],
            str,
            params.get("nextToken"),
            _IDS_OF_A_PAGE,
            "InvalidInputException",
        )
        return {"ids": ids, **({"nextToken": token} if token else {})}


def _metadata(scope: Scope, name: str) -> dict[str, Any] | None:
    project = backend("codebuild", scope).codebuild_projects.get(name.rpartition("/")[2])
    return dict(project.project_metadata) if project is not None else None


def _shown(build: Build) -> dict[str, Any]:
    result: dict[str, Any] = {
        "id": build.id,
        "arn": build.arn,
        "buildNumber": build.number,
        "startTime": build.started,
        "endTime": build.ended,
        "currentPhase": build.phases[-1].name if build.phases else "SUBMITTED",
        "buildStatus": build.status.value,
        "buildComplete": build.ended is not None,
        "projectName": build.project,
        "sourceVersion": build.source_version or None,
        "resolvedSourceVersion": build.source_version or None,
        "phases": [_phase(phase) for phase in build.phases],
        "initiator": build.initiator,
        "serviceRole": build.service_role,
        "timeoutInMinutes": build.timeout_minutes,
        "logs": {"groupName": build.log_group, "streamName": build.log_stream},
        "exportedEnvironmentVariables": [
            {"name": name, "value": value} for name, value in build.exported.items()
        ],
    }
    if build.output is not None:
        result["artifacts"] = {"location": f"arn:aws:s3:::{'/'.join(build.output)}"}
    return {key: value for key, value in result.items() if value is not None}


def _phase(phase: BuildPhase) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "phaseType": phase.name,
        "phaseStatus": phase.status.value,
        "startTime": phase.started,
    }
    if phase.ended is not None:
        shown["endTime"] = phase.ended
        shown["durationInSeconds"] = int((phase.ended - phase.started).total_seconds())
    if phase.message:
        code, _, message = phase.message.partition(": ")
        shown["contexts"] = [{"statusCode": code, "message": message or code}]
    return shown
