"""What a Pulumi resource type is, and the shape that most of them have: one idempotent put."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from localcloud.deploy.shapes import fitted

Inputs = dict[str, Any]
Outputs = dict[str, Any]

NAME = frozenset({"name"})


@dataclass(frozen=True, slots=True)
class Aws:
    """What a resource type needs: clients, and where they point."""

    client: Callable[[str], Any]
    account: str
    region: str

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation with parameters fitted to its shape."""
        client = self.client(service)
        shape = client.meta.service_model.operation_model(
            client.meta.method_to_api_mapping[operation]
        ).input_shape
        result: dict[str, Any] = getattr(client, operation)(**fitted(shape, parameters))
        return result


@dataclass(frozen=True, slots=True)
class ResourceType:
    """How one Pulumi type is made.

    Attributes:
        create: makes it; returns its id and outputs.
        update: changes it in place; None when a change replaces it.
        delete: ends it.
        replaced_by: inputs whose change replaces it although `update` exists.
        takes: every input that it can honour; another is refused, so nothing is dropped in
            silence. Empty when the operation's own shape says it.
        named_by: inputs that are its name. A second one with the same name would be refused, so a
            replacement that keeps them deletes the old one first. Empty when AWS chooses the name
            or when creating it again is no error.
        volatile: outputs that an update changes, so that a preview does not know them.
        key: the id that a create will give, where the inputs say it.
    """

    create: Callable[[Aws, Inputs], tuple[str, Outputs]]
    delete: Callable[[Aws, str, Outputs], None]
    update: Callable[[Aws, str, Inputs, Outputs], Outputs] | None = None
    replaced_by: frozenset[str] = field(default_factory=frozenset)
    takes: frozenset[str] = field(default_factory=frozenset)
    named_by: frozenset[str] = field(default_factory=frozenset)
    volatile: frozenset[str] = field(default_factory=frozenset)
    key: Callable[[Inputs], str] | None = None

    def refused(self, inputs: Inputs) -> list[str]:
        """Return the inputs that this type would not honour."""
        return sorted(set(inputs) - self.takes) if self.takes else []


def delete_nothing(aws: Aws, id_: str, outputs: Outputs) -> None:
    """Delete nothing: the resource goes with its parent."""


def delete_by_id(
    service: str, operation: str, parameter: str, *, several: bool = False
) -> Callable[[Aws, str, Outputs], None]:
    """Return a delete that an operation does by the resource's id alone.

    Args:
        service: whose operation.
        operation: as boto3 names it.
        parameter: that takes the id.
        several: it takes a list of ids.
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
    replaced_by: frozenset[str] = frozenset({"bucket"}),
    takes: str = "",
    named_by: str = "",
) -> ResourceType:
    """Return a type whose create and update are one idempotent put."""

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
        replaced_by,
        fields(takes),
        fields(named_by),
        key=key,
    )


def fields(names: str) -> frozenset[str]:
    """Return names that are written with blanks between them."""
    return frozenset(names.split())


def made(outputs: Outputs, after: Inputs, *computed: str) -> Outputs:
    """Return the outputs after an update: the new inputs and what AWS had computed at creation."""
    return {**after, **{name: outputs[name] for name in computed if name in outputs}}


def retag(
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
    """Bring the tags of a resource that is there to its inputs; those that are gone are removed.

    Args:
        aws: where.
        service: whose operations.
        before: outputs of the last time, with the tags there were.
        after: the new inputs.
        of: the parameters that name the resource.
        form: how the service takes tags; a list of Key and Value when it is not given.
        names: of the parameters that hold tags, and the keys of tags to remove.
        operations: that set and that remove tags.
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
    """Return Pulumi's tags as most services take them."""
    return [{"Key": key, "Value": value} for key, value in (inputs.get("tags") or {}).items()]


def lower_tag_list(inputs: Inputs) -> list[dict[str, str]]:
    """Return Pulumi's tags as CodePipeline and CodeBuild take them."""
    return [{"key": key, "value": value} for key, value in (inputs.get("tags") or {}).items()]


def tag_map(inputs: Inputs) -> dict[str, str]:
    """Return Pulumi's tags as Lambda, CloudWatch Logs and CodeCommit take them."""
    return dict(inputs.get("tags") or {})
