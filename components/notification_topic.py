"""NotificationTopic: an SNS topic for e-mail notifications."""

from collections.abc import Mapping, Sequence

import pulumi
import pulumi_aws as aws

from components import resource_policies
from components.naming import Names


class NotificationTopic(pulumi.ComponentResource):
    """A topic, the services that publish to it, and its e-mail subscription.

    An e-mail subscription is pending until its receiver confirms it.
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
        """Create the topic.

        Args:
            name: stem of the logical names.
            names: the account's names.
            purpose: the topic's name after the model's name.
            email: address to subscribe; None for no subscription.
            key_arn: KMS key that encrypts the messages; None for no encryption.
            publishers: service principals that the topic's policy allows to publish. Roles need
                no entry; their own policies allow it.
            tags: the topic's tags.
            opts: the component's resource options.
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
