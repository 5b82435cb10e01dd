"""The packages of images: layers of virtual environments on top of this machine's environment.

A layer has the packages that one `pip install` of a Dockerfile added to what lies below it: the
layers of the installs before it, and the environment of the local cloud. Its `.pth` file names
them, so that pip finds their packages installed and adds only what is missing or has another
version.

    layer 2   bin/python, lightgbm             RUN pip install lightgbm
    layer 1   bin/python, pandas               RUN pip install -r requirements.txt
    this environment: numpy, scikit-learn, …

A layer is known by a hash of the command, of the files that it reads, and of everything below it.
It is kept in the user's cache, since console scripts have its path written in them, and since the
next local cloud then has it, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import site
import sys
import tempfile
import venv
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from importlib.metadata import distributions
from pathlib import Path

from packaging.utils import canonicalize_name

from localcloud.core.child_process import ChildProcesses
from localcloud.core.clock import wall_sleep, wall_time
from localcloud.core.dockerfile_words import ImageError
from localcloud.core.image_packages import Install
from localcloud.core.image_tree import Content, Link, Tree, write

CACHE_VARIABLE = "LOCALCLOUD_CACHE"
_DONE = "layer.json"
_MOST_SECONDS = 1800
_MOST_BYTES = 10 * 1024**3
_UNUSED_DAYS = 30
_POLL_SECONDS = 0.2
# How this machine reaches packages. A build needs them like pip on the command line does.
_NETWORK = (
    *("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_TRUSTED_HOST", "PIP_CERT"),
    *("PIP_PROXY", "PIP_DEFAULT_TIMEOUT", "PIP_CONFIG_FILE", "PIP_NO_INDEX", "XDG_CONFIG_DIRS"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_DIR"),
)
# Of the image: they would send pip, or the Python below it, elsewhere.
_NOT_OF_THE_IMAGE = (
    "PATH",
    "HOME",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_USER",
    "VIRTUAL_ENV",
)
_NOT_PREFIXES = ("PYTHON", "LD_", "AWS_", "DYLD_")
_NO_INDEX = (
    "connection",
    "Connection",
    "Name or service not known",
    "name resolution",
    "timed out",
)


def cache_directory() -> Path:
    """Return where layers are kept: $LOCALCLOUD_CACHE, or `localcloud` in the user's cache.

    Source: https://specifications.freedesktop.org/basedir-spec/latest/
    """
    given = os.environ.get(CACHE_VARIABLE)
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "localcloud"


class PackageLayers:
    """The layers under one directory.

    Args:
        directory: where they are kept, also for other local clouds of this user.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def python(self, layers: list[str]) -> str:
        """Return the interpreter of an image with these layers."""
        return str(self._path(layers[-1]) / "bin/python") if layers else sys.executable

    def programs(self, layers: list[str]) -> list[str]:
        """Return the directories of programs, of the topmost layer first."""
        own = str(Path(sys.executable).parent)
        return [*(str(self._path(layer) / "bin") for layer in reversed(layers)), own]

    def check(self, layers: list[str], image: str) -> None:
        """Refuse layers that are not here, and note that the others are in use.

        Raises:
            ImageError: one was never built here, or was deleted.
        """
        for layer in layers:
            try:
                os.utime(self._path(layer) / _DONE)
            except OSError:
                raise ImageError(
                    f"the packages of image {image} are not on this machine; push it again with: "
                    "localcloud image push DIR --repository NAME"
                ) from None

    def version(self, layers: list[str]) -> Callable[[str], str | None]:
        """Return a function that looks the version of a package up, by its canonical name."""
        found = self._versions(layers)
        return lambda name: found.get(canonicalize_name(name))

    def _versions(self, layers: list[str]) -> dict[str, str]:
        versions: dict[str, str] = {}
        for distribution in distributions(path=self._search_path(layers)):
            name = distribution.metadata["Name"]
            if name:
                versions.setdefault(canonicalize_name(name), distribution.version)
        return versions

    async def add(
        self,
        children: ChildProcesses,
        below: list[str],
        install: Install,
        files: Mapping[str, Content],
        say: Callable[[str], None],
    ) -> list[str]:
        """Return the layers after one more install.

        Args:
            children: runs pip.
            below: the layers so far.
            install: the command.
            files: those of the image at this place of the Dockerfile, by path without a slash.
            say: gets pip's lines.

        Raises:
            ImageError: pip failed, took too long or installed too much.
        """
        layer = await asyncio.to_thread(self._id, below, install, files)
        path = self._path(layer)
        async with self._lock(layer):
            if (path / _DONE).exists():
                say(f"RUN {install.command}: in the cache")
                os.utime(path / _DONE)
                return [*below, layer]
            say(f"RUN {install.command}")
            await asyncio.to_thread(self._prepare, path, below)
            try:
                await self._pip(children, path, install, files, say)
                size = await asyncio.to_thread(_size, path)
                if size > _MOST_BYTES:
                    raise ImageError(
                        f"RUN {install.command}: it installs {size} bytes; at most {_MOST_BYTES} "
                        "are allowed"
                    )
                (path / _DONE).write_text(json.dumps({"command": install.command, "bytes": size}))
            except BaseException:
                await asyncio.shield(asyncio.to_thread(shutil.rmtree, path, ignore_errors=True))
                raise
        await asyncio.to_thread(self._prune)
        return [*below, layer]

    def _path(self, layer: str) -> Path:
        return self._directory / layer

    def _packages(self, layer: str) -> Path:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self._path(layer) / "lib" / version / "site-packages"

    def _search_path(self, layers: list[str]) -> list[str]:
        """Return where packages are found, in the topmost layer first and here at last."""
        return [*(str(self._packages(layer)) for layer in reversed(layers)), *_site_packages()]

    def _id(self, below: list[str], install: Install, files: Mapping[str, Content]) -> str:
        digest = hashlib.sha256()

        def add(*parts: str | bytes) -> None:
            for part in parts:
                data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogateescape")
                digest.update(f"{len(data)}:".encode() + data)

        add(sys.version, sys.prefix, *below, "", *install.arguments, "", install.directory)
        add(*(f"{name}={value}" for name, value in sorted(_of_the_image(install).items())), "")
        if not below:
            add(*(f"{name}=={version}" for name, version in sorted(self._versions([]).items())))
        if install.takes_files:
            for name, content in sorted(files.items()):
                add(name, content.target if isinstance(content, Link) else content.content)
        else:
            add(*(part for path, content in install.files.items() for part in (path, content)))
        return digest.hexdigest()[:32]

    @contextlib.asynccontextmanager
    async def _lock(self, layer: str) -> AsyncIterator[None]:
        """Hold a layer, also against other local clouds of this user."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._directory / f"{layer}.lock").open("w") as file:
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    await wall_sleep(_POLL_SECONDS)
            yield

    def _prepare(self, path: Path, below: list[str]) -> None:
        """Make the virtual environment; it blocks."""
        shutil.rmtree(path, ignore_errors=True)  # what an interrupted build left
        with_pip = importlib.util.find_spec("pip") is None
        try:
            venv.EnvBuilder(symlinks=True, with_pip=with_pip).create(path)
        except Exception as error:
            shutil.rmtree(path, ignore_errors=True)
            raise ImageError(
                f"no virtual environment for the image's packages can be made: {error}; install "
                "pip in this environment"
            ) from None
        lower = "".join(f"{place}\n" for place in self._search_path(below))
        (self._packages(path.name) / "below.pth").write_text(lower)

    async def _pip(
        self,
        children: ChildProcesses,
        path: Path,
        install: Install,
        files: Mapping[str, Content],
        say: Callable[[str], None],
    ) -> None:
        python = str(path / "bin/python")
        own = importlib.util.find_spec("pip") is not None
        pip = [sys.executable, "-m", "pip", "--python", python] if own else [python, "-m", "pip"]
        last: deque[str] = deque(maxlen=200)

        def sink(line: str) -> None:
            last.append(line)
            if not line.startswith(("Requirement already satisfied", "[notice]")):
                say(f"  {line}")

        with tempfile.TemporaryDirectory(dir=self._directory, prefix="build-") as name:
            home, root = Path(name, "home"), Path(name, "image")
            await asyncio.to_thread(write, root, files, install.directory)
            await asyncio.to_thread(home.mkdir)
            directory = root / Tree(files).resolve(install.directory)
            words = [_rooted(word, root) for word in install.arguments]
            child = await children.spawn(
                [*pip, "install", "--no-input", "--progress-bar", "off", *words],
                {
                    **_of_the_image(install),
                    **_of_this_machine(),
                    "PIP_CACHE_DIR": str(self._directory / "pip"),
                    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
                    "HOME": str(home),
                },
                directory,
                sink,
                python=pip[0],
            )
            try:
                await asyncio.wait_for(child.exited.wait(), _MOST_SECONDS)
            except BaseException as error:
                await asyncio.shield(child.stop(2))
                if isinstance(error, TimeoutError):
                    raise ImageError(
                        f"RUN {install.command}: it took over {_MOST_SECONDS} s, the limit"
                    ) from None
                raise
        if child.returncode != 0:
            raise ImageError(_failure(install.command, child.returncode, list(last)))

    def _prune(self) -> None:
        """Delete the layers that nobody has used for a month."""
        oldest = wall_time() - _UNUSED_DAYS * 86400
        for done in self._directory.glob(f"*/{_DONE}"):
            with contextlib.suppress(OSError):
                if done.stat().st_mtime < oldest:
                    shutil.rmtree(done.parent)
                    (self._directory / f"{done.parent.name}.lock").unlink(missing_ok=True)


def _site_packages() -> list[str]:
    known = {
        *site.getsitepackages(),
        *([site.getusersitepackages()] if site.ENABLE_USER_SITE else []),
    }
    return [path for path in sys.path if path in known and Path(path).is_dir()]


def _of_the_image(install: Install) -> Mapping[str, str]:
    """Return the variables of RUN that pip gets."""
    return {
        name: value
        for name, value in install.environment.items()
        if name not in _NOT_OF_THE_IMAGE and not name.startswith(_NOT_PREFIXES)
    }


def _of_this_machine() -> dict[str, str]:
    found = {name: os.environ[name] for name in _NETWORK if name in os.environ}
    for place in (".config/pip/pip.conf", ".pip/pip.conf"):
        file = Path.home() / place
        if "PIP_CONFIG_FILE" not in found and file.is_file():
            found["PIP_CONFIG_FILE"] = str(file)
    return found


def _rooted(word: str, root: Path) -> str:
    """Return an argument with a path of the image as one of this machine."""
    start, separator, rest = word.partition("/")
    if not separator or not (start == "" or start.endswith(("=", "file:"))):
        return word
    rest = rest.removeprefix("//") if start.endswith("file:") else rest
    there = (root / rest.partition("[")[0]).exists()
    slashes = "//" if start.endswith("file:") else ""
    return f"{start}{slashes}{root}/{rest}" if there else word


def _size(directory: Path) -> int:
    return sum(
        path.lstat().st_size for path in directory.rglob("*") if path.is_file() or path.is_symlink()
    )


def _failure(command: str, status: int | None, lines: list[str]) -> str:
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    said = " | ".join(errors[:3] or lines[-3:])
    if any(word in line for line in lines if "Retrying" in line for word in _NO_INDEX):
        return (
            f"RUN {command}: the package index does not answer ({said}). The build needs a "
            "network, or an index of yours in PIP_INDEX_URL or pip.conf"
        )
    return f"RUN {command}: pip ended with status {status}: {said}"
