"""One deployment over a small AWS of three types: what is done to each resource, in which order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from localcloud.deploy import engine
from localcloud.deploy.difference import UNKNOWN
from localcloud.deploy.effects import CloudEffects, NoEffects
from localcloud.deploy.engine import Deployment
from localcloud.deploy.errors import IncompleteError, ProtectedError, ResourceError
from localcloud.deploy.plan import ChangeType, Registration, ResourceChange
from localcloud.deploy.state import Options, StackState, StateStore
from localcloud.deploy.types import Aws, Inputs, Outputs, ResourceType
from localcloud.deploy.types.base import fields

pytestmark = pytest.mark.emulator_only


class World:
    """The resources that exist, and the calls in order."""

    def __init__(self) -> None:
        self.made = 0
        self.alive: dict[str, Inputs] = {}
        self.calls: list[str] = []
        self.refuses: dict[str, str] = {}
        self.half = ""  # why a creation is not completed

    def note(self, call: str) -> None:
        self.calls.append(call)
        for part, message in self.refuses.items():
            if part in call:
                raise RuntimeError(message)

    def create(self, aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
        del aws
        self.note(f"create {inputs['name']}")
        self.made += 1
        id_ = f"{inputs['name']}-{self.made}"
        self.alive[id_] = inputs
        if self.half:
            raise IncompleteError(id_, {"arn": f"arn:{id_}"}, RuntimeError(self.half))
        return id_, {**inputs, "arn": f"arn:{id_}"}

    def put(self, aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
        del aws
        self.note(f"put {inputs['name']}")
        self.alive[inputs["name"]] = inputs
        return inputs["name"], inputs

    def update(self, aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
        del aws
        self.note(f"update {id_}")
        self.alive[id_] = inputs
        return {**outputs, **inputs}

    def delete(self, aws: Aws, id_: str, outputs: Outputs) -> None:
        del aws, outputs
        self.note(f"delete {id_}")
        del self.alive[id_]


class MemoryStore(StateStore):
    """The stacks in memory, as bytes: what is not saved is not there."""

    def __init__(self) -> None:
        super().__init__("http://memory.invalid")
        self.stacks: dict[str, bytes] = {}

    def _call(self, method: str, name: str, body: bytes | None = None) -> bytes:
        if method == "PUT":
            assert body is not None
            self.stacks[name] = body
        if method == "DELETE":
            del self.stacks[name]
        return self.stacks.get(name, b"")


@dataclass(frozen=True, slots=True)
class R:
    """A resource of a small program; `needs` names inputs and the resources they come from."""

    type: str
    name: str
    inputs: Inputs = field(default_factory=dict)
    options: Options = field(default_factory=Options)
    needs: dict[str, str] = field(default_factory=dict)

    @property
    def registration(self) -> Registration:
        return Registration(
            f"urn:{self.name}",
            self.type,
            self.name,
            {"name": self.name, **self.inputs},
            self.options,
            dependencies={key: (f"urn:{name}",) for key, name in self.needs.items()},
            depends_on=[f"urn:{name}" for name in self.needs.values()],
        )


class Lab:
    """A world, a store, and deployments one after the other."""

    def __init__(self) -> None:
        self.world = World()
        self.store = MemoryStore()
        self.deployment = self.begin()

    def begin(self, *, dry: bool = False) -> Deployment:
        self.heard: list[str] = []
        self.world.calls.clear()

        def nothing(service: str) -> Any:
            raise AssertionError(f"a client of {service} was asked for")

        def listen(step: ResourceChange) -> None:
            self.heard.append(f"{step.change.value} {step.name} {step.id}")

        aws = Aws(nothing, "000000000000", "us-east-1")
        effects = NoEffects() if dry else CloudEffects(aws, self.store)
        self.deployment = Deployment(effects, self.store.load("lab", "dev"), listen)
        return self.deployment

    def up(self, *resources: R, outputs: Inputs | None = None, dry: bool = False) -> Deployment:
        """Deploy resources in this order."""
        deployment = self.begin(dry=dry)
        for resource in resources:
            deployment.register(resource.registration)
        deployment.finish(outputs or {})
        return deployment

    def preview(self, *resources: R) -> dict[ChangeType, int]:
        """Return what a preview of a deployment says; nothing is called or kept."""
        kept = dict(self.store.stacks)
        changes = self.up(*resources, dry=True).changes
        assert ([], kept) == (self.world.calls, self.store.stacks)
        return changes

    def begin_and_destroy(self) -> dict[ChangeType, int]:
        """Delete the stack; return what was done."""
        deployment = self.begin()
        deployment.destroy()
        return deployment.changes

    def kept(self) -> list[str]:
        """Return the saved resources' ids in the order of the state."""
        return [resource.id for resource in self.store.load("lab", "dev").resources]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab()
    world = made.world
    types = {
        "updated": ResourceType(world.create, world.delete, world.update, frozenset({"size"})),
        "replaced": ResourceType(world.create, world.delete),
        "put": ResourceType(world.put, world.delete, key=lambda inputs: str(inputs["name"])),
        # AWS refuses a second one of the same name.
        "named": ResourceType(
            world.create, world.delete, world.update, fields("size"), name_inputs=fields("name")
        ),
        "child": ResourceType(
            world.create, world.delete, world.update, fields("parent"), volatile=fields("v")
        ),
    }
    # The table of types is the seam: the engine knows no other.
    monkeypatch.setattr(engine, "TYPES", types)
    return made


def test_a_new_resource_is_created_and_kept(lab: Lab) -> None:
    deployment = lab.up(R("updated", "a", {}), R("replaced", "b", {}), outputs={"x": 1})
    assert ["create a", "create b"] == lab.world.calls
    assert ["created a a-1", "created b b-2"] == lab.heard
    assert {ChangeType.CREATE: 2} == deployment.changes
    stack = lab.store.load("lab", "dev")
    assert (["a-1", "b-2"], {"x": 1}) == ([r.id for r in stack.resources], stack.outputs)


def test_the_caller_gets_id_and_outputs_and_gets_them_again(lab: Lab) -> None:
    expected = ("a-1", {"name": "a", "arn": "arn:a-1"})
    assert expected == lab.deployment.register(R("updated", "a").registration)
    lab.begin()
    assert expected == lab.deployment.register(R("updated", "a").registration)


def test_nothing_is_called_when_nothing_changed(lab: Lab) -> None:
    lab.up(R("updated", "a", {"n": 1.0}), R("put", "b", {}))
    deployment = lab.up(R("updated", "a", {"n": 1.0}), R("put", "b", {}))
    assert [] == lab.world.calls
    assert {ChangeType.SAME: 2} == deployment.changes


def test_a_changed_input_updates_in_place(lab: Lab) -> None:
    lab.up(R("updated", "a", {"n": 1}))
    deployment = lab.up(R("updated", "a", {"n": 2}))
    assert ["update a-1"] == lab.world.calls
    assert {ChangeType.UPDATE: 1} == deployment.changes
    assert {"a-1": {"name": "a", "n": 2}} == lab.world.alive
    assert {"name": "a", "n": 2, "arn": "arn:a-1"} == lab.store.load("lab", "dev").resources[
        0
    ].outputs


@pytest.mark.parametrize(
    ("type_", "before", "after"),
    [
        ("updated", {"size": 1}, {"size": 2}),
        ("updated", {}, {"size": 2}),
        ("replaced", {"n": 1}, {"n": 2}),
    ],
)
def test_a_replacement_is_made_before_the_old_one_goes(
    lab: Lab, type_: str, before: Inputs, after: Inputs
) -> None:
    lab.up(R(type_, "a", before), R("updated", "b", {}))
    deployment = lab.up(R(type_, "a", after), R("updated", "b", {"n": 1}))
    assert ["create a", "update b-2", "delete a-1"] == lab.world.calls
    assert {ChangeType.REPLACE: 1, ChangeType.UPDATE: 1, ChangeType.DELETE: 1} == deployment.changes
    assert {"a-3", "b-2"} == set(lab.world.alive)
    assert ["a-3", "b-2"] == lab.kept()


def test_a_replacement_with_the_same_id_is_not_deleted(lab: Lab) -> None:
    lab.up(R("put", "topic", {"tags": 1}))
    lab.up(R("put", "topic", {"tags": 2}))
    assert ["put topic"] == lab.world.calls
    assert {"topic": {"name": "topic", "tags": 2}} == lab.world.alive


def test_what_the_program_no_longer_has_goes_last_made_first(lab: Lab) -> None:
    lab.up(*(R("updated", name, {}) for name in "abc"))
    deployment = lab.up(R("updated", "a", {}))
    assert ["delete c-3", "delete b-2"] == lab.world.calls
    assert {ChangeType.SAME: 1, ChangeType.DELETE: 2} == deployment.changes
    assert ["a-1"] == lab.kept()


def test_destroying_goes_backwards_and_forgets_the_stack(lab: Lab) -> None:
    lab.up(*(R("updated", name, {}) for name in "abc"))
    lab.begin().destroy()
    assert ["delete c-3", "delete b-2", "delete a-1"] == lab.world.calls
    assert ({}, {}) == (lab.world.alive, lab.store.stacks)


def test_an_update_does_not_change_the_order_of_destroying(lab: Lab) -> None:
    lab.up(R("updated", "role", {}), R("updated", "attachment", {}))
    lab.up(R("updated", "role", {"n": 1}), R("updated", "attachment", {}))
    lab.begin().destroy()
    assert ["delete attachment-2", "delete role-1"] == lab.world.calls


def test_a_new_dependency_is_destroyed_after_what_needs_it(lab: Lab) -> None:
    lab.up(R("updated", "function", {}))
    lab.up(R("updated", "role", {}), R("updated", "function", {"role": "role"}))
    assert ["role-2", "function-1"] == lab.kept()


def test_a_failure_keeps_what_was_made_and_stops_the_rest(lab: Lab) -> None:
    lab.world.refuses["create b"] = "no room"
    lab.begin()
    lab.deployment.register(R("updated", "a").registration)
    for name in "bc":
        with pytest.raises(ResourceError, match="updated 'b': no room"):
            lab.deployment.register(R("updated", name).registration)
    assert ["create a", "create b"] == lab.world.calls
    assert ["a-1"] == lab.kept()


def test_the_next_try_goes_on_from_what_was_made(lab: Lab) -> None:
    lab.world.refuses["create b"] = "no room"
    with pytest.raises(ResourceError):
        lab.up(R("updated", "a", {}), R("updated", "b", {}))
    lab.world.refuses.clear()
    deployment = lab.up(R("updated", "a", {}), R("updated", "b", {}))
    assert {ChangeType.SAME: 1, ChangeType.CREATE: 1} == deployment.changes


def test_a_failed_update_keeps_the_inputs_it_had(lab: Lab) -> None:
    lab.up(R("updated", "a", {"n": 1}))
    lab.world.refuses["update a"] = "busy"
    with pytest.raises(ResourceError, match="busy"):
        lab.up(R("updated", "a", {"n": 2}))
    assert {"name": "a", "n": 1} == lab.store.load("lab", "dev").resources[0].inputs


def test_an_unknown_type_is_refused_with_the_ones_there_are(lab: Lab) -> None:
    lab.begin()
    with pytest.raises(ResourceError, match="it supports: child, named, put, replaced, updated"):
        lab.deployment.register(R("aws:moon/base:Base", "a", {}).registration)


@pytest.mark.parametrize(
    "message", ["NoSuchBucket: x", "ResourceNotFoundException", "does not exist"]
)
def test_what_is_already_gone_counts_as_deleted(lab: Lab, message: str) -> None:
    lab.up(R("updated", "a", {}))
    lab.world.refuses["delete a"] = message
    lab.begin().destroy()
    assert {} == lab.store.stacks


def test_a_deletion_that_fails_keeps_the_rest_in_the_state(lab: Lab) -> None:
    lab.up(*(R("updated", name, {}) for name in "abc"))
    lab.world.refuses["delete b"] = "in use"
    with pytest.raises(ResourceError, match="updated 'b': in use"):
        lab.begin().destroy()
    assert ["a-1", "b-2"] == lab.kept()


def test_a_state_survives_its_own_format(lab: Lab) -> None:
    lab.up(R("updated", "a", {"n": [1, {"x": None}], "f": 1.5}), outputs={"o": ["x"]})
    stack = lab.store.load("lab", "dev")
    assert stack == msgspec.json.decode(msgspec.json.encode(stack), type=StackState)


PROTECTED = Options(protect=True)


def test_a_named_resource_is_deleted_before_its_successor_is_made(lab: Lab) -> None:
    lab.up(R("named", "a", {"size": 1}))
    deployment = lab.up(R("named", "a", {"size": 2}))
    assert ["delete a-1", "create a"] == lab.world.calls
    assert {ChangeType.DELETE: 1, ChangeType.REPLACE: 1} == deployment.changes
    assert ["a-2"] == lab.kept()


def test_dependants_are_deleted_first_and_recreated(lab: Lab) -> None:
    def program(size: int) -> list[R]:
        return [
            R("named", "a", {"size": size}),
            R("child", "policy", {"parent": "a"}, needs={"parent": "a"}),
            R("child", "leaf", {"parent": "policy"}, needs={"parent": "policy"}),
            R("updated", "other", {"parent": "a"}, needs={"parent": "a"}),
        ]

    lab.up(*program(1))
    expected = lab.preview(*program(2))
    deployment = lab.up(*program(2))
    assert [
        "delete leaf-3",
        "delete policy-2",
        "delete a-1",
        "create a",
        "create policy",
        "create leaf",
    ] == lab.world.calls
    assert expected == deployment.changes
    assert {ChangeType.DELETE: 3, ChangeType.REPLACE: 3, ChangeType.SAME: 1} == deployment.changes


def test_delete_before_replace_is_honoured(lab: Lab) -> None:
    first = Options(delete_before_replace=True)
    lab.up(R("updated", "a", {"size": 1}, first))
    lab.up(R("updated", "a", {"size": 2}, first))
    assert ["delete a-1", "create a"] == lab.world.calls


def test_replace_on_changes_replaces_what_could_be_updated(lab: Lab) -> None:
    lab.up(R("updated", "a", {"tags": {"x": 1, "y": 1}}))
    options = Options(replace_on_changes=("tags.x",))
    lab.up(R("updated", "a", {"tags": {"x": 1, "y": 2}}, options))
    assert ["update a-1"] == lab.world.calls
    lab.up(R("updated", "a", {"tags": {"x": 2, "y": 2}}, options))
    assert ["create a", "delete a-1"] == lab.world.calls


def test_an_ignored_change_is_no_change(lab: Lab) -> None:
    ignored = Options(ignore_changes=("value",))
    lab.up(R("updated", "a", {"value": 1, "n": 1}, ignored))
    assert {ChangeType.SAME: 1} == lab.up(R("updated", "a", {"value": 2, "n": 1}, ignored)).changes
    lab.up(R("updated", "a", {"value": 2, "n": 2}, ignored))
    assert {"a-1": {"name": "a", "value": 1, "n": 2}} == lab.world.alive


def test_a_run_that_broke_leaves_the_old_one_to_the_next_run(lab: Lab) -> None:
    lab.up(R("updated", "a", {"size": 1}), R("updated", "b"))
    lab.world.refuses["update b"] = "busy"
    with pytest.raises(ResourceError, match="busy"):
        lab.up(R("updated", "a", {"size": 2}), R("updated", "b", {"n": 1}))
    assert {"a-1", "a-3", "b-2"} == set(lab.world.alive)
    lab.world.refuses.clear()
    lab.up(R("updated", "a", {"size": 2}), R("updated", "b", {"n": 1}))
    assert ["update b-2", "delete a-1"] == lab.world.calls
    assert [] == lab.store.load("lab", "dev").replaced


def test_what_needs_a_replaced_resource_goes_before_it(lab: Lab) -> None:
    def policy(n: int) -> R:
        return R("updated", "policy", {"n": n}, needs={"role": "role"})

    lab.up(R("updated", "role", {"size": 1}), policy(1))
    lab.up(R("updated", "role", {"size": 2}))  # replaced, and what needed it removed
    assert ["create role", "delete policy-2", "delete role-1"] == lab.world.calls
    lab.up(R("updated", "role", {"size": 2}), policy(1))
    lab.world.refuses["update policy"] = "busy"
    with pytest.raises(ResourceError):
        lab.up(R("updated", "role", {"size": 3}), policy(2))
    lab.begin().destroy()
    assert ["delete policy-4", "delete role-3", "delete role-5"] == lab.world.calls


def test_what_a_removed_resource_holds_goes_before_it(lab: Lab) -> None:
    def target(rule: str) -> R:
        return R("child", "target", {"parent": rule}, needs={"parent": rule})

    lab.up(R("updated", "old"), target("old"))
    lab.up(R("updated", "new"), target("new"))
    assert ["create new", "create target", "delete target-2", "delete old-1"] == lab.world.calls


def test_what_was_created_but_not_completed_is_updated_by_the_next_run(lab: Lab) -> None:
    lab.world.half = "no tags"
    with pytest.raises(ResourceError, match=r"a-1 was created, but not all of it: no tags"):
        lab.up(R("updated", "a", {"n": 1}))
    (kept,) = lab.store.load("lab", "dev").resources
    assert ("a-1", {"arn": "arn:a-1"}) == (kept.id, kept.outputs)
    lab.world.half = ""
    lab.up(R("updated", "a", {"n": 1}))
    assert ["update a-1"] == lab.world.calls
    assert {"a-1": {"name": "a", "n": 1}} == lab.world.alive


def test_destroying_after_a_broken_run_deletes_the_old_one_too(lab: Lab) -> None:
    lab.up(R("updated", "a", {"size": 1}))
    lab.world.refuses["create b"] = "no room"
    with pytest.raises(ResourceError):
        lab.up(R("updated", "a", {"size": 2}), R("updated", "b"))
    lab.begin().destroy()
    assert {} == lab.world.alive


def test_an_old_one_that_is_wanted_again_makes_room_for_it(lab: Lab) -> None:
    def program(size: int, title: str) -> R:
        return R("named", "x", {"size": size, "name": title})

    lab.up(program(1, "one"))
    lab.world.refuses["create late"] = "no room"
    with pytest.raises(ResourceError):
        lab.up(program(2, "two"), R("updated", "late"))
    lab.world.refuses.clear()
    lab.up(program(3, "one"))
    assert ["delete one-1", "create one", "delete two-2"] == lab.world.calls
    assert ["one-3"] == list(lab.world.alive)


def test_protection_refuses_to_destroy_before_anything_is_deleted(lab: Lab) -> None:
    lab.up(R("updated", "a", {}, PROTECTED), R("updated", "b"), R("updated", "c", {}, PROTECTED))
    with pytest.raises(ProtectedError, match=r"updated 'a' \(a-1\), updated 'c' \(c-3\)"):
        lab.begin().destroy()
    assert [] == lab.world.calls
    deployment = lab.begin()
    deployment.unprotect()
    deployment.destroy()
    assert ({}, {}) == (lab.world.alive, lab.store.stacks)


def test_protection_refuses_to_remove_before_anything_is_deleted(lab: Lab) -> None:
    lab.up(R("updated", "a", {}, PROTECTED), R("updated", "b"), R("updated", "c", {}, PROTECTED))
    with pytest.raises(ProtectedError, match=r"'c'.*'a'"):
        lab.up(R("updated", "d"))
    assert ["create d"] == lab.world.calls


def test_protection_refuses_to_replace_and_a_preview_names_each(lab: Lab) -> None:
    lab.up(R("updated", "a", {"size": 1}, PROTECTED), R("named", "b", {"size": 1}, PROTECTED))
    changed = [R("updated", "a", {"size": 2}, PROTECTED), R("named", "b", {"size": 2}, PROTECTED)]
    with pytest.raises(ProtectedError, match=r"'a'.*'b'"):
        lab.preview(*changed)
    with pytest.raises(ProtectedError, match="'a'"):
        lab.up(*changed)
    assert [] == lab.world.calls


def test_what_protects_is_what_was_deployed(lab: Lab) -> None:
    lab.up(R("updated", "a", {"size": 1}, PROTECTED))
    with pytest.raises(ProtectedError):
        lab.up(R("updated", "a", {"size": 2}))
    # Taken off in the program and deployed, as Pulumi asks for.
    assert {ChangeType.SAME: 1} == lab.up(R("updated", "a", {"size": 1})).changes
    assert ChangeType.REPLACE in lab.up(R("updated", "a", {"size": 2})).changes


def test_retain_on_delete_forgets_and_says_so(lab: Lab) -> None:
    kept = Options(retain_on_delete=True)
    lab.up(R("updated", "a", {"size": 1}, kept), R("updated", "b", {}, kept))
    lab.up(R("updated", "a", {"size": 2}, kept))
    assert ["replaced a a-3", "retained a a-1", "retained b b-2"] == lab.heard
    assert {ChangeType.RETAIN: 1} == lab.begin_and_destroy()
    assert {"a-1", "b-2", "a-3"} == set(lab.world.alive)
    assert {} == lab.store.stacks


def test_a_preview_says_what_the_next_deployment_does(lab: Lab) -> None:
    programs = [
        [R("updated", "a", {"n": 1}), R("named", "b", {"size": 1})],
        [R("updated", "a", {"n": 1}), R("named", "b", {"size": 1})],
        [R("updated", "a", {"n": 2}), R("named", "b", {"size": 1}), R("put", "c")],
        [R("updated", "a", {"n": 2}), R("named", "b", {"size": 2}), R("put", "c", {"x": 1})],
        [R("put", "c", {"x": 1})],
        [],
    ]
    for program in programs:
        expected = lab.preview(*program)
        heard = [line.split()[:2] for line in lab.heard]
        assert expected == lab.up(*program).changes
        assert heard == [line.split()[:2] for line in lab.heard]


def test_a_preview_does_not_know_what_an_update_recomputes(lab: Lab) -> None:
    lab.up(R("child", "a", {"v": 1, "n": 1}))
    deployment = lab.begin(dry=True)
    _, outputs = deployment.register(R("child", "a", {"v": 1, "n": 2}).registration)
    assert {"name": "a", "n": 2, "v": UNKNOWN, "arn": "arn:a-1"} == outputs
