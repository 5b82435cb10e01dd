"""Two machines for a test, as network namespaces, and the machine of the master between them.

Run inside a namespace of its own, in which this process is root:

    unshare --map-root-user --net python -m tests.unit.loadtest.network_hosts DATASET OUT

It starts an endpoint and a master on 10.77.1.1, and a worker on 10.77.1.2 and on 10.77.2.2, and
prints how many requests the endpoint got.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.unit.loadtest.local_endpoint import LocalEndpoint
from tests.unit.loadtest.test_loadtest_run import ROOT, environment, right

MASTER = "10.77.1.1"
_WAIT_SECONDS = 60


def _machine(number: int) -> subprocess.Popen[str]:
    """Return a process in a network of its own, connected to this one by 10.77.NUMBER.0/24."""
    machine = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo ready; exec sleep 600"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert machine.stdout is not None
    machine.stdout.readline()
    here, there, net = f"here{number}", f"there{number}", f"10.77.{number}"
    _ip(f"link add {here} type veth peer name {there} netns {machine.pid}")
    _ip(f"addr add {net}.1/24 dev {here}")
    _ip(f"link set {here} up")
    for command in (
        "link set lo up",
        f"addr add {net}.2/24 dev {there}",
        f"link set {there} up",
        f"route add default via {net}.1",
    ):
        _ip(command, *_inside(machine))
    return machine


def _ip(command: str, *before: str) -> None:
    subprocess.run([*before, "ip", *command.split()], check=True)


def _inside(machine: subprocess.Popen[str]) -> list[str]:
    return ["nsenter", f"--target={machine.pid}", "--net"]


def main() -> int:
    """Run a test over the two machines."""
    dataset, out = sys.argv[1], Path(sys.argv[2])
    _ip("link set lo up")
    machines = [_machine(1), _machine(2)]
    command = [sys.executable, "-m", "loadtest"]
    options = ["--endpoint", "iris", "--dataset", dataset, "--out", str(out), "--users", "4"]
    options += ["--duration", "2s", "--think", "0.01", "--expect-workers", "2"]
    try:
        with LocalEndpoint(right, host=MASTER) as endpoint:
            env = environment(endpoint.url)
            workers = [
                subprocess.Popen(
                    [*_inside(machine), *command, "worker", "--master", MASTER], cwd=ROOT, env=env
                )
                for machine in machines
            ]
            done = subprocess.run(
                [*command, "run", *options, "--master-bind", MASTER], cwd=ROOT, env=env, check=False
            )
            codes = [worker.wait(_WAIT_SECONDS) for worker in workers]
            found = {"invocations": endpoint.invocations, "workers": codes}
            sys.stdout.write(json.dumps(found) + "\n")
    finally:
        for machine in machines:
            machine.kill()
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
