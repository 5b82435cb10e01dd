"""Patches of SNS."""

from __future__ import annotations

import logging
from typing import Any

log = logging.getLogger("localcloud.moto_backend")

_NOT_DELIVERED = ("http", "https", "lambda")
_PROTOCOLS = frozenset(
    {"http", "https", "email", "email-json", "sms", "sqs", "application", "lambda", "firehose"}
)
# Protocols whose deliveries AWS can log, and the attributes that say so. They are only stored here.
_LOGGED = ("Application", "Firehose", "HTTP", "Lambda", "SQS")
_LOGGING = ("FailureFeedbackRoleArn", "SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate")
# The attributes of a topic that moto stores and does not return.
_STORED = frozenset({"SignatureVersion", "TracingConfig"}) | {
    f"{protocol}{what}" for protocol in _LOGGED for what in _LOGGING
}
# Attributes of AWS that have an effect which does not exist here.
_UNDELIVERED = frozenset({"ArchivePolicy", "FifoThroughputScope"})
# The attributes that a topic may be given.
# Source: https://docs.aws.amazon.com/sns/latest/api/API_SetTopicAttributes.html
_SETTABLE = {"ContentBasedDeduplication", "DeliveryPolicy", "DisplayName", "FifoTopic"}
_SETTABLE |= {"KmsMasterKeyId", "Policy", *_STORED}


def patch() -> None:
    """Apply the patches."""
    _patch_endpoints()
    _patch_attributes()
    _patch_checks()


def _patch_endpoints() -> None:
    """Publish: moto posts to URLs from its thread, and runs functions by Docker.

    Nothing here may use the network or Docker, and an endpoint that does not answer would keep
    every other call waiting. Such a subscription gets nothing, and the log names it once.
    """
    from moto.sns.models import Subscription

    original = Subscription.publish
    named: set[str] = set()

    def publish(self: Any, *arguments: Any, **settings: Any) -> Any:
        if self.protocol not in _NOT_DELIVERED:
            return original(self, *arguments, **settings)
        if self.arn not in named:
            named.add(self.arn)
            log.warning(
                "the local cloud does not deliver to %s subscriptions, such as %s",
                self.protocol,
                self.endpoint,
            )
        return None

    Subscription.publish = publish


def _patch_attributes() -> None:
    """GetTopicAttributes: moto does not return some attributes, and stores any name.

    AWS refuses a name that it does not have. Archives have no effect here and are refused by name.
    """
    from moto.core.responses import ActionResult
    from moto.core.utils import camelcase_to_underscores
    from moto.sns.exceptions import SNSInvalidParameter
    from moto.sns.responses import SNSResponse

    create, read, write = (
        SNSResponse.create_topic,
        SNSResponse.get_topic_attributes,
        SNSResponse.set_topic_attributes,
    )

    def check(name: str) -> None:
        if name in _UNDELIVERED:
            raise NotImplementedError(name)
        if name not in _SETTABLE:
            raise SNSInvalidParameter("Invalid parameter: AttributeName")

    def create_topic(self: Any) -> Any:
        for name in self._get_param("Attributes", {}):
            check(name)
        return create(self)

    def set_topic_attributes(self: Any) -> Any:
        check(self._get_param("AttributeName"))
        return write(self)

    def get_topic_attributes(self: Any) -> Any:
        topic = self.backend.get_topic(self._get_param("TopicArn"))
        found = {
            name: getattr(topic, camelcase_to_underscores(name), None) for name in sorted(_STORED)
        }
        attributes = read(self).result["Attributes"]
        return ActionResult(
            {"Attributes": attributes | {name: v for name, v in found.items() if v is not None}}
        )

    SNSResponse.create_topic = create_topic
    SNSResponse.set_topic_attributes = set_topic_attributes
    SNSResponse.get_topic_attributes = get_topic_attributes


def _patch_checks() -> None:
    """Publish and Subscribe: moto takes empty messages, any protocol, and fails on a bad ARN.

    Source: https://docs.aws.amazon.com/sns/latest/api/API_Subscribe.html
    """
    from moto.sns.exceptions import SNSInvalidParameter
    from moto.sns.responses import SNSResponse

    publish, subscribe = SNSResponse.publish, SNSResponse.subscribe

    def check_arn(name: str, arn: str | None) -> None:
        parts = len((arn or "").split(":"))
        if arn and parts < 6:
            reason = f"An ARN must have at least 6 elements, not {parts}"
            raise SNSInvalidParameter(f"Invalid parameter: {name} Reason: {reason}")

    def checked_publish(self: Any) -> Any:
        for name in ("TopicArn", "TargetArn"):
            check_arn(name, self._get_param(name))
        if not self._get_param("Message"):
            raise SNSInvalidParameter("Invalid parameter: Empty message")
        return publish(self)

    def checked_subscribe(self: Any) -> Any:
        check_arn("TopicArn", self._get_param("TopicArn"))
        protocol = self._get_param("Protocol")
        if protocol not in _PROTOCOLS:
            raise SNSInvalidParameter(
                f"Amazon SNS does not support this protocol string: {protocol}"
            )
        return subscribe(self)

    SNSResponse.publish = checked_publish
    SNSResponse.subscribe = checked_subscribe
