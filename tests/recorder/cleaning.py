"""Deletion of what a recording creates: written down before the call, deleted after the test.

The journal is a file, so that a recording that is killed is cleaned up by the next one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, WaiterError

# Codes of AWS for what is not there (any more).
_GONE = (
    "NotFound",
    "NoSuch",
    "NonExistent",
    "DoesNotExist",
    "Could not find",
    "does not exist",
    "not found",
    "RepositoryNotFound",
)

Undo = Callable[[Any, str], None]


def _simply(method: str, member: str, **more: Any) -> Undo:
    return lambda client, name: getattr(client, method)(**{member: name}, **more)


def _rule(client: Any, name: str) -> None:
    targets = client.list_targets_by_rule(Rule=name)["Targets"]
    if targets:
        client.remove_targets(Rule=name, Ids=[target["Id"] for target in targets])
    client.delete_rule(Name=name)


def _bucket(client: Any, name: str) -> None:
    for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
        for each in page.get("Versions", []) + page.get("DeleteMarkers", []):
            client.delete_object(Bucket=name, Key=each["Key"], VersionId=each["VersionId"])
    client.delete_bucket(Bucket=name)


def _role(client: Any, name: str) -> None:
    for policy in client.list_role_policies(RoleName=name)["PolicyNames"]:
        client.delete_role_policy(RoleName=name, PolicyName=policy)
    for policy in client.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        client.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    client.delete_role(RoleName=name)


def _stack(client: Any, name: str) -> None:
    client.describe_stacks(StackName=name)
    client.delete_stack(StackName=name)
    waiter = client.get_waiter("stack_delete_complete")
    waiter.wait(StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 900})


def _endpoint(client: Any, name: str) -> None:
    # One that is being created cannot be deleted.
    client.describe_endpoint(EndpointName=name)
    try:
        waiter = client.get_waiter("endpoint_in_service")
        waiter.wait(EndpointName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 1800})
    except WaiterError:  # it failed, which can be deleted
        pass
    client.delete_endpoint(EndpointName=name)


def _topic(client: Any, name: str) -> None:
    for page in client.get_paginator("list_topics").paginate():
        for topic in page["Topics"]:
            if topic["TopicArn"].rpartition(":")[2] == name:
                client.delete_topic(TopicArn=topic["TopicArn"])


def _queue(client: Any, name: str) -> None:
    client.delete_queue(QueueUrl=client.get_queue_url(QueueName=name)["QueueUrl"])


def _job(client: Any, name: str) -> None:
    status = client.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]
    if status == "InProgress":
        client.stop_training_job(TrainingJobName=name)


# Each operation that creates something → the deletion of it. A training job cannot be deleted.
UNDO: dict[tuple[str, str], Undo] = {
    ("cloudformation", "CreateStack"): _stack,
    ("cloudformation", "CreateChangeSet"): _stack,
    ("cloudwatch", "PutMetricAlarm"): lambda c, name: c.delete_alarms(AlarmNames=[name]),
    ("codebuild", "CreateProject"): _simply("delete_project", "name"),
    ("codecommit", "CreateRepository"): _simply("delete_repository", "repositoryName"),
    ("codepipeline", "CreatePipeline"): _simply("delete_pipeline", "name"),
    ("ecr", "CreateRepository"): _simply("delete_repository", "repositoryName", force=True),
    ("events", "PutRule"): _rule,
    ("iam", "CreateRole"): _role,
    ("lambda", "CreateFunction"): _simply("delete_function", "FunctionName"),
    ("logs", "CreateLogGroup"): _simply("delete_log_group", "logGroupName"),
    ("s3", "CreateBucket"): _bucket,
    ("sagemaker", "CreateModel"): _simply("delete_model", "ModelName"),
    ("sagemaker", "CreateEndpointConfig"): _simply("delete_endpoint_config", "EndpointConfigName"),
    ("sagemaker", "CreateEndpoint"): _endpoint,
    ("sagemaker", "CreateModelPackageGroup"): _simply(
        "delete_model_package_group", "ModelPackageGroupName"
    ),
    ("sagemaker", "CreateTrainingJob"): _job,
    ("secretsmanager", "CreateSecret"): _simply(
        "delete_secret", "SecretId", ForceDeleteWithoutRecovery=True
    ),
    ("sns", "CreateTopic"): _topic,
    ("sqs", "CreateQueue"): _queue,
    ("ssm", "PutParameter"): _simply("delete_parameter", "Name"),
}


class Journal:
    """The resources that a recording may have created and has not deleted, in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        # One entry a line: service, operation, name, and the account that has it.
        self.entries: list[tuple[str, str, str, str]] = []
        if path.exists():
            for line in path.read_text().splitlines():
                service, operation, name, account = json.loads(line)
                self.entries.append((service, operation, name, account))

    def add(self, service: str, operation: str, name: str, account: str) -> bool:
        """Write a resource down, before it is created; return whether it is a new one."""
        entry = (service, operation, name, account)
        if entry in self.entries:
            return False
        self.entries.append(entry)
        self._write()
        return True

    def forget(self, service: str, operation: str, name: str, account: str) -> None:
        """Strike a resource out that AWS refused to create."""
        self.entries.remove((service, operation, name, account))
        self._write()

    def clean(self, client_of: Callable[[str], Any], account: str) -> list[str]:
        """Delete everything of an account, the newest first; return what could not be deleted.

        Each problem is a text with the resource and AWS's reason. The resource stays in the
        journal.
        """
        problems = []
        for entry in reversed(list(self.entries)):
            service, operation, name, owner = entry
            if owner != account:
                continue
            try:
                UNDO[service, operation](client_of(service), name)
            except ClientError as error:
                text = f"{error.response['Error']['Code']} {error.response['Error']['Message']}"
                if not any(gone in text for gone in _GONE) and not _invalid(text):
                    problems.append(f"{service} {name} ({operation}): {text}")
                    continue
            except BotoCoreError as error:
                if type(error).__name__ != "ParamValidationError":
                    problems.append(f"{service} {name} ({operation}): {error}")
                    continue
            self.entries.remove(entry)
            self._write()
        return problems

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = "".join(json.dumps(entry) + "\n" for entry in self.entries)
        new = self._path.with_suffix(".new")
        new.write_text(text)
        new.replace(self._path)


def _invalid(text: str) -> bool:
    """Return whether AWS says that a name can be nobody's: then nothing was created with it."""
    return "failed to satisfy constraint" in text or text.startswith("InvalidInput")
