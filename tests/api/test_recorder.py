"""The recorder of AWS's answers, with a local cloud in the place of AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import ACCOUNT, REGION, ROOT, TestCloud, configured_url, local_cloud
from tests.recorder.cloud import journal_at, prefix_of
from tests.recorder.plugin import Settings
from tests.recorder.replay import compare
from tests.recorder.storage import RECORDINGS, deliberate, read

pytestmark = [
    pytest.mark.emulator_only,
    pytest.mark.slow,
    pytest.mark.skipif(configured_url() is not None, reason="an endpoint is configured"),
]
SAMPLES = "tests/recorder/samples/test_sample.py"
OTHER = "111122223333"
KEYS = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "a-secret-access-key-of-test"}


@pytest.fixture(scope="module")
def aws() -> Iterator[TestCloud]:
    with local_cloud() as cloud:
        yield cloud


@pytest.fixture(scope="module")
def recorded(aws: TestCloud, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a recording of the sample that passes."""
    work = tmp_path_factory.mktemp("recorded")
    record(settings(aws, work), "passes")
    return work / "into"


def command(
    *arguments: str, keys: dict[str, str] | None = None, answer: str = ""
) -> tuple[int, str]:
    """Run the recorder's command; return its status and everything that it printed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    # No file of credentials and no instance's role of the machine is looked for.
    environment |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    environment |= {"AWS_EC2_METADATA_DISABLED": "true", **(keys or {})}
    done = subprocess.run(
        [sys.executable, "-m", "tests.recorder", *arguments],
        cwd=ROOT,
        env=environment,
        input=answer,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def settings(aws: TestCloud, work: Path, **more: Any) -> Settings:
    return replace(
        Settings(
            account=ACCOUNT,
            prefix=prefix_of("abc123"),
            region=REGION,
            arn=f"arn:aws:iam::{ACCOUNT}:root",
            user_id="AIDACKCEVSQ6C2EXAMPLE",
            profile=None,
            endpoint=aws.url,
            image=None,
            role=None,
            by="Jane Doe",
            on="2026-11-30",
            botocore="1.44.5",
            tiers=["calls"],
            into=str(work / "into"),
            journal=str(work),
        ),
        **more,
    )


def record(made: Settings, test: str) -> dict[str, Any]:
    """Record one sample; return the summary, which a killed recording does not have."""
    work = Path(made.journal)
    work.mkdir(parents=True, exist_ok=True)
    made.save(work / "settings.json")
    (work / "summary.json").unlink(missing_ok=True)
    subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *("-p", "tests.recorder.plugin", "--record", str(work / "settings.json")),
            *("-m", "recordable", "-k", test, SAMPLES),
        ],
        cwd=ROOT,
        env={**os.environ, **KEYS},
        capture_output=True,
        check=False,
    )
    summary = work / "summary.json"
    found: dict[str, Any] = json.loads(summary.read_text()) if summary.exists() else {}
    return found


def remains(aws: TestCloud, prefix: str) -> list[str]:
    """Return the names of everything with a prefix that the cloud still has."""
    parameters = aws.client("ssm").describe_parameters()["Parameters"]
    names = [
        *aws.client("sqs").list_queues().get("QueueUrls", []),
        *[topic["TopicArn"] for topic in aws.client("sns").list_topics()["Topics"]],
        *[bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]],
        *[rule["Name"] for rule in aws.client("events").list_rules()["Rules"]],
        *[parameter["Name"] for parameter in parameters],
    ]
    return [name for name in names if prefix in name]


def test_a_recording_has_the_calls_without_what_is_private(aws: TestCloud, tmp_path: Path) -> None:
    summary = record(settings(aws, tmp_path), "passes")
    assert (summary["failed"], summary["problems"], summary["left"]) == ({}, [], [])
    ((recording,), _) = read(tmp_path / "into")
    assert recording["test"] == f"{SAMPLES}::test_that_passes"
    assert recording["recorded"] == {
        "cloud": aws.url,
        "on": "2026-11-30",
        "by": "Jane Doe",
        "botocore": "1.44.5",
    }
    (case,) = recording["cases"]
    assert case["passed"]
    put, get, create, send, receive = case["calls"][:5]
    assert put["request"] == {
        "Name": "<prefix>p",
        "Value": "<secret:1>",
        "Type": "SecureString",
    }
    parameter = get["answer"]["Parameter"]
    assert parameter["Value"] == "<secret:1>"
    assert parameter["ARN"] == "arn:aws:ssm:<region>:<account>:parameter/<prefix>p"
    assert parameter["LastModifiedDate"] == "<time>"
    assert (create["operation"], create["status"]) == ("CreateQueue", 200)
    assert send["request"]["QueueUrl"] == create["answer"]["QueueUrl"]
    (message,) = receive["answer"]["Messages"]
    assert message["MessageId"] == send["answer"]["MessageId"] == "<id:1>"
    text = next((tmp_path / "into").glob("*.json")).read_text()
    for private in (ACCOUNT, "hush-hush", "abc123", KEYS["AWS_SECRET_ACCESS_KEY"]):
        assert private not in text


def test_a_test_that_raises_leaves_nothing(aws: TestCloud, tmp_path: Path) -> None:
    summary = record(settings(aws, tmp_path), "fails")
    assert "RuntimeError: it broke" in next(iter(summary["failed"].values()))
    assert summary["left"] == []
    assert remains(aws, prefix_of("abc123")) == []
    ((recording,), _) = read(tmp_path / "into")
    assert not recording["cases"][0]["passed"]
    assert "it broke in account <account>" in recording["cases"][0]["problem"]


def test_what_a_killed_recording_left_is_deleted_by_the_next(
    aws: TestCloud, tmp_path: Path
) -> None:
    made = settings(aws, tmp_path)
    assert record(made, "killed") == {}
    assert len(remains(aws, made.prefix)) == 5
    assert len(journal_at(tmp_path).entries) == 5
    # It is done before anything else, so that it is done although the plan is not agreed to.
    status, said = command(*asked(aws, tmp_path), keys=KEYS, answer="no\n")
    assert "may have left 5 resources" in said
    assert "the plan was not agreed to" in said
    assert status == 2
    assert remains(aws, made.prefix) == []
    assert journal_at(tmp_path).entries == []


def test_a_tier_is_recorded_only_if_it_is_named(aws: TestCloud, tmp_path: Path) -> None:
    assert record(settings(aws, tmp_path), "dear")["tests"] == 0
    assert record(settings(aws, tmp_path, tiers=["calls", "endpoints"]), "dear")["tests"] == 1


def test_a_test_is_recorded_with_all_its_cases_or_not_at_all(
    aws: TestCloud, tmp_path: Path
) -> None:
    summary = record(settings(aws, tmp_path), "second")
    assert summary["problems"] == [f"{SAMPLES}::test_of_two: only 1 of 2 cases ran"]
    assert read(tmp_path / "into") == ([], [])
    assert record(settings(aws, tmp_path), "of_two")["problems"] == []
    ((recording,), _) = read(tmp_path / "into")
    assert [case["case"] for case in recording["cases"]] == ["first", "second"]


def test_a_call_about_the_resource_of_another_is_not_sent(aws: TestCloud, tmp_path: Path) -> None:
    sqs = aws.client("sqs")
    sqs.create_queue(QueueName="production")
    summary = record(settings(aws, tmp_path), "others")
    assert "does not begin with 'mlops-lab-rec-abc123-'" in summary["problems"][0]
    assert sqs.get_queue_url(QueueName="production")["QueueUrl"]
    assert read(tmp_path / "into") == ([], [])


def asked(aws: TestCloud, work: Path, **options: str) -> list[str]:
    """Return the arguments of a recording that is possible."""
    chosen = {
        "account": ACCOUNT,
        "by": "Jane Doe",
        "endpoint": aws.url,
        "into": str(work / "into"),
        "build": str(work),
        "only": "passes",
        **options,
    }
    pairs = [text for name, value in chosen.items() for text in (f"--{name}", value) if value]
    return ["record", "--environment", *pairs, "--tests", SAMPLES]


@pytest.mark.parametrize(
    ("options", "keys", "reason"),
    [
        ({}, {}, "--environment needs AWS_ACCESS_KEY_ID"),
        ({"account": OTHER}, KEYS, f"are of account {ACCOUNT}, and --account is {OTHER}"),
        ({"account": "12"}, KEYS, "--account must be the 12 digits"),
        ({"by": ""}, KEYS, "--by must be a person's name"),
        ({"by": f"arn:aws:iam::{ACCOUNT}:user/jane"}, KEYS, "--by must be a person's name"),
        ({"profile": "work"}, KEYS, "either --profile NAME or --environment"),
        ({"endpoint": "http://192.0.2.1"}, KEYS, "--endpoint must be on this machine"),
        ({"into": str(RECORDINGS)}, KEYS, "a recording of an endpoint is none of AWS"),
    ],
)
def test_a_recording_is_refused_before_anything_is_called(
    aws: TestCloud, tmp_path: Path, options: dict[str, str], keys: dict[str, str], reason: str
) -> None:
    status, said = command(*asked(aws, tmp_path, **options), "--yes", keys=keys)
    assert reason in said
    assert status == 2
    assert "Traceback" not in said
    assert not (tmp_path / "into").exists()


def test_a_tier_of_jobs_needs_an_image_and_a_role(aws: TestCloud, tmp_path: Path) -> None:
    arguments = asked(aws, tmp_path, endpoint="", tier="endpoints", role="admin")
    status, said = command(*arguments, "--yes", keys=KEYS)
    assert (status, "the tier endpoints needs --image" in said) == (2, True), said


def test_a_profile_that_does_not_exist_is_refused(aws: TestCloud, tmp_path: Path) -> None:
    arguments = [a for a in asked(aws, tmp_path, profile="none") if a != "--environment"]
    status, said = command(*arguments, "--yes", keys=KEYS)
    assert (status, "(none) could not be found" in said) == (2, True), said


@pytest.mark.parametrize("answer", ["", "y\n", "no\n"])
def test_nothing_is_recorded_without_a_typed_yes(
    aws: TestCloud, tmp_path: Path, answer: str
) -> None:
    status, said = command(*asked(aws, tmp_path), keys=KEYS, answer=answer)
    assert "sqs: CreateQueue × 1 (create)" in said
    assert f"in account {ACCOUNT} as arn:aws:" in said
    assert (status, "the plan was not agreed to" in said) == (2, True)
    assert not (tmp_path / "into").exists()


def test_a_recording_with_a_typed_yes_agrees_with_the_local_cloud(
    aws: TestCloud, tmp_path: Path
) -> None:
    status, said = command(*asked(aws, tmp_path), keys=KEYS, answer="yes\n")
    assert (status, "Recorded 1 tests." in said) == (0, True), said
    status, said = command("compare", "--recordings", str(tmp_path / "into"))
    assert said.splitlines() == ["sqs: 4 of 4 answers agree", "ssm: 2 of 2 answers agree"]
    assert status == 0


def test_without_an_account_the_plan_is_shown_with_its_price() -> None:
    status, said = command("record", "--tests", SAMPLES, "--only", "passes or dear")
    assert status == 0, said
    assert "1 tests, of the tiers calls, call on AWS:" in said
    assert "  ssm: GetParameter × 1 (read), PutParameter × 1 (create)" in said
    assert "about $0.0000 by the list prices of" in said
    assert "Not included: --tier endpoints: endpoints, priced at one hour" in said
    assert "Nothing was called on AWS." in said


def planted(recording: dict[str, Any], change: str) -> str:
    """Plant a difference in a recording of the sample; return the words that report it."""
    put, get, create, send, receive = recording["cases"][0]["calls"][:5]
    del create, send
    match change:
        case "status":
            put["status"] = 201
            return "status: recorded 201, local 200"
        case "member":
            get["answer"]["Parameter"]["Policies"] = []
            return "member missing Parameter.Policies: recorded [], local None"
        case "extra":
            del get["answer"]["Parameter"]["DataType"]
            return "member extra Parameter.DataType: recorded None, local 'text'"
        case "type":
            get["answer"]["Parameter"]["Version"] = "1"
            return "type Parameter.Version: recorded '1', local 1"
        case "value":
            get["answer"]["Parameter"]["Type"] = "String"
            return "value Parameter.Type: recorded 'String', local 'SecureString'"
        case "error":
            del put["answer"]
            put |= {"status": 400, "error": {"code": "X", "message": "m"}}
            return "error: recorded {'code': 'X', 'message': 'm'}, local None"
        case "length":
            receive["answer"]["Messages"] *= 2
            return "length Messages: recorded 2, local 1"
    raise AssertionError(change)


@pytest.mark.parametrize(
    "change", ["status", "member", "extra", "type", "value", "error", "length"]
)
def test_a_planted_difference_is_reported(
    aws: TestCloud, recorded: Path, tmp_path: Path, change: str
) -> None:
    recordings, _ = read(recorded)
    report = compare(recordings, aws, tmp_path)
    assert report.agrees, list(report.lines())
    wanted = planted(recordings[0], change)
    for call in recordings[0]["cases"][0]["calls"]:
        call.pop("polled", None)
    report = compare([{"test": "broken"}, *recordings], aws, tmp_path)
    lines = list(report.lines())
    assert not report.agrees
    assert f"    {wanted}" in lines
    assert lines[-1].startswith("broken cannot be replayed: KeyError")
    assert remains(aws, "mlops-lab-rec-") == []


def test_the_recordings_of_aws_agree_with_the_local_cloud(aws: TestCloud, tmp_path: Path) -> None:
    recordings, problems = read()
    report = compare(recordings, aws, tmp_path)
    report.allow(deliberate())
    assert problems == []
    assert report.problems == []
    assert [answer for answer in report.answers if answer.differences] == []


def test_a_difference_that_is_meant_has_a_reason_and_an_old_one_is_a_problem(
    aws: TestCloud, recorded: Path, tmp_path: Path
) -> None:
    (recording,), _ = read(recorded)
    planted(recording, "value")
    (tmp_path / "planted.json").write_text(json.dumps(recording))
    (tmp_path / "broken.json").write_text('{"test": 5}')
    meant, old = (
        f'[[difference]]\ntest = "{SAMPLES}::test_that_passes"\noperation = "GetParameter"\n'
        f'kind = "value"\npath = "Parameter.{member}"\nreason = "a sample"\n'
        for member in ("Type", "ARN")
    )
    file = tmp_path / "deliberate.toml"
    file.write_text(meant + old)
    status, said = command("compare", "--recordings", str(tmp_path))
    assert (status, "ssm: 2 of 2 answers agree" in said) == (1, True), said
    assert "meant: GetParameter value Parameter.Type" in said
    assert "broken.json is no recording: KeyError: 'source'" in said
    assert "GetParameter, value Parameter.ARN: no such difference any more" in said
    (tmp_path / "broken.json").unlink()
    file.write_text(meant)
    assert command("compare", "--recordings", str(tmp_path))[0] == 0
    file.write_text(meant.replace("a sample", " "))
    status, said = command("compare", "--recordings", str(tmp_path))
    assert (status, "a difference has no reason" in said) == (2, True)


def test_an_interrupted_recording_deletes_what_it_created(aws: TestCloud, tmp_path: Path) -> None:
    made = settings(aws, tmp_path)
    assert record(made, "interrupted")["left"] == []
    assert remains(aws, made.prefix) == []
    assert journal_at(tmp_path).entries == []
