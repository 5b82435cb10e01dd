"""The operations that are implemented, read from the code.

`localcloud operations` shows them, and `python -m localcloud.edge.coverage` prints
docs/operations.md. A test compares the file with what this module prints.
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
from localcloud.moto_backend.dropped_members import DROPPED

# botocore's name of each service that this project implements → the classes that implement it.
LIVE: dict[str, tuple[type, ...]] = {
    name: classes for service in LIVE_SERVICES for name, classes in service.API_CLASSES.items()
}

# Services of which moto answers the operations that LIVE does not have.
PARTLY_LIVE = frozenset(LIVE) & frozenset(SERVICES)

# Accepted and returned, but without an effect: (service, what, what happens instead).
RECORDED = (
    ("sagemaker", "RollbackMaximumBatchSize", "a rollback shifts all traffic at once"),
    (
        "sagemaker",
        "Strategy Bayesian, TrainingJobEarlyStoppingType",
        "Random is used; each job runs to its end",
    ),
    ("sagemaker", "metrics, cards and lifecycle of a model package", "stored"),
    (
        "sagemaker",
        "instance types, volumes, VpcConfig, KMS keys",
        "every instance is a process on this machine; an image of the other architecture fails",
    ),
    (
        "sagemaker",
        "EnableNetworkIsolation",
        "no credentials, and on Linux no network for jobs; an endpoint's network stays open",
    ),
    ("sagemaker", "EnableManagedSpotTraining, RetryStrategy", "a job runs once"),
    ("sagemaker", "InstanceCount and CheckpointConfig of training", "one instance, no checkpoints"),
    (
        "sagemaker",
        "the seconds of MaxRuntimeInSeconds, of health checks and of an invocation",
        "measured in wall-clock time, because processes really compute",
    ),
    (
        "sagemaker",
        "OutOfService, SystemUpdating, UpdateRollbackFailed, ModelNotReadyException",
        "never occur",
    ),
    ("cloudformation", "NotificationARNs, stack policies", "stored"),
    (
        "codepipeline",
        "Cancelled, when a pipeline is updated",
        "never occurs: an execution ends with the declaration that it started with",
    ),
    (
        "codepipeline",
        "entityUrl, revisionUrl, externalExecutionUrl",
        "absent, because there is no console",
    ),
    ("codepipeline", "a rule's timeoutInMinutes", "ignored: a rule ends by itself"),
    ("iam", "users' policies", "simulated only: an account's own keys may do everything"),
    (
        "lambda",
        "EphemeralStorage, VpcConfig, Architectures, the version of Python",
        "the handler runs in this environment's Python, with its disk",
    ),
    ("lambda", "MemorySize", "a limit of the handler's own process; on macOS none"),
    ("lambda", "TracingConfig, KMSKeyArn", "stored"),
    ("lambda", "SystemLogLevel", "START, END and REPORT are always logged, as text"),
    (
        "ecr",
        "image scans",
        "complete and find nothing, because there is no database of vulnerabilities",
    ),
    ("ecr", "lifecycle policies", "stored"),
    (
        "codebuild",
        "images, compute types, VPC, caches, reports",
        "a build runs as processes on this machine",
    ),
    ("logs", "retention", "stored; nothing expires by itself"),
    ("s3", "lifecycle, encryption, replication", "stored; nothing expires by itself"),
    (
        "cloudwatch",
        "functions of metric math",
        "stored in an alarm, which keeps its state; refused by name in GetMetricData",
    ),
    ("cloudwatch", "percentiles", "accurate within 2.5 percent; statistic sets have none"),
    (
        "codecommit",
        "approval rule templates",
        "stored: there are no pull requests, which are refused by name",
    ),
    ("sns", "email subscriptions", "stored; no email is sent"),
    ("sns", "logs of deliveries, tracing", "stored; nothing is written"),
    ("sqs", "visibility timeouts and delays", "measured in wall-clock time"),
)

# Refused by name: parameters of operations that are implemented.
REFUSED = (
    ("codeconnections", "hosts, repository links, syncs; codestar-connections, the former name"),
    ("lambda", "container images, runtimes other than Python, SnapStart, file systems"),
    ("lambda", "code signing, tenants, capacity providers, durable functions"),
    ("sagemaker", "tuning: Hyperband, warm starts, Autotune, several definitions, convergence"),
    ("sagemaker", "training: Pipe mode, file systems, augmented manifests, AWS's own algorithms"),
    ("sagemaker", "transform: RecordIO, TFRecord, augmented manifests, DataCaptureConfig"),
    ("sagemaker", "hosting: serverless, inference components, several containers, multi-model"),
    ("sagemaker", "model packages: validation, algorithms as source, the marketplace"),
)

# Behavior that this project adds to what moto only stores: (service, what, what happens).
LIFE = (
    (
        "lambda",
        "Invoke",
        "runs the zip of a version, with its layers, under AWS's own runtime client, and ends it "
        "at its timeout; an alias of two versions gives one by its weight",
    ),
    (
        "lambda",
        "asynchronous invocations",
        "are retried, and reach dead letters and destinations",
    ),
    ("s3", "object created", "the event reaches EventBridge if the bucket's notifications are on"),
    (
        "events",
        "a rule that matches, or whose schedule is due",
        "reaches pipelines, builds, functions, topics, queues, log groups and event buses",
    ),
    (
        "cloudwatch",
        "metric and composite alarms",
        "are evaluated: M of N, missing data, p99, arithmetic, rules, suppressors. They have a "
        "history, call scaling policies and topics, and send each change to EventBridge",
    ),
    (
        "sagemaker",
        "DeploymentConfig",
        "traffic shifts in steps with a baking period; an alarm rolls it back",
    ),
    (
        "sagemaker",
        "DataCaptureConfig",
        "a sample of requests and responses is written to S3 as JSON lines",
    ),
    (
        "sagemaker",
        "ShadowProductionVariants",
        "get copies of requests, by weight; their responses are discarded",
    ),
    ("sagemaker", "jobs, endpoints and packages that change", "send events to EventBridge"),
    ("sagemaker", "ModelPackageName of a model", "runs the package, once it is approved"),
    (
        "iam",
        "policies of roles, boundaries, sessions and resources",
        "are compared with each role's calls, and enforced by `--iam enforce`",
    ),
    ("sts", "AssumeRole", "returns keys that act as the role, in the role's account"),
    (
        "codecommit",
        "git push, git clone",
        "work at the clone URL; a push sends an event to EventBridge",
    ),
    (
        "codeconnections",
        "a connection",
        "is PENDING until `localcloud connection authorize` makes it AVAILABLE, as a person does "
        "in the console; a push to a repository behind it starts the pipelines that follow it",
    ),
    (
        "codebuild",
        "builds",
        "run the buildspec's phases, with a `docker` that builds from the Dockerfile",
    ),
    ("logs", "log groups", "contain the lines of training jobs, endpoints and functions"),
)


def implemented() -> dict[str, list[str]]:
    """Return the operations that this project implements, by service."""
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
    """Return the operations of botocore's model that this project does not implement."""
    return sorted(set(service_model(service).operation_names) - set(implemented()[service]))


def document() -> str:
    """Return docs/operations.md."""
    lines = [
        "# What the local cloud does",
        "",
        "`make docs` writes this page from the code, and a test compares the two. *Real*",
        "operations do what they do on AWS. *Recorded* parameters are stored and returned, but",
        "have no other effect. Every other operation answers **501** with its name; none succeeds",
        "silently.",
        "",
        "## Real: services of this project",
        "",
        "| service | operations | other operations |",
        "| --- | --- | --- |",
    ]
    for service, names in implemented().items():
        rest = "moto answers" if service in SERVICES else f"501 ({len(missing(service))})"
        lines.append(f"| {service} | {', '.join(names)} | {rest} |")
    lines += ["", "## Real: moto services with added behaviour", "", "| service | what | effect |"]
    lines += ["| --- | --- | --- |", *(f"| {a} | {b} | {c} |" for a, b, c in LIFE)]
    lines += ["", "## Recorded", "", "| service | what | instead |", "| --- | --- | --- |"]
    lines += [f"| {a} | {b} | {c} |" for a, b, c in RECORDED]
    lines += ["", "## Refused by name", "", "| service | what |", "| --- | --- |"]
    lines += [f"| {a} | {b} |" for a, b in REFUSED]
    lines += ["| s3 | subresources that moto lacks, keys of the customer, event holds, appending |"]
    for name, members in sorted(DROPPED.items()):
        service, _, operation = name.partition(":")
        lines += [f"| {service} | {operation}: {', '.join(members)} |"]
    lines += [
        "",
        "moto answers every other operation of these services, and stores what it is given: "
        + ", ".join(SERVICES)
        + ". A service in neither list answers 501.",
        "",
        "## CodePipeline's actions",
        "",
        *(f"- {category}: {provider}" for category, provider in PROVIDERS),
        "",
        "CreatePipeline refuses any other action by name, and any trigger. CloudFormation actions",
        f"have the modes {', '.join(MODES)}.",
        f"A condition of a stage may have the rules {', '.join(sorted(RULES))}; any other rule is",
        "refused by name.",
        "",
        "## CloudFormation's resource types",
        "",
        *(f"- `{name}`" for name in sorted(HANDLERS)),
        "",
        "A template with any other type is refused by name. A property without effect here fails",
        "its resource by name.",
        "",
        "## Pulumi's resource types (`localcloud up`)",
        "",
        *(f"- `{name}`" for name in sorted(TYPES)),
        "",
        "Any other type is refused by name, and so is an input that no API parameter takes. With",
        "the Pulumi CLI, `pulumi up` against the same address uses the real provider instead.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    import sys

    sys.stdout.write(document())
