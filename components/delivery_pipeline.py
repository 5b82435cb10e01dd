"""DeliveryPipeline: the pipeline from a new dataset to a production endpoint.

Owns the functions, the approval topic, the CodePipeline and its trigger. ``pipeline_stages``
defines the stages, and ``policies`` the permissions of each role.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_aws as aws

from components import pipeline_stages, policies
from components.artifact_store import artifact_store
from components.data_lake import DataLake
from components.model_registry import ModelRegistry
from components.naming import (
    CAPTURE_PREFIX,
    DATASET_KEY,
    REPORT_PREFIX,
    TRAINING_PREFIX,
    VARIANT_NAME,
    Names,
)
from components.notification_topic import NotificationTopic
from components.pipeline_function import PipelineFunction, PipelineFunctionArgs
from components.pipeline_stages import DeployTarget, StageInputs
from components.pipeline_trigger import Revision, start_on_event
from components.private_bucket import PrivateBucket
from components.retraining import Retraining
from components.service_role import service_role
from components.settings import DeliverySettings, FunctionSettings, NetworkSettings, RetrainOn


@dataclass(frozen=True, slots=True)
class DeliveryPipelineArgs:
    """The source of the datasets, the artifact store, and the targets of the deployments.

    Attributes:
        settings: the pipeline's settings.
        network: the network of training jobs and functions.
        functions: concurrency and tracing of the functions.
        data_lake: the bucket whose uploads start the pipeline.
        artifacts: the artifact store.
        image_parameter: SSM parameter that holds the released image.
        key_arn: KMS key of the artifacts and messages; None for the services' own encryption.
        log_retention_days: days after which lines of the functions' logs expire.
        development: the DEV target.
        production: the PRD target; None ends the pipeline after DEV.
        tags: tags for each resource.
    """

    settings: DeliverySettings
    network: NetworkSettings
    functions: FunctionSettings
    data_lake: DataLake
    artifacts: PrivateBucket
    image_parameter: pulumi.Input[str]
    key_arn: pulumi.Input[str] | None
    log_retention_days: int
    development: pulumi.Output[DeployTarget]
    production: pulumi.Output[DeployTarget] | None
    tags: Mapping[str, str]


class DeliveryPipeline(pulumi.ComponentResource):
    """A pipeline that starts on a dataset upload, with its roles and functions."""

    def __init__(
        self,
        name: str,
        names: Names,
        args: DeliveryPipelineArgs,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("mlops:index:DeliveryPipeline", name, None, opts)
        self._names, self._args = names, args
        self._production = names.in_account(args.settings.production_account)
        self._child = pulumi.ResourceOptions(parent=self)
        self.training_role, training_policy = self._role(
            "training",
            policies.SAGEMAKER,
            pulumi.Output.from_input(args.key_arn).apply(
                lambda key_arn: policies.training_role(names, key_arn, args.network)
            ),
            "Permissions of training jobs",
        )
        self.processing_role, processing_policy = self._role(
            "processing-job",
            policies.SAGEMAKER,
            pulumi.Output.all(args.key_arn, args.production).apply(
                lambda made: policies.processing_role(
                    names,
                    made[0],
                    args.network,
                    captures=args.settings.rehearses,
                    capture_key_arn=made[1] and made[1].encryption_key_arn,
                )
            ),
            "Permissions of processing jobs",
        )
        functions = PipelineFunctionArgs(
            network=args.network,
            settings=args.functions,
            key_arn=args.key_arn,
            log_retention_days=args.log_retention_days,
            tags=args.tags,
        )
        # In a variable: the parameters of an action end at 1,000 characters.
        reports = {
            "REPORT_OUTPUT": pulumi.Output.concat("s3://", args.artifacts.name, f"/{REPORT_PREFIX}")
        }
        self.processing = PipelineFunction(
            "processing",
            "run_processing",
            names,
            functions,
            grants=pulumi.Output.from_input(args.key_arn).apply(
                lambda key_arn: [
                    *policies.run_processing(names, names.role_arn("processing-job")),
                    *(policies.list_captures(names, key_arn) if args.settings.rehearses else []),
                ]
            ),
            environment={**reports, **self._training_network()},
            opts=self._child,
        )
        self.train = PipelineFunction(
            "train",
            "train_model",
            names,
            functions,
            grants=policies.run_training(
                names, names.role_arn("training"), arm64=args.settings.arm64_image
            ),
            environment=self._training_network(),
            opts=self._child,
        )
        self.smoke_test = PipelineFunction(
            "smoke-test",
            "smoke_test",
            names,
            functions,
            grants=self._smoke_test_grants(),
            opts=self._child,
        )
        self.evidence = PipelineFunction(
            "evidence",
            "evidence",
            names,
            functions,
            grants=pulumi.Output.from_input(args.key_arn).apply(
                lambda key_arn: policies.collect_evidence(names, key_arn)
            ),
            data=["page.html"],
            environment=reports,
            opts=self._child,
        )
        self.registry = ModelRegistry(
            "registry",
            names,
            functions,
            shared=args.settings.production_account is not None,
            opts=self._child,
        )
        self.approval_topic = NotificationTopic(
            "approval",
            names,
            purpose="approval",
            email=args.settings.approval_email,
            key_arn=args.key_arn,
            tags=args.tags,
            opts=self._child,
        )
        stage_inputs = self._stage_inputs()
        role, policy = self._role(
            "pipeline",
            policies.CODEPIPELINE,
            pulumi.Output.all(stage_inputs, args.key_arn).apply(lambda made: self._policy(*made)),
            f"Permissions of pipeline {names.pipeline}",
        )
        self.pipeline = aws.codepipeline.Pipeline(
            name,
            name=names.pipeline,
            pipeline_type="V2",
            execution_mode=args.settings.execution_mode.value,
            role_arn=role.arn,
            artifact_stores=[artifact_store(args.artifacts.name, args.key_arn)],
            variables=[
                {
                    "name": pipeline_stages.STARTED_BY,
                    "default_value": pipeline_stages.BY_DATASET,
                    "description": "What started the execution: dataset, drift or schedule",
                }
            ],
            stages=stage_inputs.apply(lambda inputs: pipeline_stages.render(inputs, args.settings)),
            tags=dict(args.tags),
            # CodePipeline starts an execution as soon as the pipeline is created.
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[
                    policy,
                    training_policy,
                    processing_policy,
                    *args.artifacts.ready,
                    *args.data_lake.ready,
                    self.processing,
                    self.train,
                    self.smoke_test,
                    self.evidence,
                    self.registry,
                ],
            ),
        )
        self.pipeline_name = self.pipeline.name
        if args.settings.retraining.upload:
            self._trigger()
        if args.settings.retraining.on is not RetrainOn.NEVER:
            Retraining("retraining", names, functions, args.settings.retraining, self._child)
        self.register_outputs(
            {"pipeline_name": self.pipeline_name, "approval_topic_arn": self.approval_topic.arn}
        )

    def _training_network(self) -> dict[str, str]:
        """Return the variable with the VPC of training jobs, for which parameters are too short."""
        vpc_config = self._args.network.vpc_config
        if vpc_config is None:
            return {}
        return {"TRAINING_VPC_CONFIG": json.dumps(vpc_config, separators=(",", ":"))}

    def _smoke_test_grants(self) -> list[policies.Statement]:
        """Allow invoking this account's endpoints, and assuming another account's invoke role."""
        names, args = self._names, self._args
        endpoints, roles = [names.endpoint("dev")], []
        if args.settings.production_account is not None:
            roles.append(self._production.role_arn("prd-invoke"))
        elif args.production is not None:
            endpoints.append(names.endpoint("prd"))
        grants = [policies.invoke_endpoints(names, endpoints)]
        return [*grants, policies.assume_roles(roles)] if roles else grants

    def _stage_inputs(self) -> pulumi.Output[StageInputs]:
        args = self._args
        return pulumi.Output.all(
            model_name=self._names.model,
            data_bucket=args.data_lake.bucket_name,
            train_function=self.train.name,
            training_role_arn=self.training_role.arn,
            image_parameter=args.image_parameter,
            training_output=pulumi.Output.concat(
                "s3://", args.artifacts.name, f"/{TRAINING_PREFIX}"
            ),
            processing_function=self.processing.name,
            processing_role_arn=self.processing_role.arn,
            captures=self._captures(),
            register_function=self.registry.register.name,
            promote_function=self.registry.promote.name,
            pipeline=self._names.pipeline,
            production_account=args.settings.production_account,
            smoke_test_function=self.smoke_test.name,
            evidence_function=self.evidence.name,
            development=args.development,
            approval_topic_arn=self.approval_topic.arn,
            production=args.production,
        ).apply(lambda values: StageInputs(network=args.network, **values))

    def _captures(self) -> str | None:
        """Return where production's endpoint captures; None in another account."""
        if self._args.settings.production_account is not None:
            return None
        place = f"{self._names.capture_bucket('prd')}/{CAPTURE_PREFIX}"
        return f"s3://{place}/{self._names.endpoint('prd')}/{VARIANT_NAME}"

    def _policy(self, inputs: StageInputs, key_arn: str | None) -> str:
        names = self._names
        targets = [t for t in (inputs.development, inputs.production) if t is not None]
        # In another account the pipeline assumes that account's role, which has the permissions.
        other_roles = [t.delivery_role_arn for t in targets if t.delivery_role_arn]
        local = [t for t in targets if not t.delivery_role_arn]
        other_keys = sorted({t.encryption_key_arn for t in local} - {"", key_arn})
        functions = (
            *(inputs.processing_function, inputs.train_function, inputs.register_function),
            *(inputs.smoke_test_function, inputs.evidence_function, inputs.promote_function),
        )
        return policies.document(
            policies.read_sources(
                names,
                [
                    (inputs.data_bucket, DATASET_KEY),
                    *((target.template_bucket, target.template_key) for target in local),
                ],
            ),
            policies.use_artifact_store(names, key_arn),
            [s for key in other_keys for s in policies.use_key(names, key, "s3", write=False)],
            policies.allow(
                ["lambda:InvokeFunction"],
                [names.arn("lambda", f"function:{name}") for name in functions],
            ),
            policies.deploy_stacks(
                names,
                [t.stack_name for t in local],
                [t.deploy_role_arn for t in local],
                replaced=[inputs.development.stack_name],
            ),
            [policies.assume_roles(other_roles)] if other_roles else [],
            policies.allow(["sns:Publish"], [inputs.approval_topic_arn])
            if inputs.production is not None
            else [],
            policies.use_key(names, key_arn, "sns") if inputs.production is not None else [],
        )

    def _trigger(self) -> None:
        names = self._names

        def event_pattern(bucket: str) -> str:
            detail = {"bucket": {"name": [bucket]}, "object": {"key": [DATASET_KEY]}}
            return json.dumps(
                {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail}
            )

        start_on_event(
            "dataset-uploaded",
            names,
            self.pipeline,
            names.pipeline,
            event_pattern=self._args.data_lake.bucket_name.apply(event_pattern),
            revision=Revision("Dataset", "S3_OBJECT_VERSION_ID", "$.detail.object.version-id"),
            description=f"Starts {names.pipeline} when a new {DATASET_KEY} is uploaded",
            role_name="trigger",
            role_purpose="trigger",
            tags=self._args.tags,
            parent=self,
        )

    def _role(
        self, purpose: str, service: str, policy: pulumi.Input[str], description: str
    ) -> tuple[aws.iam.Role, aws.iam.RolePolicy]:
        return service_role(
            purpose,
            self._names,
            purpose,
            trust=policies.trust(self._names, service),
            policy=policy,
            description=description,
            tags=self._args.tags,
            parent=self,
        )
