"""Scripts that are run while the local cloud starts and stops, in LocalStack's places.

    DIR/boot.d       before anything else; the endpoint has no address yet
    DIR/start.d      before the endpoint answers
    DIR/ready.d      once it answers; requests are served meanwhile
    DIR/shutdown.d   while it still answers, in the last five seconds

The scripts of a stage run one after the other, by name; those of a subdirectory after those beside
it. `.sh` must be executable, and `.py` is run by this interpreter. Nothing is run from a directory
that the user did not name. Must not: know what the scripts do.

Source: https://docs.localstack.cloud/references/init-hooks
Differs: a Python script is a process of its own; there is no default directory; a file of another
kind, such as `.tf`, is an error.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from localcloud.aws.routing import DEFAULT_REGION
from localcloud.core.child_process import Child, ChildProcesses
from localcloud.core.clock import monotonic

log = logging.getLogger("localcloud.init")

# Wall-clock seconds of one script, and of all scripts while the local cloud stops.
SCRIPT_SECONDS = 300.0
SHUTDOWN_SECONDS = 5.0
MOST_SCRIPTS = 100
_GRACE_SECONDS = 1.0


class Stage(StrEnum):
    """A phase of the local cloud's life, in order."""

    BOOT = "BOOT"
    START = "START"
    READY = "READY"
    SHUTDOWN = "SHUTDOWN"


class State(StrEnum):
    """The state of a script."""

    UNKNOWN = "UNKNOWN"
    RUNNING = "RUNNING"
    SUCCESSFUL = "SUCCESSFUL"
    ERROR = "ERROR"


class InitError(ValueError):
    """The directory of the scripts cannot be used; the message says why."""


@dataclass(slots=True)
class Script:
    """A script, and how far it is."""

    stage: Stage
    path: Path
    state: State = State.UNKNOWN

    def document(self) -> dict[str, str]:
        """Return it as LocalStack's route shows it."""
        return {"stage": self.stage, "name": self.path.name, "state": self.state}


class InitScripts:
    """The scripts of a directory.

    Args:
        directory: the directory with the stages' directories; None for no scripts.
        script_seconds: the time that a script has, in wall-clock seconds.

    Raises:
        InitError: there is no such directory, or a stage has too many scripts.
    """

    def __init__(
        self, directory: Path | None = None, script_seconds: float = SCRIPT_SECONDS
    ) -> None:
        self._script_seconds = script_seconds
        self._completed = dict.fromkeys(Stage, False)
        self._children = ChildProcesses()
        self._scripts: dict[Stage, list[Script]] = {stage: [] for stage in Stage}
        if directory is not None:
            self._find(directory.absolute())

    def _find(self, directory: Path) -> None:
        places = {stage: directory / f"{stage.lower()}.d" for stage in Stage}
        if not directory.is_dir():
            raise InitError(f"--init: there is no directory {directory}")
        if not any(place.is_dir() for place in places.values()):
            names = ", ".join(place.name for place in places.values())
            log.warning("%s has no scripts: it has none of %s", directory, names)
        for stage, place in places.items():
            self._scripts[stage] = [Script(stage, path) for path in _files(place)]
            if len(self._scripts[stage]) > MOST_SCRIPTS:
                raise InitError(
                    f"--init: {place} has more than {MOST_SCRIPTS} scripts, the limit; "
                    "call some of them from another one"
                )

    def document(self, stage: Stage | None = None) -> dict[str, Any]:
        """Return the state of all stages, or of one, as LocalStack's routes show it."""
        stages = list(Stage) if stage is None else [stage]
        scripts = [script.document() for each in stages for script in self._scripts[each]]
        completed: Any = dict(self._completed) if stage is None else self._completed[stage]
        return {"completed": completed, "scripts": scripts}

    async def run(self, stage: Stage, endpoint_url: str | None) -> None:
        """Run the scripts of a stage; one that fails never stops the others.

        Args:
            stage: the stage.
            endpoint_url: the local cloud's address, where it has one already.
        """
        end = monotonic() + SHUTDOWN_SECONDS
        for script in self._scripts[stage]:
            limit = self._script_seconds
            if stage is Stage.SHUTDOWN:
                limit = min(limit, end - monotonic())
            script.state = State.RUNNING
            problem = await self._run(script, endpoint_url, limit)
            script.state = State.ERROR if problem else State.SUCCESSFUL
            if problem:
                log.error("the script %s failed: %s", script.path, problem)
            else:
                log.info("the script %s succeeded", script.path)
        self._completed[stage] = True

    async def _run(self, script: Script, endpoint_url: str | None, seconds: float) -> str:
        """Run a script; return what went wrong, or an empty string."""
        command, problem = _command(script.path)
        if problem or seconds <= 0:
            return problem or f"the {SHUTDOWN_SECONDS:g} s of its stage were over"
        with tempfile.TemporaryDirectory(prefix="localcloud-init-") as home:
            try:
                child = await self._children.spawn(
                    command,
                    _environment(endpoint_url, home),
                    script.path.parent,
                    lambda line: log.info("%s: %s", script.path.name, line),
                )
            except OSError as error:
                return f"{error.strerror}; its first line must name its program, as #!/bin/bash"
            return await self._wait(child, seconds)

    @staticmethod
    async def _wait(child: Child, seconds: float) -> str:
        try:
            await asyncio.wait_for(child.exited.wait(), seconds)
        except TimeoutError:
            await child.stop(_GRACE_SECONDS)
            return f"it did not end within {seconds:.0f} s"
        except asyncio.CancelledError:
            await child.stop(_GRACE_SECONDS)
            raise
        return "" if child.returncode == 0 else f"exit status {child.returncode}"


def _command(path: Path) -> tuple[list[str], str]:
    """Return the command of a script, or what keeps it from being run."""
    match path.suffix:
        case ".py":
            return [sys.executable, str(path)], ""
        case ".sh" if os.access(path, os.X_OK):
            return [str(path)], ""
        case ".sh":
            return [], f"it is not executable: chmod +x {path}"
    return [], f"a file of the kind '{path.suffix or path.name}' is not run, only .sh and .py"


def _environment(endpoint_url: str | None, home: str) -> dict[str, str]:
    """Return the variables of a script, which has none of the user's credentials."""
    # The commands of this environment, such as localcloud.
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    variables = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": DEFAULT_REGION,
        "AWS_DEFAULT_REGION": DEFAULT_REGION,
        "HOME": home,
        "PATH": path,
    }
    if endpoint_url is not None:
        variables["AWS_ENDPOINT_URL"] = endpoint_url
        variables["LOCALSTACK_HOST"] = endpoint_url.partition("://")[2]
    return variables


def _files(directory: Path) -> Iterator[Path]:
    """Yield the files of a directory by name, and then those of its subdirectories."""
    try:
        entries = sorted(e for e in directory.iterdir() if not e.name.startswith((".", "_")))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise InitError(f"--init: {directory} cannot be read: {error.strerror}") from None
    yield from (entry for entry in entries if entry.is_file())
    for entry in entries:
        if entry.is_dir() and not entry.is_symlink():
            yield from _files(entry)
