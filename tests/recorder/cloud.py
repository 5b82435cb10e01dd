"""The cloud of a recording: AWS, seen by the tests through hooks of botocore's clients.

The hooks refuse what a recording may not call, write down what a call creates, put the account's
number in place of the tests' own, and keep each request with its answer.
"""

from __future__ import annotations

import copy
import io
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.response import StreamingBody

from tests.cloud import ACCOUNT, REGION, TestCloud
from tests.recorder.cleaning import Journal
from tests.recorder.normal import Caller, Normaliser
from tests.recorder.operations import NAME_PREFIX, OPERATIONS, Kind, Refused, check, named, price_of

# A case of a test makes no more calls than this, whatever it waits for.
MOST_CALLS = 2_000


@dataclass(slots=True)
class Case:
    """The calls of one case of a test, in normal form."""

    calls: list[dict[str, Any]] = field(default_factory=list)
    normal: Normaliser | None = None
    price: float = 0.0
    # Every call, also those that are one entry because the test polled.
    made: int = 0
    # `events:PutRule` → the number of its calls.
    operations: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Connection:
    """The way to the cloud that is recorded: a profile or the environment's keys, or an endpoint.

    `endpoint` is a local cloud that stands in for AWS in the tests of the recorder; None is AWS.
    """

    caller: Caller
    profile: str | None = None
    endpoint: str | None = None
    image: str | None = None
    role: str | None = None

    def credentials(self) -> tuple[str, ...]:
        """Return the secret parts of the credentials, which no recording may contain."""
        found = boto3.Session(profile_name=self.profile).get_credentials()
        frozen = found.get_frozen_credentials() if found is not None else ("", "", "")
        return tuple(value for value in frozen[:3] if value)

    def queues(self) -> str:
        """Return the address that begins the URLs of queues."""
        return self.endpoint or f"https://sqs.{self.caller.region}.amazonaws.com"

    def client(self, service: str, *, checked: bool = True) -> Any:
        """Return a plain client; `checked` is whether botocore validates parameters itself."""
        config = Config(
            parameter_validation=checked,
            retries={"mode": "standard", "total_max_attempts": 5},
            # An address in the environment or the profile would be recorded as AWS.
            ignore_configured_endpoint_urls=True,
            **({"s3": {"addressing_style": "path"}} if self.endpoint else {}),
        )
        session = boto3.Session(profile_name=self.profile, region_name=REGION)
        return session.client(service, endpoint_url=self.endpoint, config=config)


class Recorder:
    """The cases of a recording, and the hooks that fill them."""

    def __init__(self, connection: Connection, journal: Journal) -> None:
        self.connection = connection
        self.journal = journal
        # `tests/api/test_x.py::test_y[case]` → its calls.
        self.cases: dict[str, Case] = {}
        self.configs: dict[str, float] = {}

    def case(self) -> Case:
        """Return the case of the test that runs; fixtures count to the test that they are for."""
        name = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
        if name not in self.cases:
            named = {self.connection.queues(): "<queues>"}
            self.cases[name] = Case(normal=Normaliser(self.connection.caller, named=named))
        return self.cases[name]

    def client(self, service: str, *, checked: bool = True) -> Any:
        """Return a client whose calls are checked and recorded."""
        client = self.connection.client(service, checked=checked)
        events = client.meta.events
        events.register("provide-client-params", self._before)
        events.register("after-call", self._after)
        return client

    def clean(self) -> list[str]:
        """Delete everything that the recording created; return what could not be deleted."""
        return self.journal.clean(self.connection.client, self.connection.caller.account)

    def _before(self, params: Any, model: Any, context: Any, **_: Any) -> Any:
        service, name = model.service_model.service_name, model.name
        caller, case = self.connection.caller, self.case()
        request = replaced(params, ACCOUNT, caller.account)
        try:
            check(service, name, request, caller.prefix, model)
            case.price += price_of(service, name, request, self.configs)
        except Refused as error:
            case.refused.append(str(error))
            raise
        case.made += 1
        case.operations[f"{service}:{name}"] = case.operations.get(f"{service}:{name}", 0) + 1
        if case.made > MOST_CALLS:
            raise Refused(f"a case makes at most {MOST_CALLS} calls")
        operation = OPERATIONS[service][name]
        if operation.kind is Kind.CREATE:
            for given in named(operation, request):
                if caller.prefix in given:
                    entry = (service, name, given, caller.account)
                    if self.journal.add(*entry):
                        context.setdefault("journaled", []).append(entry)
        assert case.normal is not None
        shape = model.input_shape
        context["recorded"] = case.normal.request(copy.deepcopy(request), shape)
        return request

    def _after(self, http_response: Any, parsed: Any, model: Any, context: Any, **_: Any) -> None:
        case, service = self.case(), model.service_model.service_name
        assert case.normal is not None
        call = {
            "service": service,
            "operation": model.name,
            "request": context.get("recorded", {}),
            **outcome(parsed, http_response.status_code, model, case.normal),
        }
        if 400 <= call["status"] < 500:
            # AWS refused, so that there is nothing to delete, and perhaps no right to.
            for entry in context.get("journaled", []):
                self.journal.forget(*entry)
        polls = OPERATIONS[service][model.name].kind is Kind.READ
        last = case.calls[-1] if case.calls else None
        if polls and last is not None and same_request(last, call):
            # A test that waits reads until the answer is another one; the last one counts.
            if last.pop("polled", False) or last != call:
                call["polled"] = True
            case.calls[-1] = call
        else:
            case.calls.append(call)
        changed = replaced(dict(parsed), self.connection.caller.account, ACCOUNT)
        parsed.clear()
        parsed.update(changed)


@dataclass(frozen=True)
class RecordedCloud(TestCloud):
    """AWS as a test's cloud. It has no clock and no URL of its own."""

    __test__ = False

    recorder: Recorder = field(kw_only=True)

    @property
    def strict(self) -> bool:
        """AWS checks what its models forbid."""
        return True

    def client(self, service: str, *, checked: bool = True) -> Any:
        """Return a client whose calls are recorded."""
        return self.recorder.client(service, checked=checked)

    def name(self, text: str) -> str:
        """Return a name that begins with the recording's prefix."""
        return self.recorder.connection.caller.prefix + text

    def container(self) -> tuple[str, str]:
        """Return the image and the role that the recording was given, with the tests' account."""
        connection = self.recorder.connection
        if connection.endpoint is not None:
            image, role = TestCloud(connection.endpoint, True).container()
        elif connection.image and connection.role:
            image, role = connection.image, connection.role
        else:
            raise Refused("this tier needs --image and --role")
        normal = self.recorder.case().normal
        assert normal is not None
        normal.named |= {image: "<image>", role: "<role>"}
        account = connection.caller.account
        return image.replace(account, ACCOUNT), role.replace(account, ACCOUNT)

    def get(self, path: str) -> tuple[int, bytes]:
        """Refuse: AWS has no such routes."""
        raise Refused(f"a test that can be recorded cannot GET {path}: it is none of AWS's")

    def advance(self, seconds: float) -> None:
        """Refuse: AWS's clock cannot be advanced."""
        raise Refused(f"a test that can be recorded cannot advance the clock by {seconds:g} s")


def prefix_of(run: str) -> str:
    """Return the prefix of a run's names; `run` is six characters of its own."""
    return f"{NAME_PREFIX}{run}-"


def same_request(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two calls make the same request."""
    return all(one[key] == other[key] for key in ("service", "operation", "request"))


def outcome(parsed: Any, status: int, model: Any, normal: Normaliser) -> dict[str, Any]:
    """Return the status of an answer, and its error or its members, in normal form."""
    members = {k: v for k, v in parsed.items() if k not in ("ResponseMetadata", "Error")}
    if status >= 300:
        error = parsed.get("Error", {})
        message = normal.text(str(error.get("Message", "")))
        return {"status": status, "error": {"code": error.get("Code", ""), "message": message}}
    for member, value in members.items():
        if isinstance(value, StreamingBody):
            members[member] = body = value.read()
            parsed[member] = StreamingBody(io.BytesIO(body), len(body))
    return {"status": status, "answer": normal.answer(members, model.output_shape)}


def replaced(value: Any, old: str, new: str) -> Any:
    """Return a value with one text in place of another, in all its texts."""
    if isinstance(value, Mapping):
        return {replaced(k, old, new): replaced(v, old, new) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [replaced(each, old, new) for each in value]
    return value.replace(old, new) if isinstance(value, str) else value


def journal_at(directory: Path) -> Journal:
    """Return the journal of a directory."""
    return Journal(directory / "journal.jsonl")
