"""The contract of a resource type: how it is created, updated and deleted by AWS's own APIs.

A property becomes the operation's parameter of the same name, because CloudFormation and the APIs
share their names; where they differ, the type's module translates. A property that a type does not
carry out is refused by name, so that no template deploys less than it says.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-template-resource-type-ref.html
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from localcloud.aws.protocol import input_shape
from localcloud.aws.routing import Scope
from localcloud.cloudformation.property_checks import problems
from localcloud.cloudformation.schema import SCHEMAS, Schema
from localcloud.cloudformation.template import scalar_text
from localcloud.core.clock import Clock
from localcloud.service_context import ServiceContext

POLL_CLOCK_SECONDS = 3.0
# The names of services in the failures of resources.
_SERVICES = {
    "application-autoscaling": "ApplicationAutoScaling",
    "cloudformation": "CloudFormation",
    "cloudwatch": "CloudWatch",
    "logs": "CloudWatchLogs",
    "sagemaker": "SageMaker",
    "sns": "Sns",
}
# Source: https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-test-contract-errors.html
_HANDLER_CODES = (
    ("AlreadyExists", ("AlreadyExists", "ResourceInUse")),
    ("NotFound", ("NotFound", "NoSuch")),
    ("AccessDenied", ("AccessDenied", "AuthorizationError", "UnauthorizedOperation")),
    ("Throttling", ("Throttl", "TooManyRequests")),
    ("ServiceLimitExceeded", ("LimitExceeded",)),
    ("ResourceConflict", ("Conflict", "OperationAborted")),
)
# What services say if a name is taken.
_TAKEN = ("already exist", "AlreadyExists", "ResourceInUse", "existing")


@dataclass(slots=True)
class CreatedResource:
    """A resource that exists.

    Attributes:
        physical_id: what Ref returns.
        attributes: what Fn::GetAtt returns, by the attribute's name.
    """

    physical_id: str
    attributes: dict[str, str] = field(default_factory=dict)


class ResourceFailed(Exception):
    """An operation on a resource failed; the message becomes its ResourceStatusReason.

    Attributes:
        made: the resource, if it exists although it failed; it has to be deleted.
        code: the error code of the API that refused, or an empty text.
        told: what the API said.
    """

    def __init__(
        self,
        message: str,
        made: CreatedResource | None = None,
        *,
        code: str = "",
        told: str = "",
    ) -> None:
        super().__init__(message)
        self.made = made
        self.code = code
        self.told = told or message

    def with_made(self, made: CreatedResource) -> ResourceFailed:
        """Return the same failure, of a resource that exists although it failed."""
        return ResourceFailed(str(self), made, code=self.code, told=self.told)

    def says(self, *texts: str) -> bool:
        """Return whether the code or the message of the API has one of these texts."""
        return any(text in self.code or text in self.told for text in texts)


@dataclass(frozen=True, slots=True)
class Call:
    """The means of a handler to call AWS's APIs, for one resource.

    Attributes:
        deadline: the end of the stack's TimeoutInMinutes.
        token: the random end of a generated name.
        begun: for a creation that a restart interrupted, the time at which it began; otherwise
            None. The resource may exist already.
        resumed: whether the operation on the stack began before a restart.
        initiated: takes the physical id of a resource that exists, but is not complete yet.
        rollback_reason: returns why the operation on the stack is to end, or an empty text.
    """

    services: ServiceContext
    scope: Scope
    stack_name: str
    logical_id: str
    role_arn: str = ""
    deadline: datetime | None = None
    token: str = ""
    begun: datetime | None = None
    resumed: bool = False
    initiated: Callable[[str], None] = lambda physical_id: None
    rollback_reason: Callable[[], str] = lambda: ""

    async def create_once(
        self, create: Awaitable[dict[str, Any]], find: Callable[[], Awaitable[dict[str, Any]]]
    ) -> dict[str, Any]:
        """Return the response of a creation, or of `find` if an interrupted one has succeeded.

        Args:
            create: the call that creates the resource, and fails if its name is taken.
            find: describes the resource of that name.

        Raises:
            ResourceFailed: it could not be created, or the name is that of another resource.
        """
        try:
            return await create
        except ResourceFailed as error:
            if self.begun is None or not error.says(*_TAKEN):
                raise
            found = await find()
            created = found.get("CreationTime")
            # A whole second less, since some services store no fractions.
            if created is not None and created < self.begun - timedelta(seconds=1):
                raise
            return found

    def check_time(self) -> None:
        """Fail an operation that takes too long, or that a rollback trigger ends.

        Raises:
            ResourceFailed: the stack's TimeoutInMinutes is over, or a trigger has fired.
        """
        if self.rollback_reason():
            raise ResourceFailed(self.rollback_reason())
        if self.deadline is not None and self.clock.now() > self.deadline:
            raise ResourceFailed("Stack creation time exceeded the specified timeout.")

    async def api(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an API as the stack's role, or as the account if the stack has no role.

        Raises:
            ResourceFailed: the API refused; the message is its own, in CloudFormation's form.
        """
        shape = input_shape(service, operation)
        try:
            return await self.services.api(
                self.scope,
                service,
                operation,
                principal=self.role_arn,
                **coerced(shape, parameters),
            )
        except ClientError as error:
            raise _refused(service, error) from error
        except ParamValidationError as error:
            # botocore names each member that is missing, unknown or of a wrong type.
            told = "; ".join(str(error).splitlines()[1:]) or str(error)
            raise ResourceFailed(
                f'Resource handler returned message: "{told}" (HandlerErrorCode: InvalidRequest)',
                code="ValidationException",
                told=told,
            ) from error

    @property
    def clock(self) -> Clock:
        """Return the clock of the local cloud."""
        return self.services.clock

    def generated_name(self, limit: int = 63) -> str:
        """Return a name in CloudFormation's form: stack, logical id, random suffix."""
        stem = f"{self.stack_name}-{self.logical_id}"[: limit - 1 - len(self.token)]
        return f"{stem}-{self.token}"


def _refused(service: str, error: ClientError) -> ResourceFailed:
    """Return the failure of a call, in the form that CloudFormation gives it."""
    answer: dict[str, Any] = dict(error.response)
    code, told = answer["Error"].get("Code", ""), answer["Error"].get("Message", "")
    about = answer.get("ResponseMetadata", {})
    status, request = about.get("HTTPStatusCode", 400), about.get("RequestId", "")
    handler = next((name for name, parts in _HANDLER_CODES if any(p in code for p in parts)), "")
    if not handler:
        handler = "InvalidRequest" if status < 500 else "GeneralServiceException"
    return ResourceFailed(
        f'Resource handler returned message: "{told} (Service: {_SERVICES.get(service, service)}, '
        f'Status Code: {status}, Request ID: {request})" (RequestToken: {uuid.uuid4()}, '
        f"HandlerErrorCode: {handler})",
        code=code,
        told=told,
    )


def coerced(shape: Any, value: Any) -> Any:
    """Return a value with strings converted to the numbers and booleans of an API's shape."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        members = shape.members
        return {k: coerced(members[k], v) if k in members else v for k, v in value.items()}
    if kind == "list" and isinstance(value, list):
        return [coerced(shape.member, item) for item in value]
    if kind == "map" and isinstance(value, dict):
        return {key: coerced(shape.value, item) for key, item in value.items()}
    if isinstance(value, str):
        try:
            if kind in ("integer", "long"):
                return int(value)
            if kind in ("float", "double"):
                return float(value)
        except ValueError:
            return value  # the API's own error is the clearest
        if kind == "boolean":
            return value.lower() == "true"
    elif kind == "string" and isinstance(value, (int, float)):
        return scalar_text(value)
    return value


Properties = dict[str, Any]
Create = Callable[[Call, Properties], Awaitable[CreatedResource]]
Update = Callable[[Call, CreatedResource, Properties, Properties], Awaitable[CreatedResource]]
Delete = Callable[[Call, CreatedResource], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Handler:
    """A resource type.

    Attributes:
        type: for example AWS::SNS::Topic.
        create: makes the resource.
        update: changes it in place; called when no create-only property differs.
        delete: deletes it.
        carried_out: the properties that have an effect here.
        attributes: patterns of what Fn::GetAtt returns here.
        assumed: properties that have no effect here, each with the value that AWS assumes if it is
            absent. A template may have them with that value.
        restore: like `update`, for the rollback of an update that may have changed more than the
            properties say; None if an update does.
        name_property: the property that names the resource; a resource whose template has it cannot
            be replaced.
    """

    type: str
    create: Create
    update: Update
    delete: Delete
    carried_out: frozenset[str]
    attributes: tuple[str, ...]
    assumed: Mapping[str, str] = field(default_factory=dict)
    name_property: str = ""
    restore: Update | None = None

    @property
    def schema(self) -> Schema:
        """Return the type's schema in AWS's registry."""
        return SCHEMAS[self.type]

    def tagged(self, properties: Properties, tags: Mapping[str, str] | None) -> Properties:
        """Return properties with the tags of the stack, if the type has tags."""
        return with_stack_tags(properties, tags or {}) if "Tags" in self.carried_out else properties

    def replaced_by(self, name: str) -> bool:
        """Return whether a change of this property replaces the resource."""
        return name in self.schema.create_only

    def must_replace(self, before: Properties, after: Properties) -> bool:
        """Return whether an update of these properties replaces the resource."""
        return any(before.get(name) != after.get(name) for name in self.schema.create_only)

    def check(self, logical_id: str, properties: Properties) -> None:
        """Refuse properties that AWS refuses, or that have no effect here.

        Raises:
            ResourceFailed: names every problem.
        """
        found = problems(self.schema.document, properties)
        found += [
            f"#: read-only key [{name}] is not permitted"
            for name in sorted(self.schema.read_only & set(properties))
        ]
        if found:
            raise ResourceFailed(
                f"Properties validation failed for resource {logical_id} with message:\n"
                + "\n".join(found)
            )
        ignored = [
            name
            for name in sorted(set(properties) - self.carried_out)
            if name not in self.assumed or scalar_text(properties[name]) != self.assumed[name]
        ]
        if ignored:
            known = ", ".join(sorted(self.carried_out))
            raise ResourceFailed(
                f"The local cloud does not carry out {', '.join(ignored)} of {self.type}; "
                f"it carries out: {known}"
            )


def tag_changes(before: Properties, after: Properties) -> tuple[dict[str, str], list[str]]:
    """Return the tags to set, and the keys of the tags to remove, for an update in place."""
    old = {tag["Key"]: tag["Value"] for tag in before.get("Tags") or []}
    new = {tag["Key"]: tag["Value"] for tag in after.get("Tags") or []}
    changed = {key: value for key, value in new.items() if old.get(key) != value}
    return changed, sorted(set(old) - set(new))


def with_stack_tags(properties: Properties, tags: Mapping[str, str]) -> Properties:
    """Return properties with the tags of the stack; those of the resource have precedence."""
    own = properties.get("Tags") or []
    if not tags or not isinstance(own, list):
        return properties
    keys = {tag.get("Key") for tag in own if isinstance(tag, dict)}
    added = tag_list({key: value for key, value in tags.items() if key not in keys})
    return {**properties, "Tags": [*own, *added]} if added else properties


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags in the form of most APIs: a list of Key and Value."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]
