"""The calls of a run, compared with the grants that a change adds, and the comment on them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.review.comparison import Snapshot, compared, problem_of_run
from localcloud.review.markdown import rendered
from localcloud.review.usage import denied, marked

pytestmark = pytest.mark.emulator_only

BUCKET = "arn:aws:s3:::data"


def call(action: str, resource: str, *, role: str = "job", allowed: bool = True) -> dict[str, Any]:
    arn = f"arn:aws:iam::111111111111:role/lab/{role}"
    return {"role": arn, "action": action, "resource": resource, "allowed": allowed}


READS = [call("s3:GetObject", f"{BUCKET}/a.csv"), call("logs:DescribeLogGroups", "*")]


def allow(action: str, resource: str, **more: str) -> dict[str, str]:
    return {"effect": "Allow", "action": action, "resource": resource, **more}


def used(
    grant: dict[str, str], calls: list[dict[str, Any]] = READS, holder: str = "role job"
) -> bool | None:
    """Return the mark of one gained grant."""
    held = {"stack": "prd", "holder": holder, "is": "changed", "gained": [grant], "lost": []}
    (found,) = marked([held], calls)
    (marked_grant,) = found["gained"]
    assert marked_grant == {**grant, "used": marked_grant["used"]}
    assert {**found, "gained": []} == {**held, "gained": []}
    mark: bool | None = marked_grant["used"]
    return mark


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        (allow("s3:GetObject", f"{BUCKET}/*"), True),
        (allow("s3:getobject", f"{BUCKET}/a.csv"), True),
        (allow("s3:Get*", "*"), True),
        (allow("s3:GetObject", f"{BUCKET}/*", condition='{"Bool": {"a:b": "true"}}'), True),
        # The action alone, or the resource alone, is not enough.
        (allow("s3:GetObject", "arn:aws:s3:::other/*"), False),
        (allow("s3:PutObject", f"{BUCKET}/*"), False),
        # A call without a resource is of every resource.
        (allow("logs:DescribeLogGroups", "arn:aws:logs:*:*:log-group:x"), True),
        # NotAction and NotResource.
        (allow("all but logs:*, kms:*", f"{BUCKET}/*"), True),
        (allow("all but logs:*, s3:*", f"{BUCKET}/*"), False),
        (allow("s3:GetObject", "all but arn:aws:s3:::other/*"), True),
        (allow("s3:GetObject", f"all but arn:aws:s3:::other/*, {BUCKET}/*"), False),
    ],
)
def test_a_grant_is_used_if_a_call_is_of_its_action_and_its_resource(
    grant: dict[str, str], expected: bool
) -> None:
    assert used(grant) is expected


def test_a_call_of_another_role_or_one_that_was_denied_uses_nothing() -> None:
    grant = allow("s3:GetObject", f"{BUCKET}/*")
    assert used(grant, [call("s3:GetObject", f"{BUCKET}/a", role="other")]) is False
    assert used(grant, [call("s3:GetObject", f"{BUCKET}/a", allowed=False)]) is False


@pytest.mark.parametrize(
    ("grant", "holder"),
    [
        ({**allow("s3:GetObject", "*"), "effect": "Deny"}, "role job"),
        ({"effect": "Allow", "action": "the managed policy arn:aws:iam::aws:policy/x"}, "role job"),
        (
            {"effect": "Allow", "action": "sts:AssumeRole", "principal": "lambda.amazonaws.com"},
            "role job",
        ),
        (allow("s3:GetObject", "*", principal="everyone"), "bucket job"),
    ],
)
def test_what_the_record_of_calls_does_not_show_is_not_judged(
    grant: dict[str, str], holder: str
) -> None:
    assert used(grant, holder=holder) is None


def test_denied_calls_are_named_once_with_their_role() -> None:
    refused = call("s3:PutObject", BUCKET, allowed=False)
    assert denied([*READS, refused, refused]) == [
        {"role": "job", "action": "s3:PutObject", "resource": BUCKET}
    ]
    assert denied(READS) == []


def snapshot(*actions: str) -> Snapshot:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": f"{BUCKET}/*"}
    policy = {"role": "job", "policy": json.dumps({"Statement": [statement]})}
    return Snapshot(
        "prd", [{"type": "aws:iam/rolePolicy:RolePolicy", "name": "p", "inputs": policy}], {}
    )


def comparison(reason: str = "", *refused: dict[str, Any]) -> dict[str, Any]:
    """Return a comparison with a run: one gained grant is used, and one is not."""
    found = compared([snapshot("s3:ListBucket")], [snapshot("s3:GetObject", "s3:PutObject")], [])
    status = "Failed" if reason else "Succeeded"
    run = {"status": status, "reason": reason, "denied": denied(refused)}
    if not reason:
        found["permissions"] = marked(found["permissions"], READS)
    sides = {"base": {"name": "main", "commit": ""}, "head": {"name": "mine", "commit": ""}}
    return {**sides, **found, "run": run}


def test_the_comment_marks_each_gained_grant() -> None:
    found = comparison()
    text = rendered(found)
    assert "**The lab's run**: a dataset was delivered to production; no call denied\n" in text
    assert "**Permissions**: 2 gained (1 used by the lab's run, 1 not used), 1 lost\n" in text
    assert f"  + Allow s3:GetObject on {BUCKET}/*  [used]\n" in text
    assert f"  + Allow s3:PutObject on {BUCKET}/*  [not used by the lab's run]\n" in text
    assert f"  - Allow s3:ListBucket on {BUCKET}/*\n" in text
    assert problem_of_run(found) == ""


def test_a_denied_call_is_an_error_of_the_head_even_if_the_run_succeeds() -> None:
    refused = [call(f"sns:{name}", "arn:t", allowed=False) for name in ("Publish", "Subscribe")]
    found = comparison("", *refused)
    text = rendered(found)
    assert "**The lab's run**: a dataset was delivered to production; 2 calls denied\n" in text
    assert "! job: sns:Publish on arn:t\n! job: sns:Subscribe on arn:t\n" in text
    assert problem_of_run(found) == (
        "the lab's run of mine was denied sns:Publish on arn:t, which job called, and 1 more; "
        "grant what is needed"
    )


def test_a_run_that_failed_marks_nothing_and_says_why() -> None:
    refused = call("sns:Publish", "arn:t", allowed=False)
    found = comparison("it ended as Failed: Train/Train: `no`", refused)
    text = rendered(found)
    assert (
        "**The lab's run failed**; 1 call denied\n\n```text\n"
        "it ended as Failed: Train/Train: `no`\n! job: sns:Publish on arn:t\n```\n"
    ) in text
    assert "used" not in text
    assert problem_of_run(found) == (
        "the lab's run of mine failed: it ended as Failed: Train/Train: `no`"
    )


def test_without_a_run_nothing_is_said_of_one() -> None:
    found = {name: value for name, value in comparison("x").items() if name != "run"}
    assert "run" not in rendered(found)
    assert problem_of_run(found) == ""
