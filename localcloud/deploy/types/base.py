"""Defines a Pulumi resource type, and helpers for the common case of one idempotent put."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from localcloud.deploy.difference import is_digest
from localcloud.deploy.errors import IncompleteError, ResourceError, is_gone
from localcloud.deploy.reading import Terms, settled
from localcloud.deploy.shapes import from_shape, to_shape

Inputs = dict[str, Any]
Outputs = dict[str, Any]
T = TypeVar("T")

NAME = frozenset({"name"})


@dataclass(frozen=True, slots=True)
class Aws:
    """The AWS clients, account and region that a resource type uses."""

    client: Callable[[str], Any]
    account: str
    region: str

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation with parameters converted to its shape."""
        shape = self._model(service, operation).input_shape
        call = getattr(self.client(service), operation)
        result: dict[str, Any] = call(**to_shape(shape, parameters))
        return result

    def ask(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation that reads, all pages of it; return its answer as Pulumi names it."""
        client = self.client(service)
        if client.can_paginate(operation):
            answer = client.get_paginator(operation).paginate(**parameters).build_full_result()
        else:
            answer = getattr(client, operation)(**parameters)
        found: dict[str, Any] = from_shape(self._model(service, operation).output_shape, answer)
        return found

    def _model(self, service: str, operation: str) -> Any:
        meta = self.client(service).meta
        return meta.service_model.operation_model(meta.method_to_api_mapping[operation])


# What AWS has of a resource: its inputs, and its computed outputs.
Answer = tuple[Inputs, Outputs]
# Reads a resource by its id and known inputs; None if it does not exist.
Find = Callable[[Aws, str, Inputs], Answer | None]


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads resources of one type back.

    Attributes:
        find: returns what AWS has of a resource; an error that says it is gone counts as None.
        terms: how the answers differ from inputs.
    """

    find: Find
    terms: Terms = field(default_factory=Terms)


@dataclass(frozen=True, slots=True)
class ResourceType:
    """The functions that create, update and delete resources of one Pulumi type.

    Attributes:
        create: creates a resource; returns its id and outputs.
        update: updates a resource in place; None if any change replaces it.
        delete: deletes a resource.
        replace_on: inputs whose change replaces the resource although `update` exists.
        accepts: all supported inputs; any other is refused, so nothing is silently dropped. Empty
            if the shape of the operation decides.
        name_inputs: inputs that make up the name. AWS would reject a second resource with the same
            name, so a replacement with unchanged names deletes the old resource first. Empty if AWS
            chooses the name or if creating the resource again is not an error.
        volatile: outputs that an update changes, and which a preview therefore cannot know.
        key: returns the id that `create` will return, if the inputs determine it.
        reader: reads a resource back; None only in tests.
    """

    create: Callable[[Aws, Inputs], tuple[str, Outputs]]
    delete: Callable[[Aws, str, Outputs], None]
    update: Callable[[Aws, str, Inputs, Outputs], Outputs] | None = None
    replace_on: frozenset[str] = field(default_factory=frozenset)
    accepts: frozenset[str] = field(default_factory=frozenset)
    name_inputs: frozenset[str] = field(default_factory=frozenset)
    volatile: frozenset[str] = field(default_factory=frozenset)
    key: Callable[[Inputs], str] | None = None
    reader: Reader | None = None

    def read(self, aws: Aws, id_: str, known: Inputs | None, outputs: Outputs) -> Answer | None:
        """Return the inputs and outputs of a resource as AWS has them; None if it is gone.

        Args:
            aws: the clients.
            id_: the resource's id.
            known: the inputs that it was last deployed with, with assets as digests; None if there
                are none, as when it is imported.
            outputs: the outputs that it was last deployed with.
        """
        reader = self.reader
        if reader is None:
            raise NotImplementedError("this type has no reader")
        # Whether an asset has changed is seen by outputs, such as its hash.
        state = {**outputs, **(known or {})}
        found = optional(lambda: reader.find(aws, id_, state))
        if found is None:
            return None
        inputs = settled(found[0], known, reader.terms)
        computed = {key: value for key, value in outputs.items() if key not in (known or {})}
        # An asset is no output.
        shown = {key: value for key, value in inputs.items() if not is_digest(value)}
        return inputs, {**computed, **shown, **found[1]}

    def refused(self, inputs: Inputs) -> list[str]:
        """Return the inputs that this type does not support."""
        return sorted(set(inputs) - self.accepts) if self.accepts else []

    def unnamed(self, inputs: Inputs) -> list[str]:
        """Return the inputs that name the resource and are missing; Pulumi would generate them."""
        names = self.name_inputs or self.accepts & NAME
        return sorted(name for name in names if not inputs.get(name))


def optional(call: Callable[[], T | None]) -> T | None:
    """Return what a call returns; None if its error says that what it asks for is gone."""
    try:
        return call()
    except Exception as error:
        if is_gone(error):
            return None
        raise


@contextmanager
def completing(id_: str, outputs: Outputs) -> Iterator[None]:
    """Run the calls that complete a resource which exists.

    Args:
        id_: the resource's id.
        outputs: what it has so far.

    Raises:
        IncompleteError: one of the calls failed.
    """
    try:
        yield
    except Exception as error:
        raise IncompleteError(id_, outputs, error) from error


def delete_nothing(aws: Aws, id_: str, outputs: Outputs) -> None:
    """Do nothing, because the resource is deleted with its parent."""


def delete_by_id(
    service: str, operation: str, parameter: str, *, several: bool = False
) -> Callable[[Aws, str, Outputs], None]:
    """Return a `delete` that calls one operation with the resource's id.

    Args:
        service: boto3's name of the service.
        operation: boto3's name of the operation.
        parameter: the parameter for the id.
        several: whether the parameter is a list of ids.
    """

    def remove(aws: Aws, id_: str, outputs: Outputs) -> None:
        del outputs
        aws.call(service, operation, **{parameter: [id_] if several else id_})

    return remove


def put(
    service: str,
    operation: str,
    parameters: Callable[[Inputs], dict[str, Any]],
    key: Callable[[Inputs], str],
    *,
    delete: str = "",
    delete_parameters: Callable[[Outputs], dict[str, Any]] = lambda outputs: {
        "Bucket": outputs["bucket"]
    },
    replace_on: frozenset[str] = frozenset({"bucket"}),
    accepts: str = "",
    name_inputs: str = "",
    find: Find,
    terms: Terms | None = None,
) -> ResourceType:
    """Return a type that one idempotent operation both creates and updates."""

    def create(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
        aws.call(service, operation, **parameters(inputs))
        return key(inputs), inputs

    def update(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
        del id_, outputs
        return create(aws, inputs)[1]

    def remove(aws: Aws, id_: str, outputs: Outputs) -> None:
        del id_
        aws.call(service, delete, **delete_parameters(outputs))

    return ResourceType(
        create,
        remove if delete else delete_nothing,
        update,
        replace_on,
        fields(accepts),
        fields(name_inputs),
        key=key,
        reader=Reader(find, terms or Terms()),
    )


def fields(names: str) -> frozenset[str]:
    """Split names that are separated by spaces."""
    return frozenset(names.split())


def made(outputs: Outputs, after: Inputs, *computed: str) -> Outputs:
    """Return the outputs after an update: the new inputs, and the outputs computed at creation."""
    return {**after, **{name: outputs[name] for name in computed if name in outputs}}


def update_tags(
    aws: Aws,
    service: str,
    before: Outputs,
    after: Inputs,
    *,
    of: dict[str, Any],
    form: Callable[[Inputs], Any] | None = None,
    names: tuple[str, str] = ("Tags", "TagKeys"),
    operations: tuple[str, str] = ("tag_resource", "untag_resource"),
) -> None:
    """Set the tags of an existing resource to those of its inputs, and remove all others.

    Args:
        aws: the clients.
        service: boto3's name of the service.
        before: the outputs of the last deployment, with the old tags.
        after: the new inputs.
        of: the parameters that identify the resource.
        form: converts tags to the service's form; by default a list of Key and Value.
        names: names of the parameters for the tags to set and for the keys to remove.
        operations: names of the operations that set and that remove tags.
    """
    old, new = before.get("tags") or {}, after.get("tags") or {}
    changed = {key: value for key, value in new.items() if old.get(key) != value}
    removed = sorted(set(old) - set(new))
    if removed:
        aws.call(service, operations[1], **of, **{names[1]: removed})
    if changed:
        tags = (form or tag_list)({"tags": changed})
        aws.call(service, operations[0], **of, **{names[0]: tags})


def tag_list(inputs: Inputs) -> list[dict[str, str]]:
    """Return Pulumi's tags in the form of most services."""
    return [{"Key": key, "Value": value} for key, value in (inputs.get("tags") or {}).items()]


def lower_tag_list(inputs: Inputs) -> list[dict[str, str]]:
    """Return Pulumi's tags in the form of CodePipeline and CodeBuild."""
    return [{"key": key, "value": value} for key, value in (inputs.get("tags") or {}).items()]


def tag_map(inputs: Inputs) -> dict[str, str]:
    """Return Pulumi's tags in the form of Lambda, CloudWatch Logs and CodeCommit."""
    return dict(inputs.get("tags") or {})


def split_id(id_: str, separator: str, form: str) -> tuple[str, str]:
    """Return the two parts of the id of an import.

    Args:
        id_: the id.
        separator: what lies between the parts; the first one separates.
        form: the form of the id for a person, such as `BUCKET/KEY`.

    Raises:
        ResourceError: the id has another form.
    """
    first, _, second = id_.partition(separator)
    if not first or not second:
        raise ResourceError(f"the id of an import is '{id_}'; it must be {form}")
    return first, second


def tags_of(pairs: Sequence[Mapping[str, str]] | None) -> dict[str, str]:
    """Return tags in the form of an answer as Pulumi's."""
    return {pair.get("key", pair.get("tagKey", "")): _value_of(pair) for pair in pairs or ()}


def _value_of(pair: Mapping[str, str]) -> str:
    return pair.get("value", pair.get("tagValue", ""))


def renamed(values: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return values under Pulumi's names.

    Args:
        values: an answer.
        names: Pulumi's names, and those of the answer where they differ.
    """
    others = {answer: name for name, answer in names.items()}
    return {others.get(key, key): value for key, value in values.items()}


def only(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return the values of these names that are there."""
    return {name: values[name] for name in names if name in values}
