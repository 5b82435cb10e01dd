"""What is implemented, read from the code itself: for `localcloud operations` and the docs.

`python -m localcloud.edge.coverage` prints docs/operations.md; a test keeps the file fresh.
"""

from __future__ import annotations

from localcloud.aws.protocol import implemented_by, service_model
from localcloud.cloudformation.resource_types import HANDLERS
from localcloud.codepipeline.actions import PROVIDERS
from localcloud.codepipeline.actions.cloudformation import MODES
from localcloud.codepipeline.rules import RULES
from localcloud.deploy.types import TYPES
from localcloud.edge.services import SERVICES as LIVE_SERVICES
from localcloud.moto_backend.dispatcher import SERVICES

# botocore's name of each service that this project implements → the classes that do.
LIVE: dict[str, tuple[type, ...]] = {
    name: classes for service in LIVE_SERVICES for name, classes in service.API_CLASSES.items()
}

# Live for what is above; every other operation of theirs is moto's.
PARTLY_LIVE = frozenset(LIVE) & frozenset(SERVICES)

# Accepted and returned, but nothing happens: (service, what, in its stead).
RECORDED = (
    ("sagemaker", "RollbackMaximumBatchSize", "a rollback is at once"),
    (
        "sagemaker",
        "Strategy Bayesian, TrainingJobEarlyStoppingType",
        "Random; each job runs to its end",
    ),
    ("sagemaker", "metrics, cards, life cycle of a model package", "kept"),
    ("sagemaker", "instance types, volumes, VPC, KMS keys", "every instance is a process here"),
    ("sagemaker", "EnableManagedSpotTraining, RetryStrategy", "a job runs once"),
    ("sagemaker", "InstanceCount and CheckpointConfig of training", "one instance, no checkpoints"),
    (
        "sagemaker",
        "the seconds of MaxRuntimeInSeconds, of health checks and of an invocation",
        "counted on the wall, as processes really compute",
    ),
    (
        "sagemaker",
        "OutOfService, SystemUpdating, UpdateRollbackFailed, ModelNotReadyException",
        "never: nothing here leads there",
    ),
    ("cloudformation", "NotificationARNs, stack policies", "kept"),
    (
        "codepipeline",
        "Cancelled, when a pipeline is updated",
        "never: an execution ends on the declaration that it started with",
    ),
    ("codepipeline", "entityUrl, revisionUrl, externalExecutionUrl", "absent: there is no console"),
    ("codepipeline", "a rule's timeoutInMinutes", "a rule ends by itself"),
    ("iam", "trust policies, boundaries, users' policies", "kept; whoever asks may assume a role"),
    ("lambda", "MemorySize, VPC, layers", "the handler runs in this environment's Python"),
    ("lambda", "LoggingConfig, TracingConfig", "kept; lines go to /aws/lambda/NAME as they are"),
    ("ecr", "scans, lifecycle policies", "kept"),
    ("codebuild", "images, compute types, VPC, caches, reports", "a build is processes here"),
    ("s3", "lifecycle, encryption, replication", "kept; nothing expires by itself"),
    (
        "cloudwatch",
        "functions of metric math",
        "kept in an alarm, which keeps its state; refused by name in GetMetricData",
    ),
    ("cloudwatch", "percentiles", "within 2.5 percent; none of statistic sets"),
    ("sns", "e-mail subscriptions", "kept; no mail is sent"),
)

# Refused by name, where an operation is served but not all that it can be asked for.
REFUSED = (
    ("sagemaker", "tuning: Hyperband, warm starts, Autotune, several definitions, convergence"),
    ("sagemaker", "training: Pipe mode, file systems, augmented manifests, AWS's own algorithms"),
    ("sagemaker", "transform: RecordIO, TFRecord, augmented manifests, DataCaptureConfig"),
    ("sagemaker", "hosting: serverless, inference components, several containers, multi-model"),
    ("sagemaker", "model packages: validation, algorithms as source, the marketplace"),
)

# What happens although moto only keeps it.
LIFE = (
    (
        "lambda",
        "Invoke",
        "the function's zip under AWS's own runtime client, killed at its timeout",
    ),
    ("s3", "object created", "the event reaches EventBridge when the bucket says so"),
    (
        "events",
        "a rule that matches, or whose schedule is due",
        "reaches pipelines, builds, functions, topics, queues and log groups",
    ),
    (
        "cloudwatch",
        "metric and composite alarms",
        "M of N, missing data, p99, arithmetic, rules, suppressors; history; actions to scaling "
        "policies and topics, and each change to EventBridge",
    ),
    ("sagemaker", "DeploymentConfig", "traffic shifts in steps that bake; an alarm brings it back"),
    ("sagemaker", "DataCaptureConfig", "a sample of requests and answers in S3, as JSON lines"),
    ("sagemaker", "ShadowProductionVariants", "copies of requests, by weight; nobody sees answers"),
    ("sagemaker", "jobs, endpoints and packages that change", "events on EventBridge"),
    ("sagemaker", "ModelPackageName of a model", "runs the package, once it is approved"),
    ("iam", "policies of roles", "recorded against each role's calls; denied by `--iam enforce`"),
    ("sts", "AssumeRole", "its keys act as the role, in the role's account"),
    ("codecommit", "git push, git clone", "at the clone URL; a push is an event on EventBridge"),
    ("codebuild", "builds", "the buildspec's phases, with a `docker` that packs by the Dockerfile"),
    ("logs", "log groups", "hold the lines of training jobs, endpoints and functions"),
)


def implemented() -> dict[str, list[str]]:
    """Return the operations of the live services."""
    table = {
        service: sorted(name for api in apis for name in implemented_by(api).values())
        for service, apis in sorted(LIVE.items())
    }
    by_path = {
        name: list(operations)
        for service in LIVE_SERVICES
        for name, operations in service.OPERATIONS_BY_PATH.items()
    }
    return {**table, **dict(sorted(by_path.items()))}


def missing(service: str) -> list[str]:
    """Return the operations of botocore's model that answer 501."""
    return sorted(set(service_model(service).operation_names) - set(implemented()[service]))


def document() -> str:
    """Return docs/operations.md."""
    lines = [
        "# What the local cloud does",
        "",
        "Written by `make docs` from the code; a test keeps it fresh. *Real* means that it",
        "happens; *recorded* that it is kept and returned and nothing else; anything else answers",
        "**501** with the operation's name, never a silent success.",
        "",
        "## Real: the live services",
        "",
        "| service | operations | the rest |",
        "| --- | --- | --- |",
    ]
    for service, names in implemented().items():
        rest = "moto keeps it" if service in SERVICES else f"501 ({len(missing(service))})"
        lines.append(f"| {service} | {', '.join(names)} | {rest} |")
    lines += ["", "## Real: life added to what moto keeps", "", "| service | what | happens |"]
    lines += ["| --- | --- | --- |", *(f"| {a} | {b} | {c} |" for a, b, c in LIFE)]
    lines += ["", "## Recorded", "", "| service | what | in its stead |", "| --- | --- | --- |"]
    lines += [f"| {a} | {b} | {c} |" for a, b, c in RECORDED]
    lines += ["", "## Refused by name", "", "| service | what |", "| --- | --- |"]
    lines += [f"| {a} | {b} |" for a, b in REFUSED]
    lines += [
        "",
        "Every other operation of these services is moto's, which keeps what it is told: "
        + ", ".join(SERVICES)
        + ". A service in neither list answers 501.",
        "",
        "## CodePipeline's actions",
        "",
        *(f"- {category}: {provider}" for category, provider in PROVIDERS),
        "",
        "A pipeline with any other action is refused when it is made, by name. CloudFormation's",
        f"modes are {', '.join(MODES)}.",
        f"Conditions of stages have the rules {', '.join(sorted(RULES))}; another is refused by",
        "name, and so are triggers.",
        "",
        "## CloudFormation's resource types",
        "",
        *(f"- `{name}`" for name in sorted(HANDLERS)),
        "",
        "Any other type fails its stack by name.",
        "",
        "## Pulumi's resource types (`localcloud up`)",
        "",
        *(f"- `{name}`" for name in sorted(TYPES)),
        "",
        "Any other type, and any input that no API parameter takes, is refused by name. With the",
        "Pulumi CLI, `pulumi up` against the same address uses the real provider instead.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    import sys

    sys.stdout.write(document())
