"""PipelineFunction: one Lambda function that a pipeline invokes, with its role and its logs."""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pulumi
import pulumi_aws as aws

from components import policies
from components.log_group import log_group
from components.naming import Names
from components.policies import Statement
from components.service_role import service_role
from components.settings import FunctionSettings, NetworkSettings

SOURCE = Path(__file__).resolve().parent.parent / "lambda_src"
RUNTIME = "python3.12"


@dataclass(frozen=True, slots=True)
class PipelineFunctionArgs:
    """The settings that a pipeline's functions have in common.

    Attributes:
        network: the functions' VPC.
        settings: concurrency and tracing.
        key_arn: KMS key of the log groups; None for CloudWatch's own encryption.
        log_retention_days: days after which lines of the logs expire.
        tags: tags for each resource.
    """

    network: NetworkSettings
    settings: FunctionSettings
    key_arn: pulumi.Input[str] | None
    log_retention_days: int
    tags: Mapping[str, str]


class PipelineFunction(pulumi.ComponentResource):
    """A function that may report results to CodePipeline, write its log, and use ``grants``.

    It reads and writes artifacts with the credentials in CodePipeline's event, so its role needs no
    access to buckets.
    """

    def __init__(
        self,
        name: str,
        module: str,
        names: Names,
        args: PipelineFunctionArgs,
        *,
        grants: pulumi.Input[Sequence[Statement]],
        timeout_seconds: int = 60,
        memory_mib: int = 256,
        handler: str = "handler",
        by_pipeline: bool = True,
        data: Sequence[str] = (),
        environment: Mapping[str, pulumi.Input[str]] | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Create the function.

        Args:
            name: stem of the logical names, and the function's name after the model's name.
            module: module of ``lambda_src`` with the handler.
            names: the account's names.
            args: what it has in common with the pipeline's other functions.
            grants: further policy statements of the function's role.
            timeout_seconds: 1 to 900.
            memory_mib: 128 to 10240.
            handler: the name of the handler in the module.
            by_pipeline: whether CodePipeline invokes the function and gets its result.
            data: files of ``lambda_src``, other than modules, that the module reads.
            environment: environment variables of the function.
            opts: the component's resource options.
        """
        super().__init__("mlops:index:PipelineFunction", name, None, opts)
        function_name = f"{names.model}-{name}"
        self.role, policy = service_role(
            name,
            names,
            name,
            trust=policies.trust(names, policies.LAMBDA),
            description=f"Permissions of function {function_name}",
            policy=pulumi.Output.from_input(grants).apply(
                lambda further: policies.document(
                    policies.write_function_logs(names, function_name),
                    policies.report_job_results() if by_pipeline else [],
                    policies.join_vpc(names, args.network, policies.LAMBDA),
                    [policies.write_traces()] if args.settings.tracing else [],
                    further,
                )
            ),
            tags=args.tags,
            parent=self,
        )
        logs = log_group(
            f"{name}-logs",
            f"/aws/lambda/{function_name}",
            retention_days=args.log_retention_days,
            key_arn=args.key_arn,
            tags=args.tags,
            parent=self,
        )
        self.function = aws.lambda_.Function(
            f"{name}-function",
            name=function_name,
            role=self.role.arn,
            runtime=RUNTIME,
            handler=f"{SOURCE.name}.{module}.{handler}",
            # Single files: a directory would include byte code, which changes the hash each time.
            code=pulumi.AssetArchive(
                {
                    # A link is shipped as the file that it names.
                    f"{SOURCE.name}/{file}": pulumi.FileAsset(str((SOURCE / file).resolve()))
                    for file in (
                        "__init__.py",
                        *(f"{shipped}.py" for shipped in sorted(_shipped(module))),
                        *data,
                    )
                }
            ),
            timeout=timeout_seconds,
            memory_size=memory_mib,
            environment={"variables": environment} if environment else None,
            reserved_concurrent_executions=args.settings.concurrency or None,
            tracing_config={"mode": "Active"} if args.settings.tracing else None,
            vpc_config={
                "subnet_ids": list(args.network.subnets),
                "security_group_ids": list(args.network.security_groups),
            }
            if args.network.subnets
            else None,
            tags=dict(args.tags),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[policy, logs]),
        )
        self.name = self.function.name
        self.arn = self.function.arn
        self.register_outputs({"name": self.name, "arn": self.arn})


def _shipped(module: str) -> set[str]:
    """Return a module of the functions' source with the modules of it that it imports."""
    tree = ast.parse((SOURCE / f"{module}.py").read_text())
    imported = {
        node.module.removeprefix(f"{SOURCE.name}.")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module is not None
        and node.module.startswith(f"{SOURCE.name}.")
    }
    return {module}.union(*(_shipped(name) for name in imported))
