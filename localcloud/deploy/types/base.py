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
    """

    create: Callable[[Aws, Inputs], tuple[str, Outputs]]
    delete: Callable[[Aws, str, Outputs], None]
    update: Callable[[Aws, str, Inputs, Outputs], Outputs] | None = None
    replaced_by: frozenset[str] = field(default_factory=frozenset)


def delete_nothing(aws: Aws, id_: str, outputs: Outputs) -> None:
    """Delete nothing: the resource goes with its parent."""


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

    return ResourceType(create, remove if delete else delete_nothing, update, replaced_by)


def tag_list(inputs: Inputs) -> list[dict[str, str]]:
    """Return Pulumi's tags as most services take them."""
    return [{"Key": key, "Value": value} for key, value in (inputs.get("tags") or {}).items()]


def lower_tag_list(inputs: Inputs) -> list[dict[str, str]]:
    """Return Pulumi's tags as CodePipeline takes them."""
    return [{"key": key, "value": value} for key, value in (inputs.get("tags") or {}).items()]
