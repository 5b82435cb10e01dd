"""The values that AWS has, in the program's terms; and the refreshed state of a stack."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.deploy.difference import differences
from localcloud.deploy.errors import ResourceError
from localcloud.deploy.plan import ChangeType, ResourceChange
from localcloud.deploy.reading import Terms, means_the_same, settled
from localcloud.deploy.refresh import refresh
from localcloud.deploy.shapes import input_name
from localcloud.deploy.state import ResourceState, StackState
from localcloud.deploy.types import TYPES, Aws, Inputs, Outputs, ResourceType
from localcloud.deploy.types.base import Answer, Reader, delete_nothing, split_id

pytestmark = pytest.mark.emulator_only
values = st.recursive(
    st.booleans() | st.integers(1, 99) | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
inputs = st.dictionaries(st.text(min_size=1, max_size=6), values, max_size=4)


def test_every_type_reads_itself_back() -> None:
    assert [] == [name for name, kind in TYPES.items() if kind.reader is None]


@given(inputs)
def test_what_nobody_changed_reads_back_equal(known: Inputs) -> None:
    assert known == settled(known, known, Terms())


@given(inputs, inputs)
def test_what_is_read_means_what_aws_has(actual: Inputs, known: Inputs) -> None:
    found = settled(actual, known, Terms())
    for key, value in found.items():
        assert means_the_same(value, known.get(key)) or differences({key: value}, known)
    assert {key for key, value in actual.items() if key in known} <= set(found)
    assert found == settled(found, known, Terms())


@given(inputs)
def test_what_aws_adds_by_itself_is_no_difference(known: Inputs) -> None:
    added = {
        "timeout-of-it": 3,
        "tags-of-it": {},
        "nothing-in-it": {"inner": ""},
        "filled-by-aws": "x",
    }
    terms = Terms({"timeout-of-it": 3}, frozenset({"filled-by-aws"}))
    assert known == settled({**known, **added}, known, terms)
    assert settled({**known, "timeout-of-it": 4}, known, terms) == {**known, "timeout-of-it": 4}
    # An import knows nothing, and takes what AWS chose.
    assert settled({"filled-by-aws": "x", "timeout-of-it": 3}, None, terms) == {
        "filled-by-aws": "x"
    }


def test_what_aws_does_not_return_stays_as_it_is_known() -> None:
    terms = Terms(unread=frozenset({"forceDestroy"}))
    known = {"bucket": "b", "forceDestroy": True}
    assert settled({"bucket": "b"}, known, terms) == known


def test_a_value_that_is_gone_is_gone() -> None:
    known = {"name": "n", "retentionInDays": 30, "tags": {"a": "1", "b": "2"}}
    assert settled({"name": "n", "tags": {"b": "2"}}, known, Terms()) == {
        "name": "n",
        "tags": {"b": "2"},
    }
    # An empty value and none are the same.
    assert settled({"name": "n"}, {"name": "n", "tags": {}}, Terms())["tags"] == {}


def test_defaults_inside_of_lists_are_left_out() -> None:
    known: dict[str, Any] = {"stages": [{"actions": [{"name": "a"}]}]}
    read = {"stages": [{"actions": [{"name": "a", "runOrder": 1, "inputs": []}]}]}
    terms = Terms({"stages.actions.runOrder": 1})
    assert settled(read, known, terms) == known
    read["stages"][0]["actions"][0]["runOrder"] = 2
    assert settled(read, known, terms)["stages"][0]["actions"] == [{"name": "a", "runOrder": 2}]


def test_the_order_counts_where_it_counts() -> None:
    known = {"alarmActions": ["a", "b"], "stages": ["a", "b"]}
    found = settled({"alarmActions": ["b", "a"], "stages": ["b", "a"]}, known, Terms())
    assert found == {"alarmActions": ["a", "b"], "stages": ["b", "a"]}
    more = settled({"alarmActions": ["c", "b", "a"]}, {"alarmActions": ["a", "b"]}, Terms())
    assert more == {"alarmActions": ["a", "b", "c"]}


def policy(action: Any, resource: Any = "*") -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (policy("s3:Get"), policy(["s3:Get"]), True),
        (policy(["a:x", "a:y"]), policy(["a:y", "a:x"]), True),
        (policy("a:x"), policy("a:y"), False),
        ('{"a": [1, 2]}', '{"a":[1,2]}', True),
        # Only in a policy does the order of a list mean nothing.
        ('{"metrics": ["a", "b"]}', '{"metrics": ["b", "a"]}', False),
        ('{"metrics": ["a"]}', '{"metrics": "a"}', False),
        ("true", True, True),
        (60.0, "60", True),
        ("{not json", "{not  json", False),
        ("a", None, False),
    ],
)
def test_what_means_the_same(one: Any, other: Any, same: bool) -> None:
    assert same == means_the_same(one, other) == means_the_same(other, one)


@pytest.mark.parametrize(
    ("member", "name"),
    [
        ("MemorySize", "memorySize"),
        ("OKActions", "okActions"),
        ("SSEAlgorithm", "sseAlgorithm"),
        ("ID", "id"),
        ("repositoryName", "repositoryName"),
    ],
)
def test_a_member_is_named_as_pulumi_names_it(member: str, name: str) -> None:
    assert name == input_name(member)


def test_the_id_of_an_import_has_two_parts() -> None:
    assert split_id("bucket/a/b", "/", "BUCKET/KEY") == ("bucket", "a/b")
    with pytest.raises(ResourceError, match="is 'bucket'; it must be BUCKET/KEY"):
        split_id("bucket", "/", "BUCKET/KEY")


class Cloud:
    """The resources that exist: their inputs by id."""

    def __init__(self, **resources: Inputs) -> None:
        self.resources = resources
        self.denied = ""

    def find(self, aws: Aws, id_: str, known: Inputs) -> Answer | None:
        del aws, known
        if self.denied:
            raise RuntimeError(self.denied)
        if id_ not in self.resources:
            raise RuntimeError("NoSuchThing: it does not exist")
        return self.resources[id_], {"version": 2}

    def refreshed(self, *names: str) -> tuple[StackState, list[ResourceChange]]:
        def nothing(*arguments: Any) -> Any:
            raise AssertionError(arguments)

        kind = ResourceType(nothing, delete_nothing, reader=Reader(self.find))
        outputs: Outputs = {"size": 1, "secret": "s", "version": 1, "arn": "arn:x"}
        stack = StackState("dev")
        for name in names:
            known: Inputs = {"size": 1, "secret": "s"}
            stack.resources.append(
                ResourceState(
                    f"urn:{name}", "thing", name, name, known, outputs, secrets=["secret"]
                )
            )
        heard: list[ResourceChange] = []
        refresh({"thing": kind}, stack, Aws(nothing, "0", "r"), heard.append)
        return stack, heard


def test_a_refreshed_state_has_what_aws_has() -> None:
    cloud = Cloud(same={"size": 1, "secret": "s"}, changed={"size": 2, "secret": "other"})
    stack, heard = cloud.refreshed("same", "changed", "gone")
    assert [(c.name, c.change) for c in heard] == [
        ("same", ChangeType.SAME),
        ("changed", ChangeType.UPDATE),
        ("gone", ChangeType.DELETE),
    ]
    shown = [(d.path, d.before, d.after) for d in heard[1].differences]
    assert shown == [("secret", "<secret>", "<secret>"), ("size", "1", "2")]
    changed = stack.resources[1]
    assert changed.inputs == {"size": 2, "secret": "other"}
    assert changed.outputs == {"size": 2, "secret": "other", "version": 2, "arn": "arn:x"}
    assert [r.name for r in stack.resources] == ["same", "changed"]


def test_what_cannot_be_read_is_an_error_and_not_gone() -> None:
    cloud = Cloud()
    cloud.denied = "AccessDenied"
    with pytest.raises(ResourceError, match="thing 'a' could not be read: AccessDenied"):
        cloud.refreshed("a")
