"""DeliveryPipeline: from a new dataset to a production endpoint.

Owns the artifact store, the functions, the approval topic, the CodePipeline and its trigger.
What the stages do is in ``pipeline_stages``; what each role may do is in ``policies``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import pipeline_stages, policies
from components.data_lake import DataLake
from components.naming import DATASET_KEY, TRAINING_PREFIX, Names
from components.pipeline_function import PipelineFunction
from components.pipeline_stages import DeployTarget, StageInputs
from components.private_bucket import PrivateBucket
from components.settings import DeliverySettings


@dataclass(frozen=True, slots=True)
class DeliveryPipelineArgs:
    """Where datasets come from, and where models go."""

    settings: DeliverySettings
    data_lake: DataLake
    image_repository: pulumi.Input[str]
    development: pulumi.Output[DeployTarget]
    # A target that is None ends the pipeline after DEV.
    production: pulumi.Output[DeployTarget] | None
    tags: Mapping[str, str]


class DeliveryPipeline(pulumi.ComponentResource):
    """A pipeline that a dataset upload starts, and its own roles, store and functions."""

    def __init__(
        self,
        name: str,
        names: Names,
        args: DeliveryPipelineArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:DeliveryPipeline", name, None, opts)
        self._names, self._args = names, args
        self._child = pulumi.ResourceOptions(parent=self)
        self.artifacts = PrivateBucket(
            f"{name}-artifacts",
            names.artifact_bucket,
            names,
            tags=args.tags,
            force_destroy=True,
            opts=self._child,
        )
        self.training_role, training_policy = self._role(
            "training", policies.SAGEMAKER, policies.training_role(names)
        )
        self.train = PipelineFunction(
            "train",
            "train_model",
            names,
            grants=policies.run_training(names, names.iam_arn(f"role/{names.role('training')}")),
            tags=args.tags,
            opts=self._child,
        )
        endpoints = [names.endpoint("dev")]
        if args.production is not None:
            endpoints.append(names.endpoint("prd"))
        self.smoke_test = PipelineFunction(
            "smoke-test",
            "smoke_test",
            names,
            grants=[policies.invoke_endpoints(names, endpoints)],
            tags=args.tags,
            opts=self._child,
        )
        self.approval_topic = self._approval_topic()
        stage_inputs = self._stage_inputs()
        role, policy = self._role(
            "pipeline", policies.CODEPIPELINE, stage_inputs.apply(self._policy)
        )
        self.pipeline = aws.codepipeline.Pipeline(
            name,
            name=names.pipeline,
            pipeline_type="V2",
            execution_mode=args.settings.execution_mode.value,
            role_arn=role.arn,
            artifact_stores=[{"location": self.artifacts.name, "type": "S3"}],
            stages=stage_inputs.apply(lambda inputs: pipeline_stages.render(inputs, args.settings)),
            tags=dict(args.tags),
            # Creation starts an execution at once.
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[
                    policy,
                    training_policy,
                    *self.artifacts.ready,
                    *args.data_lake.ready,
                    self.train,
                    self.smoke_test,
                ],
            ),
        )
        self.pipeline_name = self.pipeline.name
        self._trigger()
        self.register_outputs(
            {
                "pipeline_name": self.pipeline_name,
                "artifact_bucket": self.artifacts.name,
                "approval_topic_arn": self.approval_topic.arn,
            }
        )

    def _stage_inputs(self) -> pulumi.Output[StageInputs]:
        args = self._args
        return pulumi.Output.all(
            model_name=self._names.model,
            data_bucket=args.data_lake.bucket_name,
            train_function=self.train.name,
            training_role_arn=self.training_role.arn,
            image_repository=args.image_repository,
            training_output=pulumi.Output.concat(
                "s3://", self.artifacts.name, f"/{TRAINING_PREFIX}"
            ),
            smoke_test_function=self.smoke_test.name,
            development=args.development,
            approval_topic_arn=self.approval_topic.arn,
            production=args.production,
        ).apply(lambda values: StageInputs(**values))

    def _policy(self, inputs: StageInputs) -> str:
        targets = [t for t in (inputs.development, inputs.production) if t is not None]
        functions = (inputs.train_function, inputs.smoke_test_function)
        return policies.pipeline_role(
            self._names,
            source_objects=[
                (inputs.data_bucket, DATASET_KEY),
                *((target.template_bucket, target.template_key) for target in targets),
            ],
            function_arns=[self._names.arn("lambda", f"function:{name}") for name in functions],
            stacks=[target.stack_name for target in targets],
            deploy_role_arns=[target.deploy_role_arn for target in targets],
            topic_arn=inputs.approval_topic_arn,
        )

    def _approval_topic(self) -> aws.sns.Topic:
        topic = aws.sns.Topic(
            "approval-topic",
            name=f"{self._names.model}-approval",
            tags=dict(self._args.tags),
            opts=self._child,
        )
        email = self._args.settings.approval_email
        if email is not None:
            aws.sns.TopicSubscription(
                "approval-email",
                topic=topic.arn,
                protocol="email",
                endpoint=email,
                opts=self._child,
            )
        return topic

    def _trigger(self) -> None:
        role, policy = self._role("trigger", policies.EVENTS, policies.start_pipeline(self._names))
        rule = aws.cloudwatch.EventRule(
            "dataset-uploaded",
            name=f"{self._names.model}-dataset-uploaded",
            description=f"A new {DATASET_KEY} starts {self._names.pipeline}",
            event_pattern=self._args.data_lake.bucket_name.apply(
                lambda bucket: json.dumps(
                    {
                        "source": ["aws.s3"],
                        "detail-type": ["Object Created"],
                        "detail": {"bucket": {"name": [bucket]}, "object": {"key": [DATASET_KEY]}},
                    }
                )
            ),
            tags=dict(self._args.tags),
            opts=self._child,
        )
        aws.cloudwatch.EventTarget(
            "dataset-uploaded-target",
            rule=rule.name,
            target_id="pipeline",
            arn=self.pipeline.arn,
            role_arn=role.arn,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy]),
        )

    def _role(
        self, purpose: str, service: str, policy: pulumi.Input[str]
    ) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        role = aws.iam.Role(
            f"{purpose}-role",
            name=self._names.role(purpose),
            assume_role_policy=policies.trust(self._names, service),
            tags=dict(self._args.tags),
            opts=self._child,
        )
        role_policy = aws.iam.RolePolicy(
            f"{purpose}-policy", name="grants", role=role.name, policy=policy, opts=self._child
        )
        return role, role_policy
