"""One deployment over a small AWS of three types: what is done to each resource, in which order."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from localcloud.deploy import engine
from localcloud.deploy.engine import Change, Deployment
from localcloud.deploy.errors import ResourceError
from localcloud.deploy.state import StackState, StateStore
from localcloud.deploy.types import Aws, Inputs, Outputs, ResourceType

pytestmark = pytest.mark.emulator_only


class World:
    """What exists, and each call in the order it was made."""

    def __init__(self) -> None:
        self.made = 0
        self.alive: dict[str, Inputs] = {}
        self.calls: list[str] = []
        self.refuses: dict[str, str] = {}

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


class Lab:
    """A world, a store, and deployments one after the other."""

    def __init__(self) -> None:
        self.world = World()
        self.store = MemoryStore()
        self.deployment = self.begin()

    def begin(self) -> Deployment:
        self.heard: list[str] = []
        self.world.calls.clear()

        def nothing(service: str) -> Any:
            raise AssertionError(f"a client of {service} was asked for")

        def listen(change: Change, type_: str, name: str, id_: str) -> None:
            self.heard.append(f"{change.value} {name} {id_}")

        aws = Aws(nothing, "000000000000", "us-east-1")
        self.deployment = Deployment(aws, self.store, self.store.load("dev"), listen)
        return self.deployment

    def up(self, *resources: tuple[str, str, Inputs], outputs: Inputs | None = None) -> Deployment:
        """Deploy (type, name, inputs) in this order."""
        deployment = self.begin()
        for type_, name, inputs in resources:
            self.register(type_, name, inputs)
        deployment.finish(outputs or {})
        return deployment

    def register(self, type_: str, name: str, inputs: Inputs) -> tuple[str, Outputs]:
        inputs = {"name": name, **inputs}
        return self.deployment.register(f"urn:{type_}:{name}", type_, name, inputs)

    def kept(self) -> list[str]:
        """Return the saved resources' ids in the order of the state."""
        return [resource.id for resource in self.store.load("dev").resources]


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab()
    world = made.world
    types = {
        "updated": ResourceType(world.create, world.delete, world.update, frozenset({"size"})),
        "replaced": ResourceType(world.create, world.delete),
        "put": ResourceType(world.put, world.delete),
    }
    # The table of types is the seam: the engine knows no other.
    monkeypatch.setattr(engine, "TYPES", types)
    return made


def test_a_new_resource_is_created_and_kept(lab: Lab) -> None:
    deployment = lab.up(("updated", "a", {}), ("replaced", "b", {}), outputs={"x": 1})
    assert ["create a", "create b"] == lab.world.calls
    assert ["created a a-1", "created b b-2"] == lab.heard
    assert {Change.CREATE: 2} == deployment.changes
    stack = lab.store.load("dev")
    assert (["a-1", "b-2"], {"x": 1}) == ([r.id for r in stack.resources], stack.outputs)


def test_the_caller_gets_id_and_outputs_and_gets_them_again(lab: Lab) -> None:
    expected = ("a-1", {"name": "a", "arn": "arn:a-1"})
    assert expected == lab.register("updated", "a", {})
    lab.begin()
    assert expected == lab.register("updated", "a", {})


def test_nothing_is_called_when_nothing_changed(lab: Lab) -> None:
    lab.up(("updated", "a", {"n": 1.0}), ("put", "b", {}))
    deployment = lab.up(("updated", "a", {"n": 1.0}), ("put", "b", {}))
    assert [] == lab.world.calls
    assert {Change.SAME: 2} == deployment.changes


def test_a_changed_input_updates_in_place(lab: Lab) -> None:
    lab.up(("updated", "a", {"n": 1}))
    deployment = lab.up(("updated", "a", {"n": 2}))
    assert ["update a-1"] == lab.world.calls
    assert {Change.UPDATE: 1} == deployment.changes
    assert {"a-1": {"name": "a", "n": 2}} == lab.world.alive
    assert {"name": "a", "n": 2, "arn": "arn:a-1"} == lab.store.load("dev").resources[0].outputs


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
    lab.up((type_, "a", before), ("updated", "b", {}))
    deployment = lab.up((type_, "a", after), ("updated", "b", {"n": 1}))
    assert ["create a", "update b-2", "delete a-1"] == lab.world.calls
    assert {Change.REPLACE: 1, Change.UPDATE: 1, Change.DELETE: 1} == deployment.changes
    assert {"a-3", "b-2"} == set(lab.world.alive)
    assert ["a-3", "b-2"] == lab.kept()


def test_a_replacement_with_the_same_id_is_not_deleted(lab: Lab) -> None:
    lab.up(("put", "topic", {"tags": 1}))
    lab.up(("put", "topic", {"tags": 2}))
    assert ["put topic"] == lab.world.calls
    assert {"topic": {"name": "topic", "tags": 2}} == lab.world.alive


def test_what_the_program_no_longer_has_goes_last_made_first(lab: Lab) -> None:
    lab.up(*(("updated", name, {}) for name in "abc"))
    deployment = lab.up(("updated", "a", {}))
    assert ["delete c-3", "delete b-2"] == lab.world.calls
    assert {Change.SAME: 1, Change.DELETE: 2} == deployment.changes
    assert ["a-1"] == lab.kept()


def test_destroying_goes_backwards_and_forgets_the_stack(lab: Lab) -> None:
    lab.up(*(("updated", name, {}) for name in "abc"))
    lab.begin().destroy()
    assert ["delete c-3", "delete b-2", "delete a-1"] == lab.world.calls
    assert ({}, {}) == (lab.world.alive, lab.store.stacks)


def test_an_update_does_not_change_the_order_of_destroying(lab: Lab) -> None:
    lab.up(("updated", "role", {}), ("updated", "attachment", {}))
    lab.up(("updated", "role", {"n": 1}), ("updated", "attachment", {}))
    lab.begin().destroy()
    assert ["delete attachment-2", "delete role-1"] == lab.world.calls


def test_a_new_dependency_is_destroyed_after_what_needs_it(lab: Lab) -> None:
    lab.up(("updated", "function", {}))
    lab.up(("updated", "role", {}), ("updated", "function", {"role": "role"}))
    assert ["role-2", "function-1"] == lab.kept()


def test_a_failure_keeps_what_was_made_and_stops_the_rest(lab: Lab) -> None:
    lab.world.refuses["create b"] = "no room"
    lab.begin()
    lab.register("updated", "a", {})
    for name in "bc":
        with pytest.raises(ResourceError, match="updated 'b': no room"):
            lab.register("updated", name, {})
    assert ["create a", "create b"] == lab.world.calls
    assert ["a-1"] == lab.kept()


def test_the_next_try_goes_on_from_what_was_made(lab: Lab) -> None:
    lab.world.refuses["create b"] = "no room"
    with pytest.raises(ResourceError):
        lab.up(("updated", "a", {}), ("updated", "b", {}))
    lab.world.refuses.clear()
    deployment = lab.up(("updated", "a", {}), ("updated", "b", {}))
    assert {Change.SAME: 1, Change.CREATE: 1} == deployment.changes


def test_a_failed_update_keeps_the_inputs_it_had(lab: Lab) -> None:
    lab.up(("updated", "a", {"n": 1}))
    lab.world.refuses["update a"] = "busy"
    with pytest.raises(ResourceError, match="busy"):
        lab.up(("updated", "a", {"n": 2}))
    assert {"name": "a", "n": 1} == lab.store.load("dev").resources[0].inputs


def test_an_unknown_type_is_refused_with_the_ones_there_are(lab: Lab) -> None:
    lab.begin()
    with pytest.raises(ResourceError, match="it can make: put, replaced, updated"):
        lab.register("aws:moon/base:Base", "a", {})


@pytest.mark.parametrize(
    "message", ["NoSuchBucket: x", "ResourceNotFoundException", "does not exist"]
)
def test_what_is_already_gone_counts_as_deleted(lab: Lab, message: str) -> None:
    lab.up(("updated", "a", {}))
    lab.world.refuses["delete a"] = message
    lab.begin().destroy()
    assert {} == lab.store.stacks


def test_a_deletion_that_fails_keeps_the_rest_in_the_state(lab: Lab) -> None:
    lab.up(*(("updated", name, {}) for name in "abc"))
    lab.world.refuses["delete b"] = "in use"
    with pytest.raises(ResourceError, match="updated 'b': in use"):
        lab.begin().destroy()
    assert ["a-1", "b-2"] == lab.kept()


def test_a_state_survives_its_own_format(lab: Lab) -> None:
    lab.up(("updated", "a", {"n": [1, {"x": None}], "f": 1.5}), outputs={"o": ["x"]})
    stack = lab.store.load("dev")
    assert stack == msgspec.json.decode(msgspec.json.encode(stack), type=StackState)
