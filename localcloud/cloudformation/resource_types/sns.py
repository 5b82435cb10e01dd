"""AWS::SNS::Topic."""

from __future__ import annotations

from localcloud.cloudformation.resource_types.base import (
    Call,
    CreatedResource,
    Handler,
    Properties,
    ResourceFailed,
    tag_changes,
    tag_list,
)

# Properties that are attributes of the topic, under the same names.
_ATTRIBUTES = ("DisplayName", "KmsMasterKeyId")


async def _create(call: Call, properties: Properties) -> CreatedResource:
    name = properties.get("TopicName") or call.generated_name(255)
    attributes = {key: properties[key] for key in _ATTRIBUTES if key in properties}
    answer = await call.api(
        "sns",
        "create_topic",
        Name=name,
        Tags=properties.get("Tags") or [],
        **({"Attributes": attributes} if attributes else {}),
    )
    arn = answer["TopicArn"]
    made = CreatedResource(arn, {"TopicName": name, "TopicArn": arn})
    try:
        for protocol, endpoint in sorted(_subscriptions(properties)):
            await call.api("sns", "subscribe", TopicArn=arn, Protocol=protocol, Endpoint=endpoint)
    except ResourceFailed as error:
        raise error.with_made(made) from error
    return made


async def _update(
    call: Call, made: CreatedResource, before: Properties, after: Properties
) -> CreatedResource:
    arn = made.physical_id
    for name in _ATTRIBUTES:
        if before.get(name) != after.get(name):
            await call.api(
                "sns",
                "set_topic_attributes",
                TopicArn=arn,
                AttributeName=name,
                AttributeValue=after.get(name, ""),
            )
    old, new = _subscriptions(before), _subscriptions(after)
    for protocol, endpoint in sorted(new - old):
        await call.api("sns", "subscribe", TopicArn=arn, Protocol=protocol, Endpoint=endpoint)
    if old - new:
        await _unsubscribe(call, arn, old - new)
    changed, removed = tag_changes(before, after)
    if changed:
        await call.api("sns", "tag_resource", ResourceArn=arn, Tags=tag_list(changed))
    if removed:
        await call.api("sns", "untag_resource", ResourceArn=arn, TagKeys=removed)
    return made


async def _unsubscribe(call: Call, topic_arn: str, gone: set[tuple[str, str]]) -> None:
    token: dict[str, str] = {}
    found: list[str] = []
    while True:
        page = await call.api("sns", "list_subscriptions_by_topic", TopicArn=topic_arn, **token)
        for subscription in page["Subscriptions"]:
            if (subscription["Protocol"], subscription["Endpoint"]) in gone:
                found.append(subscription["SubscriptionArn"])
        if not page.get("NextToken"):
            break
        token = {"NextToken": page["NextToken"]}
    for subscription_arn in found:
        await call.api("sns", "unsubscribe", SubscriptionArn=subscription_arn)


def _subscriptions(properties: Properties) -> set[tuple[str, str]]:
    return {(s["Protocol"], s["Endpoint"]) for s in properties.get("Subscription") or []}


async def _delete(call: Call, made: CreatedResource) -> None:
    await call.api("sns", "delete_topic", TopicArn=made.physical_id)


HANDLERS = (
    Handler(
        "AWS::SNS::Topic",
        _create,
        _update,
        _delete,
        carried_out=frozenset({*_ATTRIBUTES, "Subscription", "Tags", "TopicName"}),
        attributes=("TopicArn", "TopicName"),
        assumed={
            "ContentBasedDeduplication": "false",
            "FifoTopic": "false",
            "SignatureVersion": "1",
            "TracingConfig": "PassThrough",
        },
        name_property="TopicName",
    ),
)
