"""`localcloud pulumi ARGS`: the real Pulumi CLI against the local cloud.

The command has a backend, a passphrase and a home of its own under the state directory, works on a
copy of the stack files, and sees nothing of the user's login, state or AWS account. First on its
PATH, and on no other, lies the resource plug-in of `localcloud/deploy/plugin.py`. Pulumi prefers a
plug-in from the PATH, so that one must never be installed where a person's shell finds it.

Source: https://www.pulumi.com/docs/iac/cli/environment-variables/
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from localcloud.cli.console import CommandError, own_account, require_project
from localcloud.core.internal_client import get

_KEPT = ("PATH", "TERM", "LANG", "LC_ALL", "NO_COLOR", "COLUMNS", "LINES", "TMPDIR", "TZ")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_SALT = ("encryptionsalt:", "encryptedkey:", "secretsprovider:")


def run(arguments: Sequence[str], url: str, project: Path, state: Path, provider: str) -> NoReturn:
    """Become the Pulumi CLI: it gets the signals, so that Ctrl-C cancels as it does in Pulumi.

    Args:
        arguments: the arguments of `pulumi`.
        url: the address of the local cloud.
        project: the directory with Pulumi.yaml.
        state: the state directory of the local cloud.
        provider: `localcloud` for the plug-in here, `aws` for Pulumi's own.

    Raises:
        CommandError: there is no `pulumi`, no project or no local cloud.
    """
    program = shutil.which("pulumi")
    if program is None:
        raise CommandError(
            "there is no `pulumi` on the PATH; install it from "
            "https://www.pulumi.com/docs/install, or use `localcloud up`, which needs none"
        )
    require_project(project)
    host = urlsplit(url).hostname or ""
    if host not in _LOOPBACK:
        raise CommandError(f"the address is {url}; `localcloud pulumi` uses this machine only")
    get(f"{url}/_localstack/health")
    home = (state / "pulumi").resolve()
    (home / "backend").mkdir(parents=True, exist_ok=True)
    remove_torn_attributes(home / "backend", cancelling=arguments[:1] == ["cancel"])
    copy = _copy_of(project.resolve(), home / "project")
    environment = _environment(os.environ, url, home)
    if provider == "localcloud":
        environment["PATH"] = f"{_plugin(home / 'plugin')}{os.pathsep}{environment['PATH']}"
    os.chdir(copy)
    os.execve(program, [program, *arguments], environment)  # noqa: S606 - no shell is meant


def remove_torn_attributes(backend: Path, *, cancelling: bool) -> None:
    """Remove the empty files that a killed engine leaves beside the states of its stacks.

    The engine replaces a state as a whole, but writes the attributes of the file in place. When it
    is killed in between, `STACK.json.attrs` is empty, and no command could read the stack any more.
    The state is complete without it.

    Args:
        backend: the directory of the backend.
        cancelling: whether the command is `cancel`, so that no engine runs although a stack is
            locked.
    """
    state = backend / ".pulumi"
    if not cancelling and any(path.is_file() for path in state.glob("locks/**/*.json")):
        return
    for file in state.rglob("*.attrs"):
        if file.stat().st_size == 0:
            file.unlink()


def _environment(given: Mapping[str, str], url: str, home: Path) -> dict[str, str]:
    """Return the CLI's environment, with none of the user's credentials."""
    return {
        **{name: given[name] for name in _KEPT if name in given},
        "HOME": str(home),
        "PULUMI_HOME": str(home / "home"),
        "PULUMI_BACKEND_URL": f"file://{home / 'backend'}",
        "PULUMI_CONFIG_PASSPHRASE_FILE": str(_passphrase(home / "passphrase")),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": own_account(),
        "AWS_SECRET_ACCESS_KEY": "localcloud",
        "AWS_REGION": given.get("AWS_REGION", "us-east-1"),
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _passphrase(file: Path) -> Path:
    """Return the file with the backend's passphrase, which is made once."""
    if not file.exists():
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            out.write(secrets.token_urlsafe(32))
    return file


def _copy_of(project: Path, copy: Path) -> Path:
    """Return a directory that looks like the project, whose stack files the CLI may write into."""
    copy.mkdir(parents=True, exist_ok=True)
    present = {path.name for path in project.iterdir()}
    for path in copy.iterdir():
        if path.is_symlink() and (
            path.name not in present or path.resolve() != project / path.name
        ):
            path.unlink()
    for path in project.iterdir():
        target = copy / path.name
        if path.name.startswith("Pulumi.") and path.suffix == ".yaml":
            _copy_stack_file(path, target)
        elif not target.exists() and not target.is_symlink():
            target.symlink_to(path)
    return copy


def _copy_stack_file(source: Path, target: Path) -> None:
    """Copy a stack file, and keep the lines that the CLI added for its secrets."""
    text = source.read_text()
    if target.exists():
        kept = [line for line in target.read_text().splitlines() if line.startswith(_SALT)]
        lines = text.splitlines()
        text = "\n".join([*kept, *(line for line in lines if not line.startswith(_SALT))]) + "\n"
    target.write_text(text)


def _plugin(directory: Path) -> Path:
    """Return a directory with the executable that the engine starts for AWS's resources."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "pulumi-resource-aws"
    package = Path(__file__).resolve().parents[2]
    file.write_text(
        "#!/bin/sh\n"
        f"PYTHONPATH={shlex.quote(str(package))} exec {shlex.quote(sys.executable)} "
        '-m localcloud.deploy.plugin "$@"\n'
    )
    file.chmod(0o755)
    return directory
