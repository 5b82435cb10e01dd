"""`docker` in a build, for a machine without Docker: build, tag, push, inspect, login.

An image is a build context laid out by its Dockerfile (see core/image_store.py). It is packed at
`build` and registered in ECR at `push`. Other commands and options are refused by name, with exit
status 1.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from localcloud.codebuild.tools import Refused, command_line
from localcloud.core.build_context import pack
from localcloud.core.image_store import ARCHITECTURES
from localcloud.core.internal_client import RequestFailed, post

_IMAGE = re.compile(
    r"(?:(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[^/]+/)?"
    r"(?P<repository>[a-z0-9._/-]+)(?::(?P<tag>[\w.-]+))?"
)
# The supported templates of `docker inspect --format`.
_DIGEST = "{{index .RepoDigests 0}}"
_ID = "{{.Id}}"


class Images:
    """The images that one build made, in its state directory."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._file = state / "images.json"

    def load(self) -> dict[str, dict[str, Any]]:
        """Return the record of each image, by name."""
        found: dict[str, dict[str, Any]] = (
            json.loads(self._file.read_text()) if self._file.exists() else {}
        )
        return found

    def keep(self, images: dict[str, dict[str, Any]]) -> None:
        """Write the records."""
        self._file.write_text(json.dumps(images))

    def one(self, name: str) -> dict[str, Any]:
        """Return the record of an image.

        Raises:
            Refused: there is no image of that name.
        """
        found = self.load().get(_named(name))
        if found is None:
            raise Refused(f"No such image: {name}")
        return found

    def build(self, arguments: list[str]) -> str:
        """Pack a build context, once for each given name."""
        names, context, architecture = [], "", ARCHITECTURES[0]
        rest = iter(arguments)
        for word in rest:
            flag, _, value = word.partition("=")
            if flag in ("-t", "--tag"):
                names.append(value or next(rest, ""))
            elif flag in ("-q", "--quiet", "--no-cache", "--pull"):
                continue
            elif flag == "--platform":
                architecture = _architecture(value or next(rest, ""))
            elif flag in ("--progress", "--provenance", "--sbom"):
                value or next(rest, "")
            elif word.startswith("-"):
                raise Refused(f"docker build {flag} is not supported by the local cloud")
            else:
                context = word
        directory = Path(context or ".")
        if not names:
            raise Refused("docker build needs --tag NAME here")
        if not (directory / "Dockerfile").is_file():
            raise Refused(f"{directory} holds no Dockerfile")
        body = pack(directory)
        images = self.load()
        for name in names:
            file = self._state / f"image-{len(images)}.tar"
            file.write_bytes(body)
            images[_named(name)] = {"context": str(file), "architecture": architecture}
        self.keep(images)
        return "\n".join(f"Packed {directory} as {name}" for name in names)

    def tag(self, arguments: list[str]) -> str:
        """Give an image another name."""
        if len(arguments) != 2:
            raise Refused("docker tag needs a source and a target")
        source, target = arguments
        image = self.one(source)
        kept = {key: image[key] for key in ("context", "architecture")}
        self.keep({**self.load(), _named(target): kept})
        return ""

    def push(self, arguments: list[str]) -> str:
        """Register an image in ECR."""
        names = [word for word in arguments if word not in ("-q", "--quiet")]
        if len(names) != 1 or names[0].startswith("-"):
            raise Refused("docker push needs one image")
        image = self.one(names[0])
        match = _IMAGE.fullmatch(_named(names[0]))
        if match is None:
            raise Refused(f"invalid reference format: {names[0]}")
        region = match["region"] or os.environ.get("AWS_DEFAULT_REGION", "us-east-1")
        answer = post(
            f"{os.environ['AWS_ENDPOINT_URL']}/_localcloud/images"
            f"?repository={match['repository']}&tag={match['tag']}&region={region}"
            f"&account={match['account'] or ''}&architecture={image['architecture']}"
            f"&access_key={os.environ.get('AWS_ACCESS_KEY_ID', '')}",
            Path(image["context"]).read_bytes(),
        )
        pushed: dict[str, Any] = json.loads(answer)
        notes = pushed.pop("notes", [])
        images = self.load()
        images[_named(names[0])] = {**image, **pushed}
        self.keep(images)
        return "\n".join([*notes, f"{match['tag']}: digest: {pushed['digest']}"])

    def inspect(self, arguments: list[str]) -> str:
        """Print an image's digest."""
        words = [part for word in arguments for part in _split(word)]
        if len(words) != 3 or words[0] not in ("--format", "-f"):
            raise Refused("docker inspect needs --format TEMPLATE IMAGE here")
        image = self.one(words[2])
        if words[1] not in (_DIGEST, _ID):
            raise Refused(f"docker inspect --format {words[1]} is not supported; {_DIGEST} is")
        if "digest" not in image:
            raise Refused(f"{words[2]} was not pushed: it has no digest")
        return str(image["uri"] if words[1] == _DIGEST else image["digest"])

    def login(self, arguments: list[str]) -> str:
        """Accept any password."""
        if "--password-stdin" in arguments:
            sys.stdin.read()
        return "Login Succeeded"


def run(arguments: Sequence[str], state: Path) -> str:
    """Carry out one command; return what it prints.

    Raises:
        Refused: this command line does not support it.
        RequestFailed: the local cloud refused it.
    """
    images = Images(state)
    known = {
        "build": images.build,
        "inspect": images.inspect,
        "login": images.login,
        "push": images.push,
        "tag": images.tag,
    }
    words = list(arguments)
    if words[:1] == ["image"] and words[1:2] and words[1] in known:
        words = words[1:]
    command = words[0] if words else ""
    if command not in known:
        raise Refused(
            f"docker {command} is not supported here; the commands are: {', '.join(known)}"
        )
    return known[command](words[1:])


def _architecture(platform: str) -> str:
    """Return the architecture of a platform such as `linux/arm64`.

    Raises:
        Refused: the local cloud has no images for it.
    """
    known = {f"linux/{architecture}": architecture for architecture in ARCHITECTURES}
    if platform not in known:
        raise Refused(f"docker build --platform is '{platform}'; it must be {' or '.join(known)}")
    return known[platform]


def _named(name: str) -> str:
    """Return a name with its tag, or with `latest` if it has none."""
    return name if ":" in name.rpartition("/")[2] else f"{name}:latest"


def _split(word: str) -> list[str]:
    return word.split("=", 1) if word.startswith("--") and "=" in word else [word]


def main() -> int:
    """Run the command line."""
    state = Path(os.environ["LOCALCLOUD_BUILD_STATE"])
    return command_line("docker", lambda: run(sys.argv[1:], state), (RequestFailed,))


if __name__ == "__main__":
    raise SystemExit(main())
