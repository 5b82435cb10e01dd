"""Commands of the recorder: `record` (the plan alone without an account), `compare` and `page`."""

from __future__ import annotations

import argparse
import datetime
import ipaddress
import json
import os
import re
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore
from botocore.exceptions import BotoCoreError, ClientError

from components.prices import PRICE_DATE, warning
from tests.cloud import ACCOUNT, CONTAINER, REGION, TestCloud, local_cloud
from tests.recorder import page
from tests.recorder.cloud import Connection, journal_at, prefix_of
from tests.recorder.normal import Caller
from tests.recorder.operations import OPERATIONS, TIERS
from tests.recorder.plugin import Settings
from tests.recorder.replay import compare
from tests.recorder.storage import RECORDINGS, ROOT, deliberate, read

BUILD = ROOT / "build" / "recording"
# The name of the person: no ARN, no address, no account.
_NAME = re.compile(r"[^\W\d_](?:[\w .'’-]{0,58}[\w.])?")


_FAILED = {"record": "Nothing was recorded", "compare": "Nothing was compared"}


class Stop(Exception):
    """A reason not to record, said to the user."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return its exit status: 0, 1 for differences or failures, 2 for a refusal."""
    options = _parser().parse_args(arguments)
    try:
        if options.command == "page":
            page.main()
            return 0
        if options.command == "image":
            _write_image(options.directory)
            return 0
        return _compare(options) if options.command == "compare" else _record(options)
    except Stop as error:
        print(f"{_FAILED[options.command]}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.recorder", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    record = commands.add_parser("record", help="show the plan, and record with --account")
    record.add_argument("--account", help="the account to record in, which must be the caller's")
    record.add_argument("--profile", help="the profile of the credentials")
    record.add_argument(
        "--environment", action="store_true", help="take the credentials from AWS_ACCESS_KEY_ID"
    )
    record.add_argument("--by", help="the name of the person who records, for docs/semantics.md")
    record.add_argument(
        "--tier", action="append", choices=sorted(TIERS), help="a tier besides calls, by its price"
    )
    record.add_argument("--image", help="the image of the training and endpoints tiers, in ECR")
    record.add_argument("--role", help="the ARN of the role of these tiers, for SageMaker")
    record.add_argument("--only", help="tests whose names match, as pytest's -k")
    record.add_argument("--yes", action="store_true", help="agree to the plan without being asked")
    record.add_argument("--into", type=Path, default=RECORDINGS, help=argparse.SUPPRESS)
    record.add_argument("--build", type=Path, default=BUILD, help=argparse.SUPPRESS)
    # A local cloud in place of AWS, for the tests of the recorder.
    record.add_argument("--endpoint", help=argparse.SUPPRESS)
    record.add_argument("--tests", nargs="+", default=["tests/api"], help=argparse.SUPPRESS)
    compared = commands.add_parser("compare", help="replay the recordings on a local cloud")
    compared.add_argument("--recordings", type=Path, default=RECORDINGS)
    image = commands.add_parser("image", help="write what the tests' image is built from")
    image.add_argument("directory", type=Path)
    commands.add_parser("page", help="write the column `seen` of docs/semantics.md")
    return parser


# tests.cloud.CONTAINER on AWS, where nothing sets the variables of the local cloud.
_DOCKERFILE = """FROM public.ecr.aws/docker/library/python:3.12-slim
WORKDIR /opt/program
COPY main.py /opt/program/
ENV HOST=0.0.0.0 SAGEMAKER_BASE_DIR=/opt/ml SAGEMAKER_BIND_TO_PORT=8080
ENV SAGEMAKER_MODEL_SERVER_WORKERS=1 PYTHONUNBUFFERED=1
ENTRYPOINT ["python", "main.py"]
"""


def _write_image(directory: Path) -> None:
    """Write the Dockerfile and the program of the tests' container."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "Dockerfile").write_text(_DOCKERFILE)
    (directory / "main.py").write_text(CONTAINER)
    print(f"Build and push it: docker build -t REPOSITORY_URI {directory} && docker push …")


def _compare(options: argparse.Namespace) -> int:
    recordings, problems = read(options.recordings)
    try:
        meant = deliberate(options.recordings)
    except ValueError as error:
        raise Stop(str(error)) from error
    if not recordings and not problems:
        print(f"There are no recordings in {options.recordings}; `make record` makes them.")
        return 0
    with local_cloud() as cloud, tempfile.TemporaryDirectory() as directory:
        report = compare(recordings, cloud, Path(directory))
    report.problems += problems
    report.allow(meant)
    for line in report.lines():
        print(line)
    return 0 if report.agrees else 1


def _record(options: argparse.Namespace) -> int:
    tiers = ["calls", *(options.tier or [])]
    connection = _connection(options) if options.account or options.profile else None
    if connection is not None:
        _clean_before(options, connection)
    plan = _rehearse(options, tiers)
    _show(plan, tiers)
    if plan["problems"] or plan["failed"] or plan["left"]:
        raise Stop("the rehearsal on a local cloud failed; see above")
    if connection is None:
        print(
            "Nothing was called on AWS. To record: make record ACCOUNT=… PROFILE=… BY='your name'"
        )
        return 0
    _agree(options, plan, connection)
    settings = _settings(options, connection, tiers, options.by, options.into, options.build)
    summary = _run(options, settings, options.tests)
    return _result(summary)


def _result(summary: dict[str, Any]) -> int:
    print(f"Recorded {summary['tests']} tests.")
    for test, said in summary["failed"].items():
        print(f"  the answer differs from the rule: {test}: {said}")
    for problem in summary["problems"]:
        print(f"  not recorded: {problem}")
    for left in summary["left"]:
        print(f"  could not be deleted: {left}")
    if summary["left"]:
        print("Delete these resources, or run make record again, which tries it first.")
    return 1 if summary["failed"] or summary["problems"] or summary["left"] else 0


def _connection(options: argparse.Namespace) -> Connection:
    """Return the checked way to the account.

    Raises:
        Stop: credentials, account or name are not given, or the account is another one.
    """
    if not options.account or not re.fullmatch(r"\d{12}", options.account):
        raise Stop(f"--account must be the 12 digits of an account, and is {options.account!r}")
    if bool(options.profile) == options.environment:
        raise Stop("name the credentials: either --profile NAME or --environment")
    if options.environment and not os.environ.get("AWS_ACCESS_KEY_ID"):
        raise Stop("--environment needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if not options.by or not _NAME.fullmatch(options.by):
        raise Stop(f"--by must be a person's name without digits, and is {options.by!r}")
    if options.endpoint:
        _check_endpoint(options)
    elif options.tier and not (
        re.fullmatch(r"\d{12}\.dkr\.ecr\.[\w.:/@-]+", options.image or "")
        and re.fullmatch(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+", options.role or "")
    ):
        raise Stop(
            f"the tier {options.tier[0]} needs --image, an image in ECR (make it with `python -m "
            "tests.recorder image DIRECTORY`), and --role, the ARN of a role for SageMaker"
        )
    connection = Connection(
        Caller(options.account, REGION, prefix_of(secrets.token_hex(3))),
        options.profile,
        options.endpoint,
        options.image,
        options.role,
    )
    try:
        if options.profile:
            method = boto3.Session(profile_name=options.profile).get_credentials()
            if method is None:
                raise Stop(f"the profile {options.profile!r} has no credentials")
        identity = connection.client("sts").get_caller_identity()
    except (BotoCoreError, ClientError) as error:
        raise Stop(f"AWS does not accept the credentials: {error}") from error
    if identity["Account"] != options.account:
        raise Stop(
            f"the credentials are of account {identity['Account']}, and --account is "
            f"{options.account}"
        )
    caller = replace(connection.caller, arn=identity["Arn"], user_id=identity["UserId"])
    return replace(connection, caller=caller)


def _check_endpoint(options: argparse.Namespace) -> None:
    """Refuse an endpoint elsewhere, and a recording of one as a recording of AWS."""
    host = urlsplit(options.endpoint).hostname or ""
    try:
        local = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = False
    if not local:
        raise Stop(f"--endpoint must be on this machine, and is {options.endpoint}")
    if options.into.resolve() == RECORDINGS.resolve():
        raise Stop("a recording of an endpoint is none of AWS: give it another --into")


def _clean_before(options: argparse.Namespace, connection: Connection) -> None:
    """Delete what a recording that was killed has left in this account."""
    journal = journal_at(options.build)
    mine = [entry for entry in journal.entries if entry[3] == options.account]
    if not mine:
        return
    print(f"An earlier recording may have left {len(mine)} resources; deleting them.")
    left = journal.clean(connection.client, options.account)
    if left:
        raise Stop(
            f"resources of an earlier recording are still there: {'; '.join(left)}. Delete "
            f"them, and then their lines in {options.build / 'journal.jsonl'}"
        )


def _agree(options: argparse.Namespace, plan: dict[str, Any], connection: Connection) -> None:
    """Go on only with a typed yes, or --yes."""
    if options.yes:
        return
    calls = sum(plan["calls"].values())
    question = (
        f"Make about {calls} calls in account {options.account} as {connection.caller.arn}, for "
        f"about ${plan['price']:.4f}? Type yes: "
    )
    try:
        answer = input(question)
    except EOFError:
        answer = ""
    if answer.strip() != "yes":
        raise Stop("the plan was not agreed to")


def _settings(
    options: argparse.Namespace,
    connection: Connection,
    tiers: list[str],
    by: str,
    into: Path,
    work: Path,
) -> Settings:
    del options
    caller = connection.caller
    return Settings(
        account=caller.account,
        prefix=caller.prefix,
        region=caller.region,
        arn=caller.arn,
        user_id=caller.user_id,
        profile=connection.profile,
        endpoint=connection.endpoint,
        image=connection.image,
        role=connection.role,
        by=by,
        on=datetime.datetime.now(datetime.UTC).date().isoformat(),
        botocore=botocore.__version__,
        tiers=tiers,
        into=str(into.resolve()),
        journal=str(work.resolve()),
    )


def _rehearse(options: argparse.Namespace, tiers: list[str]) -> dict[str, Any]:
    """Run the tests on a local cloud and return what they called, and its price on AWS."""
    with local_cloud() as cloud, _own_credentials(), tempfile.TemporaryDirectory() as directory:
        connection = _local(cloud)
        work = Path(directory)
        settings = _settings(options, connection, tiers, "rehearsal", work / "into", work)
        return _run(options, settings, options.tests, quiet=True)


def _local(cloud: TestCloud) -> Connection:
    caller = Caller(
        ACCOUNT, REGION, prefix_of(secrets.token_hex(3)), f"arn:aws:iam::{ACCOUNT}:root"
    )
    return Connection(caller, None, cloud.url)


@contextmanager
def _own_credentials() -> Iterator[None]:
    """Give the rehearsal credentials of the local cloud, and never those of the user."""
    names = [
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
        *("AWS_PROFILE", "AWS_DEFAULT_PROFILE"),
    ]
    before = {name: os.environ.pop(name, None) for name in names}
    os.environ |= {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "test"}
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _run(
    options: argparse.Namespace, settings: Settings, tests: list[str], *, quiet: bool = False
) -> dict[str, Any]:
    """Run pytest with the recording's plugin and return its summary."""
    work = Path(settings.journal)
    work.mkdir(parents=True, exist_ok=True)
    summary = work / "summary.json"
    summary.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "settings.json"
        settings.save(file)
        command = [
            *(
                sys.executable,
                "-m",
                "pytest",
                "-p",
                "tests.recorder.plugin",
                "-p",
                "no:cacheprovider",
            ),
            *("-m", "recordable", "--record", str(file), "--override-ini", "timeout=3600", "-q"),
            *(["-k", options.only] if options.only else []),
            *tests,
        ]
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("AWS_ENDPOINT_URL", "LOCALSTACK_HOST", "PYTEST_ADDOPTS")
        }
        with (Path(directory) / "output").open("w+") as output:
            sink = output if quiet else None
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdout=sink,
                stderr=sink,
                stdin=subprocess.DEVNULL,
            )
            status = _wait(process)
            output.seek(0)
            said = output.read()[-4000:]
    if not summary.exists():
        raise Stop(f"pytest ended with status {status} and without a summary. {said}")
    found: dict[str, Any] = json.loads(summary.read_text())
    return found


def _wait(process: subprocess.Popen[bytes]) -> int:
    """Wait for pytest, also after Ctrl-C, which it gets too: it cleans up before it ends."""
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            print("Interrupted; what was created is being deleted.", file=sys.stderr)


def _show(plan: dict[str, Any], tiers: list[str]) -> None:
    """Print the calls of the plan by service, with the price."""
    print(f"{plan['tests']} tests, of the tiers {', '.join(tiers)}, call on AWS:")
    by_service: dict[str, list[str]] = {}
    for name, times in sorted(plan["calls"].items()):
        service, _, operation = name.partition(":")
        kind = OPERATIONS[service][operation].kind
        by_service.setdefault(service, []).append(f"{operation} × {times} ({kind})")
    for service, operations in by_service.items():
        print(f"  {service}: {', '.join(operations)}")
    print(
        f"{sum(plan['calls'].values())} calls, more where a test waits; about ${plan['price']:.4f} "
        f"by the list prices of {PRICE_DATE} in {REGION}. {warning(datetime.date.today())}".rstrip()
    )
    for tier, text in TIERS.items():
        if tier not in tiers:
            print(f"Not included: --tier {tier}: {text}.")
    for test, said in plan["failed"].items():
        print(f"  fails on the local cloud: {test}: {said}")
    for problem in [*plan["problems"], *plan["left"]]:
        print(f"  {problem}")


if __name__ == "__main__":
    sys.exit(main())
