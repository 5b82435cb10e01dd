"""The engine of builds: source into a clean directory, phases, artifact.

Source: https://docs.aws.amazon.com/codebuild/latest/userguide/view-build-details.html#view-build-details-phases
Differs: a build runs as processes on this machine, not in a container. `docker` is this package's
own, and so is `aws` if the machine has none; they refuse by name what they do not support.
"""

from __future__ import annotations

import asyncio
import io
import logging
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

from localcloud.aws.routing import scope_of_arn
from localcloud.codebuild.buildspec import Buildspec, BuildspecError, Phase, parse
from localcloud.codebuild.model import Build, BuildPhase, BuildStatus
from localcloud.codebuild.shell import read_variables, script
from localcloud.core.archives import ArchiveError, Bounds, unzip
from localcloud.core.child_process import Child
from localcloud.core.clock import monotonic
from localcloud.core.store import Collection
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.codebuild")

DEFAULT_BUILDSPEC = "buildspec.yml"
_STOP_GRACE_SECONDS = 2.0
_SOURCE_BOUNDS = Bounds(most_bytes=4 * 1024**3, most_entries=200_000)
# A build gets the machine's programs, not those of the user who started the local cloud.
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class BuildFailed(Exception):
    """The build failed; the message becomes the context of its phase."""


class BuildEngine:
    """Runs builds."""

    def __init__(self, context: ServiceContext, builds: Collection[Build]) -> None:
        self._context = context
        self._builds = builds
        self._children: dict[str, Child] = {}
        self._stopping: set[str] = set()
        self._ended: dict[str, asyncio.Event] = {}

    def start(self, build: Build) -> None:
        """Begin a build."""
        self._ended[build.id] = asyncio.Event()
        self._builds.put(build.id, build)
        self._context.spawn(f"build {build.id}", self._run(build))

    async def wait(self, build: Build) -> None:
        """Wait until a build ends."""
        event = self._ended.get(build.id)
        if event is not None:
            await event.wait()

    def resume(self) -> None:
        """Fail the builds that a restart interrupted."""
        now = self._context.clock.now()
        for build in self._builds.values():
            if build.status is BuildStatus.IN_PROGRESS:
                for phase in build.phases[-1:]:
                    phase.status, phase.ended = BuildStatus.FAULT, now
                    phase.message = "INTERNAL_SERVICE_ERROR: the local cloud was restarted"
                build.end(BuildStatus.FAULT, now)
                self._builds.put(build.id, build)

    def children(self) -> list[Child]:
        """Return the processes that run now."""
        return list(self._children.values())

    async def stop(self, build: Build) -> None:
        """Stop a build's processes; its status becomes STOPPED."""
        self._stopping.add(build.id)
        child = self._children.get(build.id)
        if child is not None:
            await child.stop(_STOP_GRACE_SECONDS)
        await self.wait(build)

    async def _run(self, build: Build) -> None:
        directory = self._context.directory / "builds" / build.id.replace(":", "-")
        status = BuildStatus.FAULT
        try:
            status = await self._steps(build, directory)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.exception("build %s", build.id)
            if build.phases:
                build.phases[-1].message = f"INTERNAL_SERVICE_ERROR: {error}"
        finally:
            self._children.pop(build.id, None)
            shutil.rmtree(directory, ignore_errors=True)
            await self._context.logs.flush()
            now = self._context.clock.now()
            for phase in build.phases:
                if phase.ended is None:
                    phase.status, phase.ended = status, now
            if build.id in self._stopping:
                status = BuildStatus.STOPPED
                self._stopping.discard(build.id)
            build.begin("COMPLETED", now).status = BuildStatus.SUCCEEDED
            build.end(status, now)
            self._builds.put(build.id, build)
            self._ended.pop(build.id, asyncio.Event()).set()

    async def _steps(self, build: Build, directory: Path) -> BuildStatus:
        deadline = monotonic() + build.timeout_minutes * 60
        source, state, tools = directory / "src", directory / "state", directory / "bin"
        for path in (source, state, tools):
            path.mkdir(parents=True, exist_ok=True)
        phase = self._begin(build, "DOWNLOAD_SOURCE")
        try:
            if build.source is not None:
                await self._download(build, source)
            spec = parse(_buildspec(build, source))
            environment = await self._environment(build, spec, source, state, tools)
        except (BuildFailed, BuildspecError) as error:
            return self._end(build, phase, BuildStatus.FAILED, str(error))
        self._end(build, phase, BuildStatus.SUCCEEDED)
        succeeded = True
        for declared in spec.phases:
            # After a failure only post_build runs; CODEBUILD_BUILD_SUCCEEDING tells it.
            if not succeeded and declared.name != "post_build":
                continue
            phase = self._begin(build, declared.name.upper())
            status, message = await self._phase(
                build, declared, environment, (source, state), deadline, succeeded=succeeded
            )
            self._end(build, phase, status, message)
            if status in (BuildStatus.TIMED_OUT, BuildStatus.STOPPED):
                return status
            if status is not BuildStatus.SUCCEEDED and declared.abort_on_failure:
                succeeded = False
        if not succeeded:
            return BuildStatus.FAILED
        build.exported = await self._exported(spec, state, environment)
        phase = self._begin(build, "UPLOAD_ARTIFACTS")
        try:
            await self._upload(build, spec, source)
        except BuildFailed as error:
            return self._end(build, phase, BuildStatus.FAILED, str(error))
        return self._end(build, phase, BuildStatus.SUCCEEDED)

    def _begin(self, build: Build, name: str) -> BuildPhase:
        self._write(build, f"[Container] Entering phase {name}")
        phase = build.begin(name, self._context.clock.now())
        self._builds.put(build.id, build)
        return phase

    def _end(
        self, build: Build, phase: BuildPhase, status: BuildStatus, message: str = ""
    ) -> BuildStatus:
        phase.status, phase.message, phase.ended = status, message, self._context.clock.now()
        said = f" Message: {message}" if message else ""
        self._write(build, f"[Container] Phase complete: {phase.name} State: {status}{said}")
        self._builds.put(build.id, build)
        return status

    def _write(self, build: Build, line: str) -> None:
        scope = scope_of_arn(build.arn)
        self._context.logs.write(scope, build.log_group, build.log_stream, line, build.service_role)

    async def _download(self, build: Build, source: Path) -> None:
        bucket, key = build.source or ("", "")
        try:
            answer = await self._api(build, "s3", "get_object", Bucket=bucket, Key=key)
            content = await asyncio.to_thread(answer["Body"].read)
            await asyncio.to_thread(unzip, content, source, _SOURCE_BOUNDS)
        except ArchiveError as error:
            raise BuildFailed(f"CLIENT_ERROR: s3://{bucket}/{key}: {error}") from None
        except Exception as error:
            raise BuildFailed(
                f"CLIENT_ERROR: could not read s3://{bucket}/{key}: {error}"
            ) from error

    async def _environment(
        self, build: Build, spec: Buildspec, source: Path, state: Path, tools: Path
    ) -> dict[str, str]:
        scope = scope_of_arn(build.arn)
        shared = await asyncio.to_thread(_make_tools, tools)
        parameters = {
            name: await self._parameter(build, parameter)
            for name, parameter in spec.parameters.items()
        }
        return {
            **spec.variables,
            **parameters,
            **build.environment,
            **self._context.role_environment(scope, build.service_role, state),
            "CODEBUILD_BUILD_ARN": build.arn,
            "CODEBUILD_BUILD_ID": build.id,
            "CODEBUILD_BUILD_NUMBER": str(build.number),
            "CODEBUILD_INITIATOR": build.initiator,
            "CODEBUILD_LOG_PATH": build.log_stream,
            "CODEBUILD_RESOLVED_SOURCE_VERSION": build.source_version,
            "CODEBUILD_SOURCE_VERSION": build.source_version,
            "CODEBUILD_SRC_DIR": str(source),
            "CODEBUILD_START_TIME": str(int(build.started.timestamp() * 1000)),
            "LOCALCLOUD_BUILD_STATE": str(state),
            "PATH": shared,
        }

    async def _api(
        self, build: Build, service: str, operation: str, **parameters: Any
    ) -> dict[str, Any]:
        """Call an AWS API as the build's role."""
        return await self._context.api(
            scope_of_arn(build.arn), service, operation, principal=build.service_role, **parameters
        )

    async def _parameter(self, build: Build, name: str) -> str:
        try:
            answer = await self._api(build, "ssm", "get_parameter", Name=name, WithDecryption=True)
        except Exception as error:
            raise BuildFailed(f"Parameter Store: {name}: {error}") from error
        return str(answer["Parameter"]["Value"])

    async def _phase(
        self,
        build: Build,
        phase: Phase,
        environment: dict[str, str],
        places: tuple[Path, Path],
        deadline: float,
        *,
        succeeded: bool,
    ) -> tuple[BuildStatus, str]:
        """Run a phase's commands, then its `finally` commands."""
        said = {"CODEBUILD_BUILD_SUCCEEDING": "1" if succeeded else "0"}
        status, message = BuildStatus.SUCCEEDED, ""
        for commands in (phase.commands, phase.at_last):
            if not commands:
                continue
            found, text = await self._shell(
                build, script(commands, places[1], said), environment, places, deadline
            )
            if status is BuildStatus.SUCCEEDED:
                status, message = found, text
            if found in (BuildStatus.TIMED_OUT, BuildStatus.STOPPED):
                return found, text
        return status, message

    async def _shell(
        self,
        build: Build,
        text: str,
        environment: dict[str, str],
        places: tuple[Path, Path],
        deadline: float,
    ) -> tuple[BuildStatus, str]:
        source, state = places
        if build.id in self._stopping:
            return BuildStatus.STOPPED, ""
        file = state / "phase.sh"
        file.write_text(text)
        last = [""]

        def sink(line: str) -> None:
            if line.startswith("[Container] Running command "):
                last[0] = line.removeprefix("[Container] Running command ")
            self._write(build, line)

        child = await self._context.children.spawn(["bash", str(file)], environment, source, sink)
        self._children[build.id] = child
        try:
            await asyncio.wait_for(child.exited.wait(), max(deadline - monotonic(), 0))
        except TimeoutError:
            await child.stop(_STOP_GRACE_SECONDS)
            minutes = build.timeout_minutes
            return BuildStatus.TIMED_OUT, f"BUILD_TIMED_OUT: over {minutes} minutes"
        if build.id in self._stopping:
            return BuildStatus.STOPPED, ""
        if child.returncode == 0:
            return BuildStatus.SUCCEEDED, ""
        return (
            BuildStatus.FAILED,
            f"COMMAND_EXECUTION_ERROR: Error while executing command: {last[0]}. Reason: exit "
            f"status {child.returncode}",
        )

    async def _exported(
        self, spec: Buildspec, state: Path, environment: dict[str, str]
    ) -> dict[str, str]:
        if not spec.exported:
            return {}
        file = state / "exported.sh"
        file.write_text(read_variables(spec.exported, state))
        lines: list[str] = []
        child = await self._context.children.spawn(
            ["bash", str(file)], environment, state, lines.append
        )
        await child.exited.wait()
        pairs = (item.partition("=") for item in "\n".join(lines).split("\0") if "=" in item)
        return {name: value for name, _, value in pairs}

    async def _upload(self, build: Build, spec: Buildspec, source: Path) -> None:
        if build.output is None:
            return
        content = await asyncio.to_thread(_pack, spec, source)
        bucket, key = build.output
        try:
            await self._api(build, "s3", "put_object", Bucket=bucket, Key=key, Body=content)
        except Exception as error:
            raise BuildFailed(f"CLIENT_ERROR: could not write the artifact: {error}") from error


def _buildspec(build: Build, source: Path) -> str:
    """Return the buildspec: that of the project, or a file of the source.

    Raises:
        BuildFailed: the file does not exist.
    """
    given = build.buildspec.strip() or DEFAULT_BUILDSPEC
    if "\n" in given or given.startswith("{"):  # a JSON document may be one line
        return given
    try:
        path = (source / given).resolve()
        found = path.is_relative_to(source.resolve()) and path.is_file()
        if found:
            return path.read_text("utf-8")
    except (OSError, ValueError) as error:  # for example a name that is too long
        raise BuildFailed(f"YAML_FILE_ERROR: {given[:200]}: {error}") from None
    raise BuildFailed(f"YAML_FILE_ERROR: {given[:200]}: no such file in the source")


@cache
def reads_endpoints(program: str | None) -> bool:
    """Return whether an AWS CLI reads AWS_ENDPOINT_URL: since 2.13, and 1.29 of version 1.

    An older one, such as Debian's, would call AWS itself.
    Source: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    """
    if program is None:
        return False
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    found = re.search(r"aws-cli/(\d+)\.(\d+)", said.stdout + said.stderr)
    if found is None:
        return False
    version = int(found[1]), int(found[2])
    return version >= ((2, 13) if version[0] >= 2 else (1, 29))


def _make_tools(directory: Path) -> str:
    """Create commands for `docker`, this Python and `aws` if it is missing or too old.

    Returns: their PATH.
    """
    modules = {"docker": "localcloud.codebuild.docker"}
    if not reads_endpoints(shutil.which("aws", path=_PATH)):
        modules["aws"] = "localcloud.codebuild.aws"
    package = str(Path(__file__).resolve().parents[2])
    for name, module in modules.items():
        tool = directory / name
        tool.write_text(
            "#!/bin/sh\n"
            f"PYTHONPATH={shlex.quote(package)} exec {shlex.quote(sys.executable)} "
            f'-m {module} "$@"\n'
        )
        tool.chmod(0o755)
    for name in ("python", "python3"):
        (directory / name).symlink_to(sys.executable)
    return f"{directory}:{_PATH}"


def _pack(spec: Buildspec, source: Path) -> bytes:
    """Return the artifact.

    Raises:
        BuildFailed: no file matches.
    """
    base = (source / spec.base_directory).resolve()
    if not base.is_relative_to(source.resolve()):
        raise BuildFailed("CLIENT_ERROR: base-directory is outside of the source")
    files = sorted(path for path in base.rglob("*") if path.is_file())
    chosen = [
        path
        for path in files
        if any(_matches(str(path.relative_to(base)), pattern) for pattern in spec.files)
    ]
    if spec.files and not chosen:
        raise BuildFailed(f"CLIENT_ERROR: no matching artifact paths found: {spec.files}")
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in chosen:
            name = path.name if spec.discard_paths else str(path.relative_to(base))
            archive.write(path, name)
    return buffer.getvalue()


def _matches(name: str, pattern: str) -> bool:
    # `**/*` matches every file, including those at the top.
    pattern = pattern.removeprefix("./")
    return fnmatch(name, pattern) or fnmatch(name, pattern.replace("**/", ""))
