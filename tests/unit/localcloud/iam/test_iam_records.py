"""Keys, the record of calls, and what is found in it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from localcloud.core.store import Database
from localcloud.iam.authoriser import denial
from localcloud.iam.calls import CallLog
from localcloud.iam.decision import Policies, ResourcePolicy, decide
from localcloud.iam.keys import Keys, RoleSession
from localcloud.iam.policy import parse
from localcloud.iam.principals import Caller
from localcloud.iam.report import report

pytestmark = pytest.mark.emulator_only

ROLE = "arn:aws:iam::111111111111:role/path/x"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_key_stands_for_one_session_of_a_role() -> None:
    keys = Keys()
    key = keys.issue(ROLE, "s")
    assert (key[:4], len(key)) == ("ASIA", 20)
    assert keys.issue(ROLE, "s") == key
    assert keys.issue(ROLE, "t") != key
    session = keys.get(key)
    assert session == RoleSession(ROLE, "s")
    assert (session.account, session.arn) == (
        "111111111111",
        "arn:aws:sts::111111111111:assumed-role/x/s",
    )


@pytest.mark.parametrize("key", ["", "111111111111", "test", "ASIAAAAAAAAAAAAAAAAA"])
def test_any_other_key_is_an_account(key: str) -> None:
    assert Keys().get(key) is None


def test_old_keys_are_dropped_and_issued_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("localcloud.iam.keys._KEPT", 2)
    keys = Keys()
    first = keys.issue(ROLE)
    keys.remember("a", ROLE, "a")
    keys.remember("b", ROLE, "b")
    assert keys.get(first) is None
    second = keys.issue(ROLE)
    assert second != first
    assert keys.get(second) == RoleSession(ROLE)


def test_like_calls_are_one_entry_and_the_oldest_are_dropped() -> None:
    log = CallLog(limit=2)
    for minute, action in enumerate(["a:A", "a:B", "a:A", "a:C"]):
        log.record(ROLE, action, "*", NOW + timedelta(minutes=minute), allowed=True)
    found = [(call["action"], call["count"], call["last"]) for call in log.document()]
    assert found == [
        ("a:A", 2, "2026-01-01T00:02:00+00:00"),
        ("a:C", 1, "2026-01-01T00:03:00+00:00"),
    ]
    log.clear()
    assert log.document() == []


def test_a_denial_has_the_text_of_aws() -> None:
    session = RoleSession(ROLE, "s")
    nobody, here = Caller("111111111111", ROLE, session.arn), ResourcePolicy()
    denying = parse({"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}})
    implicit = decide(Policies(), here, nobody, "a:B", "*", {})
    explicit = decide(Policies(denying), here, nobody, "a:B", "*", {})
    user = "User: arn:aws:sts::111111111111:assumed-role/x/s is not authorized to perform: a:B "
    assert denial(session, "a:B", "*", implicit) == (
        f"{user}on resource: * because no identity-based policy allows the a:B action"
    )
    assert denial(session, "a:B", "*", explicit) == (
        f"{user}on resource: * with an explicit deny in an identity-based policy"
    )


def call(action: str, resource: str, *, allowed: bool = True) -> dict[str, Any]:
    return {"role": ROLE, "action": action, "resource": resource, "allowed": allowed}


def allow(*actions: str, resource: str = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def test_what_was_called_is_held_against_what_is_granted() -> None:
    calls = [
        call("s3:GetObject", "arn:aws:s3:::b/k"),
        call("s3:PutObject", "arn:aws:s3:::b/k", allowed=False),
        {**call("sns:Publish", "*"), "role": "other"},
    ]
    other, found = report(
        calls, {ROLE: [{"Statement": [allow("s3:get*", "s3:PutObject"), allow("sns:Publish")]}]}
    )[::-1]
    assert (other.role, other.unused, other.missing, other.acted) == ("other", [], [], True)
    assert found.used == ["s3:GetObject"]
    assert found.missing == [("s3:PutObject", "arn:aws:s3:::b/k")]
    # It was called and denied: the grant did not help, so it is of no use.
    assert found.unused == ["s3:PutObject", "sns:Publish"]


def test_a_grant_is_used_by_a_call_on_its_own_resources() -> None:
    calls = [call("s3:GetObject", "arn:aws:s3:::b/k")]
    near = allow("s3:GetObject", resource="arn:aws:s3:::b/*")
    far = allow("s3:GetObject", resource="arn:aws:s3:::c/*")
    assert report(calls, {ROLE: [{"Statement": near}]})[0].unused == []
    assert report(calls, {ROLE: [{"Statement": [near, far]}]})[0].unused == ["s3:GetObject"]


def test_a_role_without_any_call_is_reported_separately() -> None:
    (found,) = report([], {ROLE: [{"Statement": allow("s3:GetObject")}]})
    assert (found.acted, found.unused) == (False, ["s3:GetObject"])


def test_an_assumed_role_is_still_one_after_a_restart(tmp_path: Path) -> None:
    role = "arn:aws:iam::000000000000:role/kept"
    database = Database(tmp_path / "state.sqlite")
    keys = Keys(database)
    keys.remember("ASIAKEPT", role, "session")
    ours = keys.issue(role)
    database.close()
    again = Keys(Database(tmp_path / "state.sqlite"))
    assert again.get("ASIAKEPT") == RoleSession(role, "session")
    assert again.get(ours) is None  # its child ended with the cloud
