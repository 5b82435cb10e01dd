"""Pulumi resource types: which AWS API calls make, change and delete each, and its outputs.

Most types are a row of the table: operations, the inputs' names where they differ from the API's
(the rest are matched by botocore's shapes), and the outputs. A type that is not here is refused by
name, and so is an input that no parameter takes: nothing is dropped in silence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from localcloud.deploy.archives import content_of, is_asset
from localcloud.deploy.errors import ResourceError
from localcloud.deploy.shapes import fitted

Inputs = dict[str, Any]
Outputs = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Aws:
    """What a resource type needs: clients, and where they point."""

    client: Callable[[str], Any]
    account: str
    region: str

    def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation with parameters fitted to its shape."""
        client = self.client(service)
        shape = client.meta.service_model.operation_model(
            client.meta.method_to_api_mapping[operation]
        ).input_shape
        result: dict[str, Any] = getattr(client, operation)(**fitted(shape, parameters))
        return result


@dataclass(frozen=True, slots=True)
class ResourceType:
    """How one Pulumi type is made.

    Attributes:
        create: makes it; returns its id and outputs.
        update: changes it in place; None when a change replaces it.
        delete: ends it.
        replaced_by: inputs whose change replaces it although `update` exists.
    """

    create: Callable[[Aws, Inputs], tuple[str, Outputs]]
    delete: Callable[[Aws, str, Outputs], None]
    update: Callable[[Aws, str, Inputs, Outputs], Outputs] | None = None
    replaced_by: frozenset[str] = field(default_factory=frozenset)


def _nothing(aws: Aws, id_: str, outputs: Outputs) -> None:
    """Delete nothing: the resource goes with its parent."""


def _put(
    service: str,
    operation: str,
    parameters: Callable[[Inputs], dict[str, Any]],
    key: Callable[[Inputs], str],
    *,
    delete: str = "",
    delete_parameters: Callable[[Outputs], dict[str, Any]] = lambda outputs: {
        "Bucket": outputs["bucket"]
    },
    replaced_by: frozenset[str] = frozenset({"bucket"}),
) -> ResourceType:
    """Return a type whose create and update are one idempotent put."""

    def create(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
        aws.call(service, operation, **parameters(inputs))
        return key(inputs), inputs

    def update(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
        del id_, outputs
        return create(aws, inputs)[1]

    def remove(aws: Aws, id_: str, outputs: Outputs) -> None:
        del id_
        aws.call(service, delete, **delete_parameters(outputs))

    return ResourceType(create, remove if delete else _nothing, update, replaced_by)


def _bucket_of(inputs: Inputs) -> str:
    return str(inputs["bucket"])


# S3.


def _create_bucket(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    name = inputs["bucket"]
    location = (
        {}
        if aws.region == "us-east-1"
        else {"CreateBucketConfiguration": {"LocationConstraint": aws.region}}
    )
    aws.call("s3", "create_bucket", Bucket=name, **location)
    return name, _update_bucket(aws, name, inputs, {})


def _update_bucket(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del outputs
    if inputs.get("tags"):
        aws.call("s3", "put_bucket_tagging", Bucket=id_, Tagging={"TagSet": _tags(inputs)})
    return {
        **inputs,
        "arn": f"arn:aws:s3:::{id_}",
        "bucketDomainName": f"{id_}.s3.amazonaws.com",
        "bucketRegionalDomainName": f"{id_}.s3.{aws.region}.amazonaws.com",
        "region": aws.region,
    }


def _delete_bucket(aws: Aws, id_: str, outputs: Outputs) -> None:
    if outputs.get("forceDestroy"):
        pages = aws.client("s3").get_paginator("list_object_versions").paginate(Bucket=id_)
        for page in pages:
            for entry in page.get("Versions", []) + page.get("DeleteMarkers", []):
                aws.call(
                    "s3",
                    "delete_object",
                    Bucket=id_,
                    Key=entry["Key"],
                    VersionId=entry["VersionId"],
                )
    aws.call("s3", "delete_bucket", Bucket=id_)


def _put_object(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    source = inputs.get("source")
    body = content_of(source) if is_asset(source) else str(inputs.get("content", "")).encode()
    optional = {"ContentType": inputs["contentType"]} if inputs.get("contentType") else {}
    answer = aws.call(
        "s3", "put_object", Bucket=inputs["bucket"], Key=inputs["key"], Body=body, **optional
    )
    outputs = {k: v for k, v in inputs.items() if k != "source"}
    outputs |= {"versionId": answer.get("VersionId", ""), "etag": answer["ETag"].strip('"')}
    return inputs["key"], outputs


def _update_object(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del id_, outputs
    return _put_object(aws, inputs)[1]


def _delete_object(aws: Aws, id_: str, outputs: Outputs) -> None:
    aws.call("s3", "delete_object", Bucket=outputs["bucket"], Key=id_)


def _notification(inputs: Inputs) -> dict[str, Any]:
    unknown = set(inputs) - {"bucket", "eventbridge"}
    if unknown:
        raise ResourceError(f"BucketNotification: {', '.join(sorted(unknown))} is not supported")
    configuration: dict[str, Any] = (
        {"EventBridgeConfiguration": {}} if inputs.get("eventbridge") else {}
    )
    return {"Bucket": inputs["bucket"], "NotificationConfiguration": configuration}


# IAM.


def _create_role(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    optional = {k: inputs[k] for k in ("description", "path", "maxSessionDuration") if k in inputs}
    answer = aws.call(
        "iam",
        "create_role",
        RoleName=inputs["name"],
        AssumeRolePolicyDocument=inputs["assumeRolePolicy"],
        Tags=_tags(inputs),
        **{key[0].upper() + key[1:]: value for key, value in optional.items()},
    )
    role = answer["Role"]
    return inputs["name"], {**inputs, "arn": role["Arn"], "uniqueId": role["RoleId"]}


def _update_role(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    aws.call(
        "iam",
        "update_assume_role_policy",
        RoleName=id_,
        PolicyDocument=inputs["assumeRolePolicy"],
    )
    aws.call("iam", "update_role", RoleName=id_, Description=inputs.get("description", ""))
    if inputs.get("tags"):
        aws.call("iam", "tag_role", RoleName=id_, Tags=_tags(inputs))
    return {**outputs, **inputs}


def _delete_role(aws: Aws, id_: str, outputs: Outputs) -> None:
    del outputs
    aws.call("iam", "delete_role", RoleName=id_)


# Lambda.


def _function_configuration(inputs: Inputs) -> dict[str, Any]:
    wanted = {
        "FunctionName": inputs["name"],
        "Role": inputs["role"],
        "Handler": inputs["handler"],
        "Runtime": inputs["runtime"],
        "Timeout": inputs.get("timeout", 3),
        "MemorySize": inputs.get("memorySize", 128),
        "Environment": {"Variables": (inputs.get("environment") or {}).get("variables", {})},
    }
    if inputs.get("description"):
        wanted["Description"] = inputs["description"]
    return wanted


def _create_function(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    answer = aws.call(
        "lambda",
        "create_function",
        Code={"ZipFile": content_of(inputs["code"])},
        Tags=inputs.get("tags") or {},
        **_function_configuration(inputs),
    )
    return inputs["name"], _function_outputs(aws, inputs, answer)


def _update_function(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del outputs
    aws.call("lambda", "update_function_configuration", **_function_configuration(inputs))
    answer = aws.call(
        "lambda", "update_function_code", FunctionName=id_, ZipFile=content_of(inputs["code"])
    )
    return _function_outputs(aws, inputs, answer)


def _function_outputs(aws: Aws, inputs: Inputs, answer: dict[str, Any]) -> Outputs:
    arn = f"arn:aws:lambda:{aws.region}:{aws.account}:function:{inputs['name']}"
    kept = {key: value for key, value in inputs.items() if key != "code"}
    return {
        **kept,
        "arn": arn,
        "qualifiedArn": f"{arn}:$LATEST",
        "invokeArn": f"arn:aws:apigateway:{aws.region}:lambda:path/2015-03-31/functions/{arn}"
        "/invocations",
        "codeSha256": answer["CodeSha256"],
        "version": "$LATEST",
    }


def _delete_function(aws: Aws, id_: str, outputs: Outputs) -> None:
    del outputs
    aws.call("lambda", "delete_function", FunctionName=id_)


# Logs, events, topics, repositories.


def _create_log_group(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    name = inputs["name"]
    aws.call("logs", "create_log_group", logGroupName=name, tags=inputs.get("tags") or {})
    return name, _update_log_group(aws, name, inputs, {})


def _update_log_group(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del outputs
    if inputs.get("retentionInDays"):
        aws.call(
            "logs",
            "put_retention_policy",
            logGroupName=id_,
            retentionInDays=inputs["retentionInDays"],
        )
    return {**inputs, "arn": f"arn:aws:logs:{aws.region}:{aws.account}:log-group:{id_}"}


def _delete_log_group(aws: Aws, id_: str, outputs: Outputs) -> None:
    del outputs
    aws.call("logs", "delete_log_group", logGroupName=id_)


def _put_rule(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    optional = {
        api: inputs[name]
        for name, api in (
            ("eventPattern", "EventPattern"),
            ("scheduleExpression", "ScheduleExpression"),
            ("description", "Description"),
            ("state", "State"),
        )
        if inputs.get(name)
    }
    answer = aws.call("events", "put_rule", Name=inputs["name"], Tags=_tags(inputs), **optional)
    return inputs["name"], {**inputs, "arn": answer["RuleArn"]}


def _update_rule(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del id_, outputs
    return _put_rule(aws, inputs)[1]


def _delete_rule(aws: Aws, id_: str, outputs: Outputs) -> None:
    del outputs
    aws.call("events", "delete_rule", Name=id_)


def _put_target(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    id_ = inputs["targetId"]
    target = {"Id": id_, "Arn": inputs["arn"]}
    for name, api in (("roleArn", "RoleArn"), ("input", "Input"), ("inputPath", "InputPath")):
        if inputs.get(name):
            target[api] = inputs[name]
    if inputs.get("inputTransformer"):
        transformer = inputs["inputTransformer"]
        target["InputTransformer"] = {
            "InputTemplate": transformer["inputTemplate"],
            "InputPathsMap": transformer.get("inputPaths", {}),
        }
    aws.call("events", "put_targets", Rule=inputs["rule"], Targets=[target])
    return f"{inputs['rule']}-{id_}", inputs


def _update_target(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del id_, outputs
    return _put_target(aws, inputs)[1]


def _delete_target(aws: Aws, id_: str, outputs: Outputs) -> None:
    del id_
    aws.call("events", "remove_targets", Rule=outputs["rule"], Ids=[outputs["targetId"]])


def _create_topic(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    answer = aws.call("sns", "create_topic", Name=inputs["name"], Tags=_tags(inputs))
    return answer["TopicArn"], {**inputs, "arn": answer["TopicArn"]}


def _delete_topic(aws: Aws, id_: str, outputs: Outputs) -> None:
    del outputs
    aws.call("sns", "delete_topic", TopicArn=id_)


def _subscribe(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    answer = aws.call(
        "sns",
        "subscribe",
        TopicArn=inputs["topic"],
        Protocol=inputs["protocol"],
        Endpoint=inputs["endpoint"],
        ReturnSubscriptionArn=True,
    )
    return answer["SubscriptionArn"], {**inputs, "arn": answer["SubscriptionArn"]}


def _unsubscribe(aws: Aws, id_: str, outputs: Outputs) -> None:
    del outputs
    aws.call("sns", "unsubscribe", SubscriptionArn=id_)


def _create_repository(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    optional: dict[str, Any] = {}
    for name in ("imageTagMutability", "imageScanningConfiguration"):
        if name in inputs:
            optional[name] = inputs[name]
    encryption = inputs.get("encryptionConfigurations") or []
    if encryption:
        optional["encryptionConfiguration"] = encryption[0]
    answer = aws.call(
        "ecr", "create_repository", repositoryName=inputs["name"], tags=_tags(inputs), **optional
    )
    repository = answer["repository"]
    return inputs["name"], {
        **inputs,
        "arn": repository["repositoryArn"],
        "registryId": repository["registryId"],
        "repositoryUrl": f"{aws.account}.dkr.ecr.{aws.region}.amazonaws.com/{inputs['name']}",
    }


def _update_repository(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    aws.call(
        "ecr",
        "put_image_tag_mutability",
        repositoryName=id_,
        imageTagMutability=inputs.get("imageTagMutability", "MUTABLE"),
    )
    return {**outputs, **inputs}


def _delete_repository(aws: Aws, id_: str, outputs: Outputs) -> None:
    force = bool(outputs.get("forceDelete"))
    aws.call("ecr", "delete_repository", repositoryName=id_, force=force)


# CodePipeline.


def _pipeline(inputs: Inputs) -> dict[str, Any]:
    """Return the declaration that the API takes for Pulumi's flattened inputs."""
    stores = inputs["artifactStores"]
    declaration: dict[str, Any] = {
        "name": inputs["name"],
        "roleArn": inputs["roleArn"],
        "pipelineType": inputs.get("pipelineType", "V1"),
        "executionMode": inputs.get("executionMode", "SUPERSEDED"),
        "stages": [
            {
                "name": stage["name"],
                "actions": [_action(action) for action in stage["actions"]],
            }
            for stage in inputs["stages"]
        ],
    }
    if len(stores) == 1 and not stores[0].get("region"):
        declaration["artifactStore"] = stores[0]
    else:
        declaration["artifactStores"] = {
            store["region"]: {k: v for k, v in store.items() if k != "region"} for store in stores
        }
    if inputs.get("variables"):
        declaration["variables"] = inputs["variables"]
    return declaration


def _action(action: dict[str, Any]) -> dict[str, Any]:
    kind = {key: action[key] for key in ("category", "owner", "provider", "version")}
    rest = {key: value for key, value in action.items() if key not in kind and value is not None}
    for key in ("inputArtifacts", "outputArtifacts"):
        if key in rest:
            rest[key] = [{"name": name} for name in rest[key]]
    return {"actionTypeId": kind, **rest}


def _create_pipeline(aws: Aws, inputs: Inputs) -> tuple[str, Outputs]:
    aws.call("codepipeline", "create_pipeline", pipeline=_pipeline(inputs), tags=_lower(inputs))
    arn = f"arn:aws:codepipeline:{aws.region}:{aws.account}:{inputs['name']}"
    return inputs["name"], {**inputs, "arn": arn}


def _update_pipeline(aws: Aws, id_: str, inputs: Inputs, outputs: Outputs) -> Outputs:
    del id_
    aws.call("codepipeline", "update_pipeline", pipeline=_pipeline(inputs))
    if inputs.get("tags"):
        aws.call("codepipeline", "tag_resource", resourceArn=outputs["arn"], tags=_lower(inputs))
    return {**outputs, **inputs}


def _delete_pipeline(aws: Aws, id_: str, outputs: Outputs) -> None:
    del outputs
    aws.call("codepipeline", "delete_pipeline", name=id_)


def _tags(inputs: Inputs) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in (inputs.get("tags") or {}).items()]


def _lower(inputs: Inputs) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in (inputs.get("tags") or {}).items()]


_NAME = frozenset({"name"})

TYPES: dict[str, ResourceType] = {
    "aws:s3/bucket:Bucket": ResourceType(
        _create_bucket, _delete_bucket, _update_bucket, frozenset({"bucket"})
    ),
    "aws:s3/bucketVersioning:BucketVersioning": _put(
        "s3",
        "put_bucket_versioning",
        lambda i: {
            "Bucket": i["bucket"],
            "VersioningConfiguration": {"Status": i["versioningConfiguration"]["status"]},
        },
        _bucket_of,
    ),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _put(
        "s3",
        "put_bucket_encryption",
        lambda i: {
            "Bucket": i["bucket"],
            "ServerSideEncryptionConfiguration": {"Rules": i["rules"]},
        },
        _bucket_of,
        delete="delete_bucket_encryption",
    ),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _put(
        "s3",
        "put_public_access_block",
        lambda i: {
            "Bucket": i["bucket"],
            "PublicAccessBlockConfiguration": {k: v for k, v in i.items() if k != "bucket"},
        },
        _bucket_of,
        delete="delete_public_access_block",
    ),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _put(
        "s3",
        "put_bucket_ownership_controls",
        lambda i: {"Bucket": i["bucket"], "OwnershipControls": {"Rules": [i["rule"]]}},
        _bucket_of,
        delete="delete_bucket_ownership_controls",
    ),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _put(
        "s3",
        "put_bucket_lifecycle_configuration",
        lambda i: {"Bucket": i["bucket"], "LifecycleConfiguration": {"Rules": i["rules"]}},
        _bucket_of,
        delete="delete_bucket_lifecycle",
    ),
    "aws:s3/bucketPolicy:BucketPolicy": _put(
        "s3",
        "put_bucket_policy",
        lambda i: {"Bucket": i["bucket"], "Policy": i["policy"]},
        _bucket_of,
        delete="delete_bucket_policy",
    ),
    "aws:s3/bucketNotification:BucketNotification": _put(
        "s3", "put_bucket_notification_configuration", _notification, _bucket_of
    ),
    "aws:s3/bucketObjectv2:BucketObjectv2": ResourceType(
        _put_object, _delete_object, _update_object, frozenset({"bucket", "key"})
    ),
    "aws:iam/role:Role": ResourceType(_create_role, _delete_role, _update_role, _NAME),
    "aws:iam/rolePolicy:RolePolicy": _put(
        "iam",
        "put_role_policy",
        lambda i: {
            "RoleName": i["role"],
            "PolicyName": i["name"],
            "PolicyDocument": i["policy"],
        },
        lambda i: f"{i['role']}:{i['name']}",
        delete="delete_role_policy",
        delete_parameters=lambda o: {"RoleName": o["role"], "PolicyName": o["name"]},
        replaced_by=frozenset({"role", "name"}),
    ),
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": _put(
        "iam",
        "attach_role_policy",
        lambda i: {"RoleName": i["role"], "PolicyArn": i["policyArn"]},
        lambda i: f"{i['role']}-{i['policyArn']}",
        delete="detach_role_policy",
        delete_parameters=lambda o: {"RoleName": o["role"], "PolicyArn": o["policyArn"]},
        replaced_by=frozenset({"role", "policyArn"}),
    ),
    "aws:lambda/function:Function": ResourceType(
        _create_function, _delete_function, _update_function, _NAME
    ),
    "aws:lambda/permission:Permission": _put(
        "lambda",
        "add_permission",
        lambda i: {
            "FunctionName": i["function"],
            "StatementId": i["statementId"],
            "Action": i["action"],
            "Principal": i["principal"],
            **({"SourceArn": i["sourceArn"]} if i.get("sourceArn") else {}),
        },
        lambda i: str(i["statementId"]),
        delete="remove_permission",
        delete_parameters=lambda o: {
            "FunctionName": o["function"],
            "StatementId": o["statementId"],
        },
        replaced_by=frozenset({"function", "statementId", "action", "principal", "sourceArn"}),
    ),
    "aws:cloudwatch/logGroup:LogGroup": ResourceType(
        _create_log_group, _delete_log_group, _update_log_group, _NAME
    ),
    "aws:cloudwatch/eventRule:EventRule": ResourceType(
        _put_rule, _delete_rule, _update_rule, _NAME
    ),
    "aws:cloudwatch/eventTarget:EventTarget": ResourceType(
        _put_target, _delete_target, _update_target, frozenset({"rule", "targetId"})
    ),
    "aws:sns/topic:Topic": ResourceType(_create_topic, _delete_topic),
    "aws:sns/topicSubscription:TopicSubscription": ResourceType(_subscribe, _unsubscribe),
    "aws:ecr/repository:Repository": ResourceType(
        _create_repository, _delete_repository, _update_repository, _NAME
    ),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": _put(
        "ecr",
        "put_lifecycle_policy",
        lambda i: {"repositoryName": i["repository"], "lifecyclePolicyText": i["policy"]},
        lambda i: str(i["repository"]),
        delete="delete_lifecycle_policy",
        delete_parameters=lambda o: {"repositoryName": o["repository"]},
        replaced_by=frozenset({"repository"}),
    ),
    "aws:codepipeline/pipeline:Pipeline": ResourceType(
        _create_pipeline, _delete_pipeline, _update_pipeline, _NAME
    ),
}
