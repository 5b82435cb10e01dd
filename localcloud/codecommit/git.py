"""Bare Git repositories on disk. Only this module calls the git program; it does not know AWS."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from localcloud.core.child_process import base_environment

SERVICES = ("git-upload-pack", "git-receive-pack")
_NUL = "%x00"
_COMMIT = _NUL.join(("%H", "%T", "%P", "%an", "%ae", "%ad", "%cn", "%ce", "%cd", "%B"))


class GitError(Exception):
    """The git program failed; the message is its own."""


@dataclass(frozen=True, slots=True)
class Person:
    """An author or committer, with the time as `<epoch seconds> <offset>`."""

    name: str
    email: str
    date: str


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit."""

    id: str
    tree: str
    parents: list[str]
    author: Person
    committer: Person
    message: str


class GitRepository:
    """One bare repository, created when it is first used."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def advertise(self, service: str) -> bytes:
        """Return the advertisement of references, the first response of a clone or a push."""
        await self._ensure()
        refs = await self._git(
            service.removeprefix("git-"), "--stateless-rpc", "--advertise-refs", "."
        )
        line = f"# service={service}\n".encode()
        return f"{len(line) + 4:04x}".encode() + line + b"0000" + refs

    async def exchange(self, service: str, request: bytes) -> bytes:
        """Carry out one request of `git fetch` or `git push`."""
        await self._ensure()
        return await self._git(service.removeprefix("git-"), "--stateless-rpc", ".", stdin=request)

    async def references(self) -> dict[str, str]:
        """Return the commit of each reference, by full name, for example `refs/heads/main`."""
        if not self._directory.exists():
            return {}
        found = await self._git("for-each-ref", "--format=%(refname) %(objectname)")
        lines = (line.partition(" ") for line in found.decode().splitlines())
        return {name: commit for name, _, commit in lines}

    async def commit(self, revision: str) -> Commit:
        """Return a commit.

        Raises:
            GitError: there is no such commit.
        """
        if not self._directory.exists() or revision.startswith("-"):
            raise GitError(f"no commit {revision}")
        text = await self._git("show", "--no-patch", "--date=raw", f"--format={_COMMIT}", revision)
        fields = text.decode("utf-8", "replace").split("\0")
        return Commit(
            id=fields[0],
            tree=fields[1],
            parents=fields[2].split(),
            author=Person(*fields[3:6]),
            committer=Person(*fields[6:9]),
            message=fields[9].strip("\n"),
        )

    async def archive(self, revision: str) -> bytes:
        """Return the files of a commit as a zip archive.

        Raises:
            GitError: there is no such commit.
        """
        return await self._git("archive", "--format=zip", revision)

    def remove(self) -> None:
        """Delete the repository with its content."""
        shutil.rmtree(self._directory, ignore_errors=True)

    async def _ensure(self) -> None:
        if not (self._directory / "HEAD").exists():
            self._directory.mkdir(parents=True, exist_ok=True)
            await self._git("init", "--quiet", "--bare", "--initial-branch=main", ".")
            await self._git("config", "http.receivepack", "true")

    async def _git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        return await asyncio.to_thread(self._run, arguments, stdin)

    def _run(self, arguments: tuple[str, ...], stdin: bytes) -> bytes:
        # Without the settings of the user and the system, whose hooks and helpers must not run.
        alone = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
        try:
            done = subprocess.run(
                ("git", *arguments),
                input=stdin,
                capture_output=True,
                cwd=self._directory,
                env={**base_environment(), **alone},
                check=False,
            )
        except FileNotFoundError:
            raise GitError("the program git is not on this machine: install it") from None
        if done.returncode != 0:
            error = done.stderr.decode("utf-8", "replace").strip()
            raise GitError(error or f"git {arguments[0]} failed")
        return done.stdout
