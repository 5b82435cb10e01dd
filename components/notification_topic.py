"""NotificationTopic: an SNS topic that people subscribe to."""

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from components import resource_policies
from components.naming import Names


class NotificationTopic(pulumi.ComponentResource):
    """A topic, who publishes to it, and whom it tells by e-mail.

    An e-mail subscription waits until its receiver confirms it.
    """

    def __init__(
        self,
        name: str,
        names: Names,
        *,
        purpose: str,
        email: str | None,
        key_arn: pulumi.Input[str] | None,
        publishers: Sequence[str] = (),
        tags: Mapping[str, str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the topic.

        Args:
            name: stem of the logical names.
            names: the account's names.
            purpose: the topic's name, after the model's.
            email: who is told, or None.
            key_arn: the key that encrypts messages, or None.
            publishers: services that publish by themselves; roles do so by their policies.
            tags: of the topic.
            opts: of the component.
        """
        super().__init__("mlops:index:NotificationTopic", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        topic = aws.sns.Topic(
            f"{name}-topic",
            name=f"{names.model}-{purpose}",
            kms_master_key_id=key_arn,
            tags=dict(tags),
            opts=child,
        )
        self.arn = topic.arn
        if publishers:
            aws.sns.TopicPolicy(
                f"{name}-topic-policy",
                arn=topic.arn,
                policy=topic.arn.apply(lambda arn: resource_policies.topic(names, arn, publishers)),
                opts=child,
            )
        if email is not None:
            aws.sns.TopicSubscription(
                f"{name}-email", topic=topic.arn, protocol="email", endpoint=email, opts=child
            )
        self.register_outputs({"arn": self.arn})
