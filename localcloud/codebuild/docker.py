"""`docker` in a build, for a machine without Docker: build, tag, push, inspect, login.

The local cloud carries the Dockerfile out at `build` (see core/image_builder.py), and registers the
image in ECR at `push`. Other commands and options are refused by name, with exit status 1.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from localcloud.codebuild.tools import Refused, command_line, say
from localcloud.core.build_context import pack
from localcloud.core.image_builder import ARCHITECTURES
from localcloud.core.internal_client import RequestFailed, post, post_lines

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
        """Build an image, once for all of its names."""
        options = _build_options(arguments)
        directory = Path(options.context)
        if not (directory / options.file).is_file():
            raise Refused(f"{directory} holds no {options.file}")
        query = {
            "architecture": options.architecture,
            "file": options.file,
            "target": options.target,
            "arg": options.arguments,
            "stream": "1",
        }
        built = post_lines(
            f"{os.environ['AWS_ENDPOINT_URL']}/_localcloud/images/build"
            f"?{urlencode(query, doseq=True)}",
            pack(directory, options.file),
            say,
        )
        for note in built["notes"]:
            say(note)
        images = self.load()
        for name in options.names:
            images[_named(name)] = {"digest": built["digest"]}
        self.keep(images)
        if options.quiet:
            return str(built["digest"])
        return "\n".join(f"Built {directory} as {name}" for name in options.names)

    def tag(self, arguments: list[str]) -> str:
        """Give an image another name."""
        if len(arguments) != 2:
            raise Refused("docker tag needs a source and a target")
        source, target = arguments
        image = self.one(source)
        self.keep({**self.load(), _named(target): {"digest": image["digest"]}})
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
            f"&account={match['account'] or ''}&digest={image['digest']}"
            f"&access_key={os.environ.get('AWS_ACCESS_KEY_ID', '')}",
            b"",
        )
        pushed: dict[str, Any] = json.loads(answer)
        images = self.load()
        images[_named(names[0])] = {**image, **pushed}
        self.keep(images)
        return f"{match['tag']}: digest: {pushed['digest']}"

    def inspect(self, arguments: list[str]) -> str:
        """Print an image's digest."""
        words = [part for word in arguments for part in _split(word)]
        if len(words) != 3 or words[0] not in ("--format", "-f"):
            raise Refused("docker inspect needs --format TEMPLATE IMAGE here")
        image = self.one(words[2])
        if words[1] not in (_DIGEST, _ID):
            raise Refused(f"docker inspect --format {words[1]} is not supported; {_DIGEST} is")
        if words[1] == _ID:
            return str(image["digest"])
        if "uri" not in image:
            raise Refused(f"{words[2]} was not pushed: no registry has its digest")
        return str(image["uri"])

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


@dataclass(slots=True)
class _BuildOptions:
    names: list[str] = field(default_factory=list)
    context: str = "."
    file: str = "Dockerfile"
    target: str = ""
    architecture: str = ARCHITECTURES[0]
    arguments: list[str] = field(default_factory=list)
    quiet: bool = False


def _build_options(arguments: list[str]) -> _BuildOptions:
    """Read the words after `docker build`.

    Raises:
        Refused: an option that is not supported, or no name.
    """
    options = _BuildOptions()
    rest = iter(arguments)
    for word in rest:
        flag, _, value = word.partition("=")
        if flag in ("-q", "--quiet"):
            options.quiet = True
        elif flag in ("--no-cache", "--pull", "--rm", "--force-rm", "--load"):
            continue
        elif flag in ("-t", "--tag"):
            options.names.append(value or next(rest, ""))
        elif flag in ("-f", "--file"):
            options.file = value or next(rest, "")
        elif flag == "--target":
            options.target = value or next(rest, "")
        elif flag == "--build-arg":
            given = value or next(rest, "")
            name, equals, _ = given.partition("=")
            options.arguments.append(given if equals else f"{name}={os.environ.get(name, '')}")
        elif flag == "--platform":
            options.architecture = _architecture(value or next(rest, ""))
        elif flag in ("--progress", "--provenance", "--sbom", "--label", "--cache-from"):
            value or next(rest, "")
        elif word.startswith("-"):
            raise Refused(f"docker build {flag} is not supported by the local cloud")
        else:
            options.context = word
    if not options.names:
        raise Refused("docker build needs --tag NAME here")
    # Docker takes the file's path from where it runs, and a build context knows its own only.
    directory, file = Path(options.context).resolve(), Path(options.file).resolve()
    if options.file != "Dockerfile":
        if not file.is_relative_to(directory):
            raise Refused(f"docker build --file {options.file}: it must be inside {directory}")
        options.file = str(file.relative_to(directory))
    return options


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
