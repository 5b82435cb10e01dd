"""Comparison of recordings with the local cloud: each request again, and both answers compared.

An answer agrees if its status, error code and text, members, types and values are the recorded
ones; a generated value may be any other.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from tests.cloud import ACCOUNT, REGION, TestCloud
from tests.recorder.cleaning import Journal
from tests.recorder.cloud import outcome, prefix_of
from tests.recorder.normal import Caller, Normaliser
from tests.recorder.operations import OPERATIONS, Kind, named
from tests.recorder.storage import Deliberate

# A read is repeated for this long if the recorded test repeated it, or if a status differs.
POLL_SECONDS = 30.0
LONGEST_REQUEST = 16 * 1024 * 1024
# A report shows this many differences of one answer.
SHOWN = 20
_ID = re.compile(r"<id:\d+>")


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference of one answer: its kind, the member's path, and both values."""

    kind: str
    path: str
    recorded: Any
    local: Any

    def __str__(self) -> str:
        where = f" {self.path}" if self.path else ""
        return f"{self.kind}{where}: recorded {_short(self.recorded)}, local {_short(self.local)}"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer that was compared."""

    test: str
    case: str
    service: str
    operation: str
    number: int
    differences: tuple[Difference, ...]


@dataclass(slots=True)
class Report:
    """The answers that were compared, and what could not be."""

    answers: list[Answer] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    # Differences that are meant, each with its reason.
    meant: list[str] = field(default_factory=list)

    def allow(self, entries: Sequence[Deliberate]) -> None:
        """Take out the differences that are meant; an entry without a difference is a problem."""
        used = set()
        for index, answer in enumerate(self.answers):
            left = []
            for difference in answer.differences:
                key = (answer.test, answer.operation, difference.kind, difference.path)
                entry = next((e for e in entries if _key(e) == key), None)
                if entry is None:
                    left.append(difference)
                    continue
                used.add(entry)
                self.meant.append(f"meant: {answer.operation} {difference}: {entry.reason}")
            self.answers[index] = replace(answer, differences=tuple(left))
        self.problems += [
            f"deliberate.toml: {entry.test}, {entry.operation}, {entry.kind} {entry.path}: no such "
            "difference any more"
            for entry in entries
            if entry not in used
        ]

    @property
    def agrees(self) -> bool:
        """Agreement of everything that was compared."""
        return not self.problems and not any(a.differences for a in self.answers)

    def lines(self) -> Iterator[str]:
        """Yield the report: the share of each service, and each difference."""
        for service in sorted({a.service for a in self.answers}):
            of_service = [a for a in self.answers if a.service == service]
            agree = sum(not a.differences for a in of_service)
            yield f"{service}: {agree} of {len(of_service)} answers agree"
            for answer in of_service:
                if not answer.differences:
                    continue
                case = f"[{answer.case}]" if answer.case else ""
                yield f"  {answer.test}{case}, call {answer.number}, {answer.operation}"
                for difference in answer.differences[:SHOWN]:
                    yield f"    {difference}"
                if len(answer.differences) > SHOWN:
                    yield f"    and {len(answer.differences) - SHOWN} more"
        yield from self.meant
        yield from self.problems


def _key(entry: Deliberate) -> tuple[str, str, str, str]:
    return entry.test, entry.operation, entry.kind, entry.path


def compare(recordings: list[dict[str, Any]], cloud: TestCloud, directory: Path) -> Report:
    """Replay recordings against a local cloud and return the report.

    A recording that cannot be read is a problem of the report and stops no other one. `directory`
    gets the journal of what a replay creates.
    """
    report = Report()
    for recording in recordings:
        test = str(recording.get("test", "?"))
        try:
            for case in recording["cases"]:
                _replay(test, case, cloud, Journal(directory / "replay.jsonl"), report)
        except (KeyError, TypeError, AttributeError, ValueError, zlib.error) as error:
            report.problems.append(f"{test} cannot be replayed: {type(error).__name__}: {error}")
    return report


def _replay(
    test: str, case: Mapping[str, Any], cloud: TestCloud, journal: Journal, report: Report
) -> None:
    prefix = prefix_of(secrets.token_hex(3))
    caller = Caller(ACCOUNT, REGION, prefix, f"arn:aws:iam::{ACCOUNT}:root")
    normal = Normaliser(caller, named={cloud.url: "<queues>"})
    if "<image>" in json.dumps(case):
        image, role = cloud.container()
        normal.named |= {image: "<image>", role: "<role>"}
    values = Values(normal)
    try:
        for number, call in enumerate(case["calls"], 1):
            found = _call(call, cloud, values, journal, caller)
            if isinstance(found, str):
                report.problems.append(f"{test}, call {number}, {call['operation']}: {found}")
                continue
            name = str(case.get("case", ""))
            report.answers.append(
                Answer(test, name, call["service"], call["operation"], number, found)
            )
    finally:
        left = journal.clean(cloud.client, ACCOUNT)
        report.problems += [f"{test} left {each}" for each in left]


def _unpacked(packed: str) -> str:
    """Return a long text of a request.

    Raises:
        ValueError: it is longer than the longest request that the local cloud reads.
    """
    unpacking = zlib.decompressobj()
    text = unpacking.decompress(base64.b64decode(packed), LONGEST_REQUEST)
    if unpacking.unconsumed_tail:
        raise ValueError(f"a request's text has more than {LONGEST_REQUEST} bytes")
    return text.decode()


@dataclass(slots=True)
class Values:
    """The values that this cloud generated for the recorded tokens."""

    normal: Normaliser
    bound: dict[str, str] = field(default_factory=dict)

    def restored(self, value: Any) -> Any:
        """Return a recorded request with this cloud's values in place of the tokens."""
        if isinstance(value, Mapping):
            if value.keys() == {"$bytes"}:
                return base64.b64decode(value["$bytes"])
            if value.keys() == {"$packed"}:
                return self.restored(_unpacked(value["$packed"]))
            if value.keys() == {"$secret"}:
                return "s" * min(int(value["$secret"]), LONGEST_REQUEST)
            if value.keys() == {"$text"}:
                return str(self.restored(value["$text"])).encode()
            if value.keys() == {"$time"}:
                return datetime.fromisoformat(value["$time"])
            return {self.restored(k): self.restored(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.restored(each) for each in value]
        if not isinstance(value, str):
            return value
        caller = self.normal.caller
        for token, text in (
            *[(token, text) for text, token in self.normal.named.items()],
            ("<caller>", caller.arn),
            ("<prefix>", caller.prefix),
            ("<account>", caller.account),
            ("<region>", caller.region),
        ):
            value = value.replace(token, text)
        value = re.sub(r"<secret:(\d+)>", r"secret-\1", value)
        return _ID.sub(lambda m: self.bound.get(m[0], m[0]), value)

    def bind(self, recorded: Any, local: Any) -> None:
        """Keep the value that this cloud generated for each token of a recorded answer."""
        if isinstance(recorded, Mapping) and isinstance(local, Mapping):
            for key in recorded.keys() & local.keys():
                self.bind(recorded[key], local[key])
        elif isinstance(recorded, list) and isinstance(local, list):
            for one, other in zip(recorded, local, strict=False):
                self.bind(one, other)
        elif isinstance(recorded, str) and isinstance(local, str):
            for token, mine in zip(_ID.findall(recorded), _ID.findall(local), strict=False):
                value = self.normal.value_of(mine)
                if value is not None:
                    self.bound.setdefault(token, value)


def _call(
    call: Mapping[str, Any], cloud: TestCloud, values: Values, journal: Journal, caller: Caller
) -> tuple[Difference, ...] | str:
    """Make a recorded request; return the differences, or why it could not be made."""
    service, name = call["service"], call["operation"]
    client = cloud.client(service, checked=False)
    model = client.meta.service_model.operation_model(name)
    method = next(m for m, o in client.meta.method_to_api_mapping.items() if o == name)
    request = values.restored(call["request"])
    operation = OPERATIONS.get(service, {}).get(name)
    if operation is None:
        return f"{service}:{name} is not in tests/recorder/operations.py"
    if operation.kind is Kind.CREATE:
        for given in named(operation, request):
            if caller.prefix in given:
                journal.add(service, name, given, ACCOUNT)
    values.normal.request(request, model.input_shape)
    wanted = {key: call[key] for key in ("status", "error", "answer") if key in call}
    deadline = time.monotonic() + POLL_SECONDS
    while True:
        try:
            parsed = getattr(client, method)(**request)
        except ClientError as error:
            parsed = error.response
        except BotoCoreError as error:
            return f"botocore cannot send the request: {error}"
        status = parsed["ResponseMetadata"]["HTTPStatusCode"]
        local = outcome(parsed, status, model, values.normal)
        found = tuple(differences(wanted, local))
        waits = operation.kind is Kind.READ and (call.get("polled") or _may_settle(found))
        if not found or not waits or time.monotonic() >= deadline:
            values.bind(wanted, local)
            return found
        cloud.advance(1)


def _may_settle(found: Iterable[Difference]) -> bool:
    """Return whether a status differs, which another cloud may reach later."""
    return any(re.search(r"(?:Status|State)$", each.path) for each in found)


def differences(recorded: Mapping[str, Any], local: Mapping[str, Any]) -> Iterator[Difference]:
    """Yield the differences of two outcomes: status, error code and text, or members and values."""
    if recorded["status"] != local["status"]:
        yield Difference("status", "", recorded["status"], local["status"])
    mine, theirs = recorded.get("error"), local.get("error")
    if mine is None and theirs is None:
        yield from _values("", recorded.get("answer", {}), local.get("answer", {}))
        return
    if mine is None or theirs is None:
        yield Difference("error", "", mine, theirs)
        return
    if mine["code"] != theirs["code"]:
        yield Difference("error code", "", mine["code"], theirs["code"])
    if _plain(mine["message"]) != _plain(theirs["message"]):
        yield Difference("error text", "", mine["message"], theirs["message"])


def _values(path: str, recorded: Any, local: Any) -> Iterator[Difference]:
    if isinstance(recorded, Mapping) and isinstance(local, Mapping):
        for key in sorted(recorded.keys() | local.keys()):
            inner = f"{path}.{key}" if path else key
            if key not in local:
                yield Difference("member missing", inner, recorded[key], None)
            elif key not in recorded:
                yield Difference("member extra", inner, None, local[key])
            else:
                yield from _values(inner, recorded[key], local[key])
    elif isinstance(recorded, list) and isinstance(local, list):
        if len(recorded) != len(local):
            yield Difference("length", path, len(recorded), len(local))
        for index, (one, other) in enumerate(zip(recorded, local, strict=False)):
            yield from _values(f"{path}[{index}]", one, other)
    elif _kind(recorded) != _kind(local):
        yield Difference("type", path, recorded, local)
    elif _plain(recorded) != _plain(local):
        yield Difference("value", path, recorded, local)


def _kind(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return type(value).__name__
    return "number" if isinstance(value, int | float) else type(value).__name__


def _plain(value: Any) -> Any:
    """Return a value with all generated ids and secrets alike, which may differ."""
    if not isinstance(value, str):
        return value
    # The caller of the local cloud is the account's root.
    value = value.replace("arn:aws:iam::<account>:root", "<caller>")
    return re.sub(r"<(id|secret):\d+>", r"<\1>", value)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}… ({len(text)} characters)"
