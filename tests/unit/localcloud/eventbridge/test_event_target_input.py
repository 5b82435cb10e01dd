"""The input of a target: constants, paths and templates."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.eventbridge.target_input import input_of

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html"
)

RULE = "arn:aws:events:us-east-1:123456789012:rule/example"
# The event of AWS's guide to input transformers.
EVENT = {
    "version": "0",
    "id": "7bf73129-1428-4cd3-a780-95db273d1602",
    "detail-type": "EC2 Instance State-change Notification",
    "source": "aws.ec2",
    "account": "123456789012",
    "time": "2015-11-11T21:29:54Z",
    "region": "us-east-1",
    "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"],
    "detail": {"instance-id": "i-0123456789", "state": "RUNNING", "list": [{"n": 1}, {"n": 2}]},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)


def transformed(template: str, **paths: str) -> str:
    transformer = {"InputPathsMap": paths, "InputTemplate": template}
    return input_of({"InputTransformer": transformer}, EVENT, RULE)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ('"<instance> is in state <state>"', '"i-0123456789 is in state RUNNING"'),
        ("<instance> is in state <state>", "i-0123456789 is in state RUNNING"),
        (
            '{"instance" : <instance>, "state": <state>}',
            '{"instance" : "i-0123456789", "state": "RUNNING"}',
        ),
        (
            '{"instance" : "<instance>", "text": "state \\"<state>\\""}',
            '{"instance" : "i-0123456789", "text": "state \\"RUNNING\\""}',
        ),
        ('{"all": <list>}', '{"all": [{"n": 1}, {"n": 2}]}'),
        ('{"all": "<list>"}', '{"all": "[{\\"n\\": 1}, {\\"n\\": 2}]"}'),
        ('{"none": <none>, "in": "<none>"}', '{"none": "", "in": ""}'),
        (
            '{"rule": <aws.events.rule-arn>, "name": "<aws.events.rule-name>"}',
            f'{{"rule": "{RULE}", "name": "example"}}',
        ),
        ('{"came": <aws.events.event.ingestion-time>}', '{"came": "2015-11-11T21:29:54Z"}'),
        ('{"unknown": "<b>"}', '{"unknown": "<b>"}'),
    ],
)
def test_a_template_has_the_values_of_its_paths(template: str, expected: str) -> None:
    made = transformed(
        template,
        instance="$.detail.instance-id",
        state="$.detail.state",
        list="$.detail.list",
        none="$.detail.none",
    )
    assert made == expected


def test_a_template_may_have_the_whole_event() -> None:
    assert json.loads(transformed('{"e": <aws.events.event.json>}')) == {"e": EVENT}
    without = {name: value for name, value in EVENT.items() if name != "detail"}
    assert json.loads(transformed('{"e": <aws.events.event>}')) == {"e": without}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("$", EVENT),
        ("$.detail.state", "RUNNING"),
        ("$.detail-type", "EC2 Instance State-change Notification"),
        ("$.resources[0]", "arn:aws:ec2:us-east-1:123456789012:instance/i-abcd1111"),
        ("$.detail.list[1].n", 2),
        ("$.detail.list[*].n", [1, 2]),
        ("$.detail.list[*]", [{"n": 1}, {"n": 2}]),
    ],
)
def test_a_path_gives_a_part_of_the_event(path: str, expected: Any) -> None:
    assert json.loads(input_of({"InputPath": path}, EVENT, RULE)) == expected


@pytest.mark.parametrize("path", ["$.none", "$.detail.list[7]", "$.resources.x", "$.account[0]"])
def test_a_path_that_the_event_lacks_is_an_error(path: str) -> None:
    with pytest.raises(LookupError, match="the event has nothing at"):
        input_of({"InputPath": path}, EVENT, RULE)


def test_a_constant_and_an_event_are_as_they_are() -> None:
    assert input_of({"Input": ' {"a":1} '}, EVENT, RULE) == ' {"a":1} '
    assert json.loads(input_of({}, EVENT, RULE)) == EVENT


@given(JSON)
def test_a_template_of_json_is_json_whatever_the_values_are(value: Any) -> None:
    transformer = {
        "InputPathsMap": {"v": "$.detail.v"},
        "InputTemplate": '{"alone": <v>, "text": "so: <v>!", "list": [<v>, 1]}',
    }
    event = {**EVENT, "detail": {"v": value}}
    made = json.loads(input_of({"InputTransformer": transformer}, event, RULE))
    text = value if isinstance(value, str) else json.dumps(value)
    assert made == {"alone": value, "text": f"so: {text}!", "list": [value, 1]}
