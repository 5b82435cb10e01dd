"""pytest's side of a recording: selects the tests, keeps their outcomes, cleans up, writes files.

Loaded by `python -m tests.recorder` only, with `--record SETTINGS.json`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

import tests.cloud
from tests.cloud import RECORDED
from tests.recorder.cloud import Connection, RecordedCloud, Recorder, journal_at
from tests.recorder.normal import Caller
from tests.recorder.storage import Origin, Unsafe, write

# What takes the local cloud a second takes AWS minutes.
PATIENCE = 20.0


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a recording, as `python -m tests.recorder` hands them over. None is a secret."""

    account: str
    prefix: str
    region: str
    arn: str
    user_id: str
    profile: str | None
    endpoint: str | None
    image: str | None
    role: str | None
    by: str
    on: str
    botocore: str
    tiers: list[str]
    into: str
    journal: str

    def save(self, path: Path) -> None:
        """Write the settings to a file."""
        path.write_text(json.dumps(asdict(self)))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the settings."""
    parser.addoption("--record", required=True, help="the settings of the recording")


def pytest_configure(config: pytest.Config) -> None:
    """Make the cloud of the recording the one of the tests."""
    settings = Settings(**json.loads(Path(config.getoption("--record")).read_text()))
    recording = Recording(settings)
    config.stash[RECORDED] = RecordedCloud("", False, recorder=recording.recorder)
    config.pluginmanager.register(recording, "recording")
    if settings.endpoint is None:
        tests.cloud.patience = PATIENCE


class Recording:
    """The run of pytest that records."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        connection = Connection(
            Caller(
                settings.account,
                settings.region,
                settings.prefix,
                settings.arn,
                settings.user_id,
            ),
            settings.profile,
            settings.endpoint,
            settings.image,
            settings.role,
        )
        self.recorder = Recorder(connection, journal_at(Path(settings.journal)))
        # Test → whether it passed, and the message if it did not.
        self.outcomes: dict[str, tuple[bool, str]] = {}
        self.left: list[str] = []
        # Test → the number of its cases.
        self.expected: Counter[str] = Counter()

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Select the tests that can be recorded and are of a tier that was asked for."""
        # Before -k and -m, so that a test is not recorded with some of its cases only.
        wanted: list[pytest.Item] = []
        others: list[pytest.Item] = []
        for item in items:
            mark = item.get_closest_marker("recordable")
            tier = mark.args[0] if mark and mark.args else "calls"
            (wanted if mark and tier in self.settings.tiers else others).append(item)
        items[:] = wanted
        self.expected = Counter(item.nodeid.partition("[")[0] for item in wanted)
        config.hook.pytest_deselected(items=others)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, Any, Any]:
        """Keep the outcome of a test."""
        report: Any = yield
        passed, message = self.outcomes.get(item.nodeid, (True, ""))
        if report.outcome != "passed" and not (report.when == "teardown" and not passed):
            lines = str(report.longreprtext).splitlines()
            said = [line[2:].strip() for line in lines if line.startswith("E ")]
            passed, message = False, "; ".join(said[:4]) or report.outcome
        self.outcomes[item.nodeid] = (passed, message)
        return report

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Delete what the test created and left."""
        del nodeid
        self.left = self.recorder.clean()

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Clean up once more, and write the recordings and the list of the calls."""
        self.left = self.recorder.clean()
        into = Path(self.settings.into)
        into.mkdir(parents=True, exist_ok=True)
        settings, problems = self.settings, []
        caller = self.recorder.connection.caller
        hidden = _credentials(self.recorder)
        caller = Caller(
            caller.account, caller.region, caller.prefix, caller.arn, caller.user_id, hidden
        )
        cloud = settings.endpoint or "aws"
        origin = Origin(cloud, settings.on, settings.by, settings.botocore)
        tests_of: dict[str, list[dict[str, Any]]] = {}
        for nodeid, case in self.recorder.cases.items():
            test, bracket, rest = nodeid.partition("[")
            passed, message = self.outcomes.get(nodeid, (False, "it did not run to its end"))
            problems += case.refused
            if not case.calls or nodeid not in self.outcomes:
                continue
            assert case.normal is not None
            entry = {
                "case": case.normal.text(rest.removesuffix("]")) if bracket else "",
                "passed": passed,
                **({} if passed else {"problem": case.normal.text(message)}),
                "calls": case.calls,
            }
            tests_of.setdefault(test, []).append(entry)
        for test, cases in tests_of.items():
            if len(cases) != self.expected[test]:
                problems.append(f"{test}: only {len(cases)} of {self.expected[test]} cases ran")
                continue
            try:
                write(into, test, origin, cases, caller)
            except Unsafe as error:
                problems.append(str(error))
        self._write_summary(problems)
        if self.left or problems:
            session.exitstatus = pytest.ExitCode.INTERNAL_ERROR

    def _write_summary(self, problems: list[str]) -> None:
        calls: dict[str, int] = {}
        price = 0.0
        for case in self.recorder.cases.values():
            price += case.price
            for name, times in case.operations.items():
                calls[name] = calls.get(name, 0) + times
        failed = {test: said for test, (passed, said) in self.outcomes.items() if not passed}
        summary = {
            "tests": len(self.outcomes),
            "calls": calls,
            "price": price,
            "failed": failed,
            "problems": problems,
            "left": self.left,
        }
        path = Path(self.settings.journal) / "summary.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(summary, indent=1))


def _credentials(recorder: Recorder) -> tuple[str, ...]:
    found = recorder.connection.credentials()
    # The words "test" and the account stand for credentials on a local cloud.
    return tuple(value for value in found if len(value) >= 16)
