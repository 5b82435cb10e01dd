"""Two deployments, compared, and the comparison as the comment of a pull request."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.review.comparison import Snapshot, compared, has_changes
from localcloud.review.markdown import MOST_CHARACTERS, rendered

pytestmark = pytest.mark.emulator_only


def estimate(**items: float | None) -> dict[str, Any]:
    made = [{"what": what, "monthly": monthly} for what, monthly in items.items()]
    return {"currency": "USD", "priceDate": "2026-01-01", "items": made}


def role(*actions: str) -> dict[str, Any]:
    document = {"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "arn:x"}]}
    return {
        "type": "aws:iam/rolePolicy:RolePolicy",
        "name": "p",
        "inputs": {"role": "r", "policy": json.dumps(document)},
    }


BASE = Snapshot(
    "prd",
    [role("s3:GetObject", "s3:PutObject")],
    {"monthlyCostEstimate": estimate(endpoint=10.0, dashboard=3.0, gone=1.0)},
    {"Resources": {"Endpoint": {"Type": "ml.m5.large"}}},
    [{"rule": "tags", "urn": "urn::old", "message": "tag it"}],
)
HEAD = Snapshot(
    "prd",
    [role("s3:GetObject", "kms:Decrypt")],
    {"monthlyCostEstimate": estimate(endpoint=20.5, dashboard=3.0, new=None)},
    {"Resources": {"Endpoint": {"Type": "ml.m5.xlarge"}}},
    [
        {"rule": "tags", "urn": "urn::old", "message": "tag it"},
        {"rule": "encryption", "urn": "urn:pulumi:prd::lab::bucket", "message": "encrypt it"},
    ],
)
PREVIEW: dict[str, Any] = {
    "stack": "prd",
    "changes": {"same": 1, "update": 1},
    "steps": [
        {"change": "same", "type": "a:b:C", "name": "still", "differences": []},
        {
            "change": "update",
            "type": "aws:sns/topic:Topic",
            "name": "topic",
            "differences": [
                {"path": "name", "before": "a", "after": None},
                {"path": "policy.Statement[0]", "before": "x", "after": "y"},
            ],
        },
    ],
}
SIDES = {
    "base": {"name": "main", "commit": "0" * 40},
    "head": {"name": "the working tree", "commit": ""},
}


def test_a_comparison_says_what_changed_and_nothing_else() -> None:
    found = compared([BASE], [HEAD], [PREVIEW])
    assert [step["name"] for step in found["stacks"][0]["steps"]] == ["topic"]
    assert found["cost"] == {
        "currency": "USD",
        "priceDate": "2026-01-01",
        "before": 14.0,
        "after": 23.5,
        "items": [
            {"stack": "prd", "what": "endpoint", "before": 10.0, "after": 20.5},
            {"stack": "prd", "what": "new", "before": 0.0, "after": None},
            {"stack": "prd", "what": "gone", "before": 1.0, "after": 0.0},
        ],
    }
    (holder,) = found["permissions"]
    assert (holder["holder"], holder["is"]) == ("role r", "changed")
    assert [grant["action"] for grant in holder["gained"]] == ["kms:Decrypt"]
    assert [grant["action"] for grant in holder["lost"]] == ["s3:PutObject"]
    (template,) = found["templates"]
    assert template["differences"] == [
        {"path": "Resources.Endpoint.Type", "before": "ml.m5.large", "after": "ml.m5.xlarge"}
    ]
    assert [(v["rule"], v["resource"], v["new"]) for v in found["violations"]] == [
        ("tags", "old", False),
        ("encryption", "bucket", True),
    ]
    assert has_changes(found)


def test_equal_deployments_have_no_changes() -> None:
    found = compared([BASE], [BASE], [{**PREVIEW, "steps": PREVIEW["steps"][:1]}])
    assert not has_changes(found)
    text = rendered({**SIDES, **found})
    assert "Nothing that is deployed changes." in text
    assert "**Rules**: 0 violations are new, of 1" in text


def test_a_new_violation_alone_is_a_change() -> None:
    broken = replace(BASE, violations=HEAD.violations)
    assert has_changes(compared([BASE], [broken], []))


def test_the_comment_has_every_section() -> None:
    text = rendered({**SIDES, **compared([BASE], [HEAD], [PREVIEW])})
    assert text.startswith("### The working tree compared with `main` (000000000000)\n")
    assert "    name: a → (none)\n" in text
    assert "    policy: see the permissions\n" in text
    assert "policy.Statement" not in text
    assert "**Cost**: 14.00 → 23.50 USD a month (+9.50)" in text
    assert "| `prd` | `new` | 0.00 | no price | unknown |" in text
    assert "**Permissions**: 1 gained, 1 lost" in text
    assert "  + Allow kms:Decrypt on arn:x\n" in text
    assert "! encryption: bucket (prd): encrypt it\n" in text


HOSTILE = st.text(st.sampled_from("`~@<>|#[]()! \n\rab"), min_size=1, max_size=40)


@given(name=HOSTILE, value=HOSTILE)
def test_no_text_of_a_stranger_leaves_its_code(name: str, value: str) -> None:
    step = {
        "change": "create",
        "type": "a:b:C",
        "name": name,
        "differences": [{"path": "x", "before": None, "after": value}],
    }
    cost = {"monthlyCostEstimate": estimate(**{value: 1.0})}
    head = replace(BASE, outputs=cost, resources=[], template={"Resources": {name: value}})
    sides = {**SIDES, "head": {"name": name, "commit": "1" * 40}}
    text = rendered({**sides, **compared([BASE], [head], [{**PREVIEW, "steps": [step]}])})
    outside = _without_code(text)
    assert not re.search(r"[@<>\[\]]", outside), outside
    # Each heading, table row and fence is one of ours.
    assert outside.count("###") == 1


def _without_code(text: str) -> str:
    """Return Markdown without its code blocks and code spans, by CommonMark's rules."""
    blocks = re.sub(r"^(`{3,})text\n.*?^\1\n", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", "", blocks)


def test_a_comment_is_never_longer_than_github_takes() -> None:
    steps = [
        {"change": "create", "type": "a:b:C", "name": "n" * 900, "differences": []}
        for _ in range(150)
    ]
    text = rendered({**SIDES, **compared([BASE], [HEAD], [{**PREVIEW, "steps": steps}])})
    assert len(text) <= MOST_CHARACTERS
    assert "run `localcloud diff` for all of it" in text


def endpoint_template(instance_type: str, *, scales: bool) -> dict[str, Any]:
    variant = {"VariantName": "AllTraffic", "InstanceType": instance_type}
    target = {"Type": "AWS::ApplicationAutoScaling::ScalableTarget", "Properties": {}}
    return {
        "Resources": {
            "EndpointConfig": {
                "Type": "AWS::SageMaker::EndpointConfig",
                "Properties": {"ProductionVariants": [variant]},
            },
            **({"ScalableTarget": target} if scales else {}),
        }
    }


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (("ml.m5.large", True), ("ml.c5.large", True), True),
        (("ml.m5.large", True), ("ml.c5.large", False), True),
        (("ml.m5.large", True), ("ml.m5.large", False), False),
        (("ml.m5.large", False), ("ml.c5.large", True), False),
    ],
)
def test_another_type_of_what_scales_is_said_to_be_undeployable(
    before: tuple[str, bool], after: tuple[str, bool], expected: bool
) -> None:
    base = replace(BASE, template=endpoint_template(before[0], scales=before[1]))
    head = replace(HEAD, template=endpoint_template(after[0], scales=after[1]))
    found = compared([base], [head], [PREVIEW])
    change = {
        "stack": "prd",
        "variant": "AllTraffic",
        "before": "ml.m5.large",
        "after": "ml.c5.large",
    }
    assert found["undeployable"] == [change] * expected
    text = rendered({**SIDES, **found})
    assert ("No run of the pipeline can deploy this" in text) is expected
    assert ("prd: variant AllTraffic: ml.m5.large → ml.c5.large" in text) is expected
