"""Clients of other makers, each run as its users run it, in the environment `make` sets up."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.clients.network import guarded, only_loopback
from tests.clients.versions import versions
from tests.cloud import TestCloud, configured_url, is_localcloud, local_cloud

HERE = Path(__file__).parent
JAVASCRIPT = HERE / "javascript"
_NETWORK = pytest.StashKey[str]()
_GUARDED = "closed by the guards in Python and Node"


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest) -> Iterator[TestCloud]:
    """The configured endpoint, or a local cloud of our own on a network of its own."""
    url = configured_url()
    if url is not None:
        request.config.stash[_NETWORK] = _GUARDED
        yield TestCloud(url, is_localcloud(url))
        return
    with only_loopback() as permitted:
        request.config.stash[_NETWORK] = "loopback only" if permitted else _GUARDED
        with local_cloud(speed=60.0) as cloud:
            yield cloud


@dataclass(frozen=True, slots=True)
class Client:
    """Programs of one environment, which reach the cloud and no other machine."""

    cloud: TestCloud
    directory: Path  # where the child's files and its HOME are
    variables: dict[str, str]

    @property
    def refused(self) -> list[str]:
        """The hosts that the client asked for and did not get."""
        log = self.directory / "refused"
        return log.read_text().splitlines() if log.exists() else []

    def run(self, program: str | Path, *arguments: str, **variables: str) -> str:
        """Run a program; return what it printed, and fail if it does."""
        answer = self.attempt(program, *arguments, **variables)
        said = f"{program} {' '.join(arguments)}\n{answer.stdout[-1000:]}{answer.stderr[-3000:]}"
        assert answer.returncode == 0, said
        return answer.stdout

    def attempt(
        self, program: str | Path, *arguments: str, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program, whatever its exit status."""
        environment = {**self.variables, **variables}
        found = shutil.which(str(program), path=environment["PATH"])
        if found is None:
            pytest.skip(f"{program} is not there: run `make test-clients`")
        return subprocess.run(
            [found, *arguments],
            cwd=self.directory,
            env={k: v for k, v in environment.items() if v},
            capture_output=True,
            text=True,
            timeout=170,
            check=False,
        )


def client_of(environment: str, cloud: TestCloud, directory: Path) -> Client:
    """Return the client of an environment below `tests/clients/.venv`, or skip the test."""
    programs = HERE / ".venv" / environment / "bin"
    if not (programs.parent / ".done").exists():
        pytest.skip(f"{environment} is not set up: run `make test-clients`")
    variables = environment_of(cloud, directory)
    path = f"{programs}{os.pathsep}{variables['PATH']}"
    return Client(cloud, directory, {**variables, "PATH": path})


def environment_of(cloud: TestCloud, directory: Path) -> dict[str, str]:
    """Return the variables of a client: the cloud's address, any keys, no settings of the user."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "AWS_ENDPOINT_URL": cloud.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",  # the SDK for JavaScript reads this one only
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        **guarded(directory / "refused"),
    }


@pytest.fixture
def commands(target: TestCloud, tmp_path: Path) -> Client:
    """The commands of PyPI: aws, awslocal and pulumilocal."""
    return client_of("command-line", target, tmp_path)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what was tested: the clients' versions, and how the network was closed."""
    reports = [r for group in terminalreporter.stats.values() for r in group]
    if any(getattr(r, "nodeid", "").startswith("tests/clients/") for r in reports):
        terminalreporter.section("clients")
        network = terminalreporter.config.stash.get(_NETWORK, "not used")
        for name, version in {**versions(), "network": network}.items():
            terminalreporter.write_line(f"{name:<36}{version}")
