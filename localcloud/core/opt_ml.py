"""Gives a job's process `/opt/ml`, the directory of SageMaker's containers, without a container.

A program of someone else has `/opt/ml/processing/input` written in it. On Linux the process gets a
mount namespace of its own, in which `/opt/ml` is the job's directory. No other process sees it, and
no privilege is needed: the user namespace around it makes the process root inside and the same user
outside.

    unshare ─► sh: mount ─► the program          all of them one process, by exec

`/opt/ml` is on no machine, and nobody but root can make it. So the script mounts a new `/opt` with
all that `/opt` has, and an empty `ml`. Where that cannot be done (macOS, or a machine that forbids
user namespaces), a job keeps its directory elsewhere, and SAGEMAKER_BASE_DIR names it.

Source: https://man7.org/linux/man-pages/man7/mount_namespaces.7.html
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

OPT_ML = Path("/opt/ml")
_TRIAL_SECONDS = 10
# $1 the job's directory, $2 an empty directory for the new /opt, $3 `no` without a network, then
# the command.
_SCRIPT = """
set -e
base=$1 stage=$2 network=$3
shift 3
if [ ! -d /opt/ml ]; then
  mount -t tmpfs -o mode=755 tmpfs "$stage"
  for entry in /opt/* /opt/.[!.]*; do
    name=${entry##*/}
    if [ -L "$entry" ]; then cp -P "$entry" "$stage/$name"
    elif [ -d "$entry" ]; then mkdir "$stage/$name"; mount --rbind "$entry" "$stage/$name"
    elif [ -e "$entry" ]; then : > "$stage/$name"; mount --bind "$entry" "$stage/$name"
    fi
  done
  mkdir "$stage/ml"
  mount --rbind "$stage" /opt
fi
mount --rbind "$base" /opt/ml
# In a network namespace of its own, even the loopback device is down at first.
[ "$network" = yes ] || ip link set lo up 2> /dev/null || :
exec "$@"
"""


def base_seen_by_jobs(base: Path) -> Path:
    """Return where a job's process finds its directory: `/opt/ml`, or the directory itself."""
    return OPT_ML if is_available() else base


def with_opt_ml(base: Path, *, network: bool = True) -> tuple[str, ...]:
    """Return the beginning of a command whose process has `base` as `/opt/ml`.

    Args:
        base: the job's directory; another one is made beside it, for the new /opt.
        network: False gives the process a network namespace with a loopback device and nothing
            else, as under SageMaker's network isolation.
    """
    if not is_available():
        return ()
    base = base.resolve()
    stage = base.with_name(f"{base.name}.opt")
    stage.mkdir(exist_ok=True)
    return (*_prefix(network=network), str(base), str(stage), "yes" if network else "no")


def remove(base: Path) -> None:
    """Delete a job's directory, and what lies beside it for /opt."""
    shutil.rmtree(base, ignore_errors=True)
    shutil.rmtree(base.with_name(f"{base.name}.opt"), ignore_errors=True)


@cache
def is_available() -> bool:
    """Return whether this machine lets a process have a mount namespace of its own."""
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        return False
    with tempfile.TemporaryDirectory() as directory:
        base, stage = Path(directory, "base"), Path(directory, "opt")
        base.mkdir()
        stage.mkdir()
        (base / "here").touch()
        try:
            done = subprocess.run(
                [*_prefix(), str(base), str(stage), "yes", "test", "-e", str(OPT_ML / "here")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_TRIAL_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return False
    return done.returncode == 0


def _prefix(*, network: bool = True) -> tuple[str, ...]:
    own = ("--user", "--map-root-user", "--mount", *(() if network else ("--net",)))
    return ("unshare", *own, "--", "sh", "-c", _SCRIPT, "sh")
