"""PipelineFunction: one Lambda function that a pipeline invokes, its role and its logs."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pulumi
import pulumi_aws as aws

from components import policies
from components.naming import Names
from components.policies import Statement
from components.service_role import service_role

SOURCE = Path(__file__).resolve().parent.parent / "lambda_src"
# What every handler imports.
SHARED_MODULES = ("__init__", "pipeline_job")
RUNTIME = "python3.12"
LOG_RETENTION_DAYS = 30


class PipelineFunction(pulumi.ComponentResource):
    """A function that may answer CodePipeline, write its own log, and what ``grants`` adds.

    Artifacts it reads and writes with the credentials in CodePipeline's event, so its role
    needs no access to buckets.
    """

    def __init__(
        self,
        name: str,
        module: str,
        names: Names,
        *,
        grants: Sequence[Statement],
        tags: Mapping[str, str],
        timeout_seconds: int = 60,
        memory_mib: int = 256,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the function.

        Args:
            name: logical name and, after the model's name, the function's.
            module: module of ``lambda_src`` with a ``handler``.
            names: the account's names.
            grants: statements beyond answering and logging.
            tags: of each resource.
            timeout_seconds: 1 to 900.
            memory_mib: 128 to 10240.
            opts: of the component.
        """
        super().__init__("mlops:index:PipelineFunction", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        function_name = f"{names.model}-{name}"
        self.role, policy = service_role(
            name,
            names,
            name,
            trust=policies.trust(names, policies.LAMBDA),
            description=f"What function {function_name} may do",
            policy=policies.document(
                policies.write_function_logs(names, function_name),
                policies.answer_pipeline(),
                grants,
            ),
            tags=tags,
            parent=self,
        )
        log_group = aws.cloudwatch.LogGroup(
            f"{name}-logs",
            name=f"/aws/lambda/{function_name}",
            retention_in_days=LOG_RETENTION_DAYS,
            tags=dict(tags),
            opts=child,
        )
        self.function = aws.lambda_.Function(
            f"{name}-function",
            name=function_name,
            role=self.role.arn,
            runtime=RUNTIME,
            handler=f"{SOURCE.name}.{module}.handler",
            # File by file: a directory would bring byte code, and a new hash each time.
            code=pulumi.AssetArchive(
                {
                    f"{SOURCE.name}/{file}.py": pulumi.FileAsset(str(SOURCE / f"{file}.py"))
                    for file in (module, *SHARED_MODULES)
                }
            ),
            timeout=timeout_seconds,
            memory_size=memory_mib,
            tags=dict(tags),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy, log_group]),
        )
        self.name = self.function.name
        self.arn = self.function.arn
        self.register_outputs({"name": self.name, "arn": self.arn})
