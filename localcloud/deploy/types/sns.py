"""SNS: topics, their policies and subscriptions."""

from __future__ import annotations

import json

from localcloud.deploy.types.base import (
    NAME,
    Answer,
    Aws,
    Inputs,
    Outputs,
    Reader,
    ResourceType,
    delete_by_id,
    fields,
    tag_list,
    tags_of,
    update_tags,
)

# Maps Pulumi's input to the topic's attribute; an empty value means that there is none.
_ATTRIBUTES = {
    "displayName": "DisplayName",
    "kmsMasterKeyId": "KmsMasterKeyId",
}


def _create_topic(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    attributes = {_ATTRIBUTES[key]: inputs[key] for key in _ATTRIBUTES if inputs.get(key)}
    answer = aws.call(
        "sns", "create_topic", Name=inputs["name"], Attributes=attributes, Tags=tag_list(inputs)
    )
    return answer["TopicArn"], {**inputs, "arn": answer["TopicArn"]}


def _update_topic(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    for key, attribute in _ATTRIBUTES.items():
        if inputs.get(key, "") != outputs.get(key, ""):
            _set(aws, id_, attribute, inputs.get(key, ""))
    update_tags(aws, "sns", outputs, inputs, of={"ResourceArn": id_})
    return {**inputs, "arn": id_}


def _set(aws: Aws, topic: str, attribute: str, value: str) -> None:
    aws.call(
        "sns",
        "set_topic_attributes",
        TopicArn=topic,
        AttributeName=attribute,
        AttributeValue=value,
    )


def _put_policy(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    _set(aws, inputs["arn"], "Policy", inputs["policy"])
    return inputs["arn"], {**inputs, "owner": aws.account}


def _update_policy(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del id_, outputs
    return _put_policy(aws, inputs)[1]


def _reset_policy(aws: Aws, id_: str, outputs: Outputs) -> None:
    # A topic always has a policy, so deleting one restores the default policy of SNS.
    del outputs
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [
            "SNS:GetTopicAttributes",
            "SNS:SetTopicAttributes",
            "SNS:AddPermission",
            "SNS:RemovePermission",
            "SNS:DeleteTopic",
            "SNS:Subscribe",
            "SNS:ListSubscriptionsByTopic",
            "SNS:Publish",
        ],
        "Resource": id_,
        "Condition": {"StringEquals": {"AWS:SourceOwner": aws.account}},
    }
    policy = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
    _set(aws, id_, "Policy", json.dumps(policy))


def _subscribe(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    answer = aws.call(
        "sns",
        "subscribe",
        TopicArn=inputs["topic"],
        Protocol=inputs["protocol"],
        Endpoint=inputs["endpoint"],
        ReturnSubscriptionArn=True,
    )
    return answer["SubscriptionArn"], {**inputs, "arn": answer["SubscriptionArn"]}


def _find_topic(aws: Aws, id_: str, known: Inputs) -> Answer:
    del known
    attributes = aws.ask("sns", "get_topic_attributes", TopicArn=id_)["attributes"]
    tags = aws.ask("sns", "list_tags_for_resource", ResourceArn=id_).get("tags")
    settings = {name: attributes.get(attribute) for name, attribute in _ATTRIBUTES.items()}
    return {"name": id_.rpartition(":")[2], **settings, "tags": tags_of(tags)}, {"arn": id_}


def _find_policy(aws: Aws, id_: str, known: Inputs) -> Answer:
    del known
    attributes = aws.ask("sns", "get_topic_attributes", TopicArn=id_)["attributes"]
    return {"arn": id_, "policy": attributes["Policy"]}, {"owner": aws.account}


def _find_subscription(aws: Aws, id_: str, known: Inputs) -> Answer:
    del known
    found = aws.ask("sns", "get_subscription_attributes", SubscriptionArn=id_)["attributes"]
    inputs = {
        "topic": found["TopicArn"],
        "protocol": found["Protocol"],
        "endpoint": found["Endpoint"],
    }
    return inputs, {"arn": id_}


def _unsubscribe(aws: Aws, id_: str, outputs: Outputs) -> None:
    del outputs
    aws.call("sns", "unsubscribe", SubscriptionArn=id_)


TYPES: dict[str, ResourceType] = {
    "aws:sns/topic:Topic": ResourceType(
        _create_topic,
        delete_by_id("sns", "delete_topic", "TopicArn"),
        _update_topic,
        NAME,
        fields("name displayName kmsMasterKeyId tags"),
        reader=Reader(_find_topic),
    ),
    "aws:sns/topicPolicy:TopicPolicy": ResourceType(
        _put_policy,
        _reset_policy,
        _update_policy,
        frozenset({"arn"}),
        fields("arn policy"),
        reader=Reader(_find_policy),
    ),
    "aws:sns/topicSubscription:TopicSubscription": ResourceType(
        _subscribe,
        _unsubscribe,
        accepts=fields("topic protocol endpoint"),
        reader=Reader(_find_subscription),
    ),
}
