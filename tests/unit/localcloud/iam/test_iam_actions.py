"""The permissions that requests need: the exceptions to `service:Operation`, by example."""

from __future__ import annotations

import json
from typing import Any

import pytest

from localcloud.aws.routing import Request, Scope
from localcloud.iam.actions import permissions, pull_of_image, use_of_connection, use_of_key
from localcloud.iam.permission import Permission
from localcloud.iam.requests import operation_of

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/service-authorization/latest/reference/reference.html"
)

SCOPE = Scope("111111111111", "eu-west-1")
SAGEMAKER = "arn:aws:sagemaker:eu-west-1:111111111111"
ROLE = "arn:aws:iam::111111111111:role/x"


def needed(service: str, operation: str, **parameters: Any) -> list[tuple[str, str | None]]:
    found = permissions(service, operation, parameters, SCOPE)
    return [(permission.action, permission.resource) for permission in found]


def test_an_operation_without_an_entry_needs_its_action_on_any_resource() -> None:
    assert needed("codebuild", "ImportSourceCredentials") == [
        ("codebuild:ImportSourceCredentials", None)
    ]


def test_builds_are_covered_by_the_policy_of_their_project() -> None:
    project = "arn:aws:codebuild:eu-west-1:111111111111:project/p"
    assert needed("codebuild", "StartBuild", projectName="p") == [("codebuild:StartBuild", project)]
    assert needed("codebuild", "StopBuild", id="p:1") == [("codebuild:StopBuild", project)]
    assert needed("codebuild", "BatchGetBuilds", ids=["p:1", "p:2", "q:3"]) == [
        ("codebuild:BatchGetBuilds", project),
        ("codebuild:BatchGetBuilds", project.replace("/p", "/q")),
    ]


def test_whoever_declares_a_pipeline_passes_its_role() -> None:
    declaration = {"name": "p", "roleArn": "arn:aws:iam::000000000000:role/pipeline"}
    for operation in ("CreatePipeline", "UpdatePipeline"):
        assert needed("codepipeline", operation, pipeline=declaration) == [
            (f"codepipeline:{operation}", "arn:aws:codepipeline:eu-west-1:111111111111:p"),
            ("iam:PassRole", declaration["roleArn"]),
        ]


@pytest.mark.parametrize("prefix", ["codeconnections", "codestar-connections"])
def test_whoever_declares_a_pipeline_passes_its_connections(prefix: str) -> None:
    arn = f"arn:aws:{prefix}:eu-west-1:111111111111:connection/1"
    source = {"name": "Source", "configuration": {"ConnectionArn": arn}}
    stages = [{"name": "Source", "actions": [source, {"name": "Other"}]}]
    parameters = {"pipeline": {"name": "p", "stages": stages}}
    found = permissions("codepipeline", "UpdatePipeline", parameters, SCOPE)
    context = {f"{prefix}:PassedToService": ("codepipeline.amazonaws.com",)}
    assert found[1:] == [Permission(f"{prefix}:PassConnection", arn, context)]
    used = use_of_connection(arn, "org/repo", "main")
    assert (used.action, used.resource) == (f"{prefix}:UseConnection", arn)
    assert used.context[f"{prefix}:FullRepositoryId"] == ("org/repo",)


def test_an_endpoint_is_made_of_itself_and_its_configuration() -> None:
    for operation in ("CreateEndpoint", "UpdateEndpoint"):
        assert needed("sagemaker", operation, EndpointName="E", EndpointConfigName="C") == [
            (f"sagemaker:{operation}", f"{SAGEMAKER}:endpoint/e"),
            (f"sagemaker:{operation}", f"{SAGEMAKER}:endpoint-config/c"),
        ]


def test_tags_of_a_new_resource_need_a_permission_of_their_own() -> None:
    tags = [{"Key": "a", "Value": "b"}]
    assert needed("sagemaker", "CreateModel", ModelName="m", Tags=tags) == [
        ("sagemaker:CreateModel", f"{SAGEMAKER}:model/m"),
        ("sagemaker:AddTags", f"{SAGEMAKER}:model/m"),
    ]


def test_the_alarms_that_bring_a_deployment_back_are_looked_at() -> None:
    rollback = {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}}
    found = needed("sagemaker", "UpdateEndpoint", EndpointName="e", DeploymentConfig=rollback)
    alarm = "arn:aws:cloudwatch:eu-west-1:111111111111:alarm:a"
    assert ("cloudwatch:DescribeAlarms", alarm) in found


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "receiver"),
    [
        ("sagemaker", "CreateTrainingJob", {"RoleArn": ROLE}, "sagemaker"),
        ("sagemaker", "CreateModel", {"ExecutionRoleArn": ROLE}, "sagemaker"),
        ("cloudformation", "CreateStack", {"StackName": "s", "RoleARN": ROLE}, "cloudformation"),
        ("cloudformation", "UpdateStack", {"StackName": "s", "RoleARN": ROLE}, "cloudformation"),
        (
            "cloudformation",
            "CreateChangeSet",
            {"StackName": "s", "ChangeSetName": "c", "RoleARN": ROLE},
            "cloudformation",
        ),
    ],
)
def test_a_role_is_handed_over_to_one_service(
    service: str, operation: str, parameters: dict[str, Any], receiver: str
) -> None:
    found = permissions(service, operation, parameters, SCOPE)
    context = {"iam:PassedToService": (f"{receiver}.amazonaws.com",)}
    assert Permission("iam:PassRole", ROLE, context) in found


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "expected"),
    [
        ("sagemaker-runtime", "InvokeEndpoint", {"EndpointName": "e"}, f"{SAGEMAKER}:endpoint/e"),
        (
            "cloudformation",
            "DescribeStacks",
            {"StackName": "s"},
            "arn:aws:cloudformation:eu-west-1:111111111111:stack/s/*",
        ),
        (
            "cloudformation",
            "DescribeStacks",
            {"StackName": "arn:aws:cloudformation:eu-west-1:111111111111:stack/s/1"},
            "arn:aws:cloudformation:eu-west-1:111111111111:stack/s/1",
        ),
        ("cloudformation", "DescribeStacks", {}, "*"),
        (
            "ssm",
            "GetParameter",
            {"Name": "/a/b"},
            "arn:aws:ssm:eu-west-1:111111111111:parameter/a/b",
        ),
        (
            "ssm",
            "GetParameter",
            {"Name": "a"},
            "arn:aws:ssm:eu-west-1:111111111111:parameter/a",
        ),
        ("codepipeline", "PutJobSuccessResult", {"jobId": "1"}, "*"),
        ("sns", "Publish", {"TopicArn": "arn:aws:sns:::t"}, "arn:aws:sns:::t"),
        ("sts", "AssumeRole", {"RoleArn": ROLE}, ROLE),
        (
            "logs",
            "PutLogEvents",
            {"logGroupName": "/g", "logStreamName": "s"},
            "arn:aws:logs:eu-west-1:111111111111:log-group:/g:log-stream:s",
        ),
        ("sagemaker", "DescribeModel", {}, None),
    ],
)
def test_an_operation_is_on_its_resource(
    service: str, operation: str, parameters: dict[str, Any], expected: str | None
) -> None:
    assert [resource for _, resource in needed(service, operation, **parameters)] == [expected]


def test_a_change_set_is_on_its_stack_and_told_apart_by_its_name() -> None:
    stack = "arn:aws:cloudformation:eu-west-1:111111111111:stack/s/*"
    context = {"cloudformation:ChangeSetName": ("c",)}
    for name in ("CreateChangeSet", "DeleteChangeSet", "DescribeChangeSet", "ExecuteChangeSet"):
        named = {"StackName": "s", "ChangeSetName": "c"}
        found = permissions("cloudformation", name, named, SCOPE)
        assert found == [Permission(f"cloudformation:{name}", stack, context)]
    assert needed("cloudformation", "ListChangeSets", StackName="s") == [
        ("cloudformation:ListChangeSets", stack)
    ]


def test_a_change_set_named_by_its_arn_does_not_say_whose_it_is() -> None:
    arn = "arn:aws:cloudformation:eu-west-1:111111111111:changeSet/c/1"
    found = permissions("cloudformation", "ExecuteChangeSet", {"ChangeSetName": arn}, SCOPE)
    context = {"cloudformation:ChangeSetName": ("c",)}
    assert found == [Permission("cloudformation:ExecuteChangeSet", None, context)]


def test_permission_to_publish_metrics_depends_on_the_namespace() -> None:
    assert permissions("cloudwatch", "PutMetricData", {"Namespace": "n"}, SCOPE) == [
        Permission("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": ("n",)})
    ]


def test_a_scaling_policy_needs_its_alarms_too() -> None:
    resource = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/e/variant/v"}
    made = needed(
        "application-autoscaling",
        "PutScalingPolicy",
        PolicyType="TargetTrackingScaling",
        **resource,
    )
    assert [action for action, _ in made] == [
        "application-autoscaling:PutScalingPolicy",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:PutMetricAlarm",
    ]
    registered = needed(
        "application-autoscaling", "RegisterScalableTarget", Tags={"a": "b"}, **resource
    )
    target = "arn:aws:application-autoscaling:eu-west-1:111111111111:scalable-target/*"
    assert registered == [
        ("application-autoscaling:RegisterScalableTarget", target),
        ("application-autoscaling:TagResource", target),
        ("sagemaker:DescribeEndpoint", f"{SAGEMAKER}:endpoint/e"),
        ("sagemaker:DescribeEndpointConfig", f"{SAGEMAKER}:endpoint-config/*"),
        ("sagemaker:UpdateEndpointWeightsAndCapacities", f"{SAGEMAKER}:endpoint/e"),
    ]


def test_pulling_an_image_takes_four_permissions() -> None:
    arn = "arn:aws:ecr:eu-west-1:111111111111:repository/r"
    assert [(p.action, p.resource) for p in pull_of_image(SCOPE, "r")] == [
        ("ecr:GetAuthorizationToken", "*"),
        ("ecr:BatchCheckLayerAvailability", arn),
        ("ecr:BatchGetImage", arn),
        ("ecr:GetDownloadUrlForLayer", arn),
    ]


def test_a_key_is_used_through_a_service() -> None:
    found = use_of_key("kms:Decrypt", "arn:aws:kms:::key/1", ("alias/a",), "s3", SCOPE)
    assert found.context == {
        "kms:ViaService": ("s3.eu-west-1.amazonaws.com",),
        "kms:ResourceAliases": ("alias/a",),
    }


def request(
    service: str, method: str, path: str, query: str = "", body: bytes = b"", **headers: str
) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, path, path, query, named, body, service, SCOPE)


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "expected"),
    [
        ("GET", "/b/k/l", "", {}, [("s3:GetObject", "b/k/l")]),
        ("HEAD", "/b/k", "", {}, [("s3:GetObject", "b/k")]),
        ("GET", "/b/k", "versionId=v", {}, [("s3:GetObjectVersion", "b/k")]),
        ("GET", "/b/k", "tagging", {}, [("s3:GetObjectTagging", "b/k")]),
        ("GET", "/b/k", "tagging&versionId=v", {}, [("s3:GetObjectVersionTagging", "b/k")]),
        ("GET", "/b", "list-type=2&prefix=p", {}, [("s3:ListBucket", "b")]),
        ("GET", "/b/", "", {}, [("s3:ListBucket", "b")]),
        ("HEAD", "/b", "", {}, [("s3:ListBucket", "b")]),
        ("GET", "/b", "versions", {}, [("s3:ListBucketVersions", "b")]),
        ("GET", "/b", "acl", {}, [("s3:GetBucketAcl", "b")]),
        ("GET", "/b", "versioning", {}, [("s3:GetBucketVersioning", "b")]),
        ("PUT", "/b", "versioning=", {}, [("s3:PutBucketVersioning", None)]),
        ("PUT", "/b/k", "", {}, [("s3:PutObject", "b/k")]),
        (
            "PUT",
            "/b/k",
            "",
            {"x_amz_tagging": "a=b"},
            [("s3:PutObject", "b/k"), ("s3:PutObjectTagging", "b/k")],
        ),
        ("POST", "/b/k", "uploads", {}, [("s3:PutObject", "b/k")]),
        ("DELETE", "/b/k", "", {}, [("s3:DeleteObject", "b/k")]),
        ("DELETE", "/b/k", "versionId=v", {}, [("s3:DeleteObjectVersion", "b/k")]),
        ("DELETE", "/b/k", "uploadId=u", {}, [("s3:AbortMultipartUpload", "b/k")]),
        (
            "PUT",
            "/b/k",
            "",
            {"x_amz_copy_source": "s/a%20b?versionId=v"},
            [("s3:GetObjectVersion", "s/a b"), ("s3:PutObject", "b/k")],
        ),
        (
            "PUT",
            "/b/k",
            "",
            {"x_amz_copy_source": "/s/a"},
            [("s3:GetObject", "s/a"), ("s3:PutObject", "b/k")],
        ),
    ],
)
def test_requests_of_s3_are_read(
    method: str,
    path: str,
    query: str,
    headers: dict[str, str],
    expected: list[tuple[str, str | None]],
) -> None:
    operation, parameters = operation_of(request("s3", method, path, query, b"", **headers))
    found = needed("s3", operation, **parameters)
    arns = [(a, f"arn:aws:s3:::{r}" if r is not None else None) for a, r in expected]
    assert found == arns


def test_requests_of_the_other_services_are_read() -> None:
    body = json.dumps({"TrainingJobName": "t"}).encode()
    target = "SageMaker.DescribeTrainingJob"
    assert operation_of(request("sagemaker", "POST", "/", body=body, x_amz_target=target)) == (
        "DescribeTrainingJob",
        {"TrainingJobName": "t"},
    )
    form = b"Action=Publish&TopicArn=arn:aws:sns:::t&Message=m"
    operation, parameters = operation_of(request("sns", "POST", "/", body=form))
    assert (operation, parameters["TopicArn"]) == ("Publish", "arn:aws:sns:::t")
    invoke = request("sagemaker-runtime", "POST", "/endpoints/e/invocations")
    assert operation_of(invoke) == ("InvokeEndpoint", {"EndpointName": "e"})
    path = "/2015-03-31/functions/f/invocations"
    assert operation_of(request("lambda", "POST", path)) == ("Invoke", {"FunctionName": "f"})
    smithy = request("cloudwatch", "POST", "/service/X/operation/ListMetrics")
    assert operation_of(smithy)[0] == "ListMetrics"


def test_an_operation_on_a_function_names_what_its_qualifier_names() -> None:
    arn = "arn:aws:lambda:eu-west-1:111111111111:function:f"
    for name in ("f", "111111111111:function:f", arn):
        for qualifier in ("1", "PROD"):
            assert needed("lambda", "Invoke", FunctionName=name, Qualifier=qualifier) == [
                ("lambda:InvokeFunction", f"{arn}:{qualifier}")
            ]
            assert needed("lambda", "Invoke", FunctionName=f"{name}:{qualifier}") == [
                ("lambda:InvokeFunction", f"{arn}:{qualifier}")
            ]
        assert needed("lambda", "PublishVersion", FunctionName=name) == [
            ("lambda:PublishVersion", arn)
        ]
    assert needed("lambda", "CreateFunction", FunctionName="f", Role=ROLE) == [
        ("lambda:CreateFunction", arn),
        ("iam:PassRole", ROLE),
    ]
    assert needed("lambda", "ListFunctions") == [("lambda:ListFunctions", "*")]
    assert needed("lambda", "GetFunction", FunctionName="no name") == [
        ("lambda:GetFunction", "arn:aws:lambda:eu-west-1:111111111111:function:*")
    ]


def test_a_request_to_lambda_names_its_operation_by_its_path() -> None:
    base = "/2015-03-31/functions"
    for method, path, expected in (
        ("GET", f"{base}/f/aliases/A", ("GetAlias", {"FunctionName": "f", "Name": "A"})),
        ("GET", f"{base}/f%3A1", ("GetFunction", {"FunctionName": "f:1"})),
        ("POST", f"{base}/f/versions", ("PublishVersion", {"FunctionName": "f"})),
        ("GET", f"{base}/", ("ListFunctions", {})),
        ("GET", "/2018-10-31/layers", ("ListLayers", {})),
    ):
        assert operation_of(request("lambda", method, path)) == expected
    by_arn = request("lambda", "GET", "/2018-10-31/layers", "find=LayerVersion&Arn=a")
    assert operation_of(by_arn)[0] == "GetLayerVersionByArn"
