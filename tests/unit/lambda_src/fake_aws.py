"""A fake AWS for the handlers: real boto3 clients, whose calls end here instead of the network.

botocore still checks every request against its service model, so a call that AWS would
refuse by shape fails here too.
"""

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.loaders
import botocore.session

# Service models are parsed once for all tests.
_LOADER = botocore.loaders.create_loader()

REGION = "us-east-1"
ACCOUNT = "123456789012"
DIGEST = "sha256:" + "a" * 64
IMAGE_URI = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/iris-model@{DIGEST}"
CREDENTIALS = {"accessKeyId": "artifact", "secretAccessKey": "secret", "sessionToken": "token"}
JOB_ID = "11111111-2222-3333-4444-555555555555"
EXECUTION_ID = "abcdef01-2222-3333-4444-555555555555"
ANSWERS = ("PutJobSuccessResult", "PutJobFailureResult")


class AwsError(Exception):
    """Raised by a fake operation to return an error."""

    def __init__(self, code: str, message: str = "", status: int = 400) -> None:
        super().__init__(code, message, status)
        self.code, self.message, self.status = code, message, status


@dataclass
class Call:
    """One request as the handler made it."""

    operation: str
    params: dict[str, Any]
    access_key: str


@dataclass
class FakeAws:
    """Operations that answer from ``objects``, ``training_jobs`` and ``endpoint``."""

    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    missing_buckets: set[str] = field(default_factory=set)
    image_tags: list[str] = field(default_factory=lambda: ["0123456789ab-7", "latest"])
    training_jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    processing_jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    # The versions of the model, the newest last, in the shape of DescribeModelPackage.
    packages: list[dict[str, Any]] = field(default_factory=list)
    # The policy of the model's group.
    group_policy: str = ""
    # The actions of the execution, the newest first, in the shape of ListActionExecutions.
    actions: list[dict[str, Any]] = field(default_factory=list)
    # The executions of the pipeline, the newest first, as in ListPipelineExecutions.
    executions: list[dict[str, Any]] = field(default_factory=list)
    parameters: dict[str, str] = field(
        default_factory=lambda: {"/mlops/iris-model/image": IMAGE_URI}
    )
    endpoint: Callable[[str], str] = lambda rows: rows
    # The configuration that the endpoint has, and the tags of its model.
    config: str = "deployed"
    tags: dict[str, str] = field(default_factory=dict)
    # When each object was written, by key; the others long ago.
    written: dict[str, datetime] = field(default_factory=dict)
    # Errors to return instead of answers, by operation.
    errors: dict[str, Exception] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def install(self) -> None:
        """Replace boto3's default session."""
        session = botocore.session.Session()
        session.register_component("data_loader", _LOADER)
        session.set_config_variable("region", REGION)
        session.set_credentials("function", "secret")
        pending: list[dict[str, Any]] = []

        def remember(**event: Any) -> None:
            pending.append(event["params"])

        def answer(**event: Any) -> Any:
            operation = event["model"].name
            access_key = event["request_signer"]._credentials.access_key
            self.calls.append(Call(operation, dict(pending[-1]), access_key))
            try:
                return SimpleNamespace(status_code=200, headers={}), self._operate(
                    operation, pending[-1]
                )
            except AwsError as error:
                body = {"Error": {"Code": error.code, "Message": error.message}}
                return SimpleNamespace(status_code=error.status, headers={}), body

        session.register("before-parameter-build", remember)
        session.register("before-call", answer)
        boto3.setup_default_session(botocore_session=session)

    def made(self, operation: str) -> list[dict[str, Any]]:
        """Return the parameters of every call of an operation."""
        return [call.params for call in self.calls if call.operation == operation]

    def answers(self) -> list[tuple[str, dict[str, Any]]]:
        """Return the results that were reported to CodePipeline."""
        return [(c.operation, c.params) for c in self.calls if c.operation in ANSWERS]

    def success(self) -> dict[str, Any]:
        """Return the only reported result, which must be a success."""
        ((operation, params),) = self.answers()
        assert operation == "PutJobSuccessResult", params
        return params

    def failure(self) -> tuple[str, str]:
        """Return type and message of the only reported result, which must be a failure."""
        ((operation, params),) = self.answers()
        assert operation == "PutJobFailureResult", params
        details = params["failureDetails"]
        return details["type"], details["message"]

    def _operate(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if operation in self.errors:
            raise self.errors[operation]
        found: dict[str, Any] = getattr(self, f"_{operation}")(params)
        return found

    # The operations, under their AWS names.

    def _PutJobSuccessResult(self, _: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {}

    _PutJobFailureResult = _PutJobSuccessResult

    def _GetObject(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        key = (params["Bucket"], params["Key"])
        if key not in self.objects:
            raise AwsError("NoSuchKey", "The specified key does not exist.", 404)
        content = self.objects[key]
        if "Range" in params:
            first, _, last = params["Range"].removeprefix("bytes=").partition("-")
            content = content[int(first) : int(last) + 1]
        return {"Body": io.BytesIO(content)}

    def _HeadObject(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        key = (params["Bucket"], params["Key"])
        if key not in self.objects:
            raise AwsError("404", "Not Found", 404)
        return {"ContentLength": len(self.objects[key])}

    def _ListObjectsV2(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        """Answer in pages of two, which S3 gives in the order of the keys."""
        prefix, delimiter = params.get("Prefix", ""), params.get("Delimiter")
        if params["Bucket"] in self.missing_buckets:
            raise AwsError("NoSuchBucket", "The specified bucket does not exist", 404)
        found: dict[str, dict[str, Any]] = {}
        old = datetime(2000, 1, 1, tzinfo=UTC)
        for (bucket, key), content in sorted(self.objects.items()):
            if bucket == params["Bucket"] and key.startswith(prefix):
                rest = key[len(prefix) :]
                if delimiter and delimiter in rest:
                    folder = prefix + rest.partition(delimiter)[0] + delimiter
                    found[folder] = {"Prefix": folder}
                else:
                    when = self.written.get(key, old)
                    found[key] = {"Key": key, "Size": len(content), "LastModified": when}
        names = [name for name in found if name > params.get("ContinuationToken", "")]
        page, more = names[:2], names[2:]
        return {
            "CommonPrefixes": [found[name] for name in page if "Prefix" in found[name]],
            "Contents": [found[name] for name in page if "Key" in found[name]],
            "IsTruncated": bool(more),
            **({"NextContinuationToken": page[-1]} if more else {}),
        }

    def _DescribeEndpoint(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"EndpointName": params["EndpointName"], "EndpointConfigName": self.config}

    def _DescribeEndpointConfig(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        assert params["EndpointConfigName"] == self.config
        return {"ProductionVariants": [{"ModelName": "served"}]}

    def _DescribeModel(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"ModelArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model/{params['ModelName']}"}

    def _ListTags(self, _: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()]}

    def _ListProcessingJobs(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        named = [n for n in self.processing_jobs if params["NameContains"] in n]
        return {
            "ProcessingJobSummaries": [
                {**self.processing_jobs[name], "ProcessingJobName": name} for name in named[::-1]
            ]
        }

    def _PutMetricData(self, _: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {}

    def _PutObject(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        body = params["Body"]
        content = body if isinstance(body, bytes) else body.read()
        self.objects[params["Bucket"], params["Key"]] = content
        return {}

    def _GetParameter(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        if params["Name"] not in self.parameters:
            raise AwsError("ParameterNotFound", "no such parameter")
        return {"Parameter": {"Value": self.parameters[params["Name"]]}}

    def _AssumeRole(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {
            "Credentials": {
                "AccessKeyId": f"as {params['RoleArn']}",
                "SecretAccessKey": "secret",
                "SessionToken": "token",
            }
        }

    def _CreateTrainingJob(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        if params["TrainingJobName"] in self.training_jobs:
            raise AwsError("ResourceInUse", "Training job names must be unique")
        self.training_jobs[params["TrainingJobName"]] = {"TrainingJobStatus": "InProgress"}
        return {}

    def _DescribeTrainingJob(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self.training_jobs[params["TrainingJobName"]]

    def _CreateProcessingJob(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        if params["ProcessingJobName"] in self.processing_jobs:
            raise AwsError("ResourceInUse", "Processing job names must be unique")
        self.processing_jobs[params["ProcessingJobName"]] = {"ProcessingJobStatus": "InProgress"}
        return {}

    def _DescribeProcessingJob(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self.processing_jobs[params["ProcessingJobName"]]

    def _CreateModelPackageGroup(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"ModelPackageGroupArn": f"arn:group/{params['ModelPackageGroupName']}"}

    def _CreateModelPackage(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        number = len(self.packages) + 1
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model-package/iris-model/{number}"
        kept = {key: value for key, value in params.items() if key != "ClientToken"}
        self.packages.append({**kept, "ModelPackageArn": arn})
        return {"ModelPackageArn": arn}

    def _ListModelPackages(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        wanted = [
            p for p in self.packages if p["ModelApprovalStatus"] == params["ModelApprovalStatus"]
        ]
        newest = wanted[::-1] if params.get("SortOrder") == "Descending" else wanted
        return {"ModelPackageSummaryList": newest[: params.get("MaxResults")]}

    def _DescribeModelPackage(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        (found,) = (p for p in self.packages if p["ModelPackageArn"] == params["ModelPackageName"])
        return found

    def _UpdateModelPackage(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        (found,) = (p for p in self.packages if p["ModelPackageArn"] == params["ModelPackageArn"])
        kept = found.get("CustomerMetadataProperties", {})
        found.update(params)
        found["CustomerMetadataProperties"] = kept | params.get("CustomerMetadataProperties", {})
        return {"ModelPackageArn": found["ModelPackageArn"]}

    def _DescribeImages(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        digest = params["imageIds"][0]["imageDigest"]
        return {"imageDetails": [{"imageDigest": digest, "imageTags": list(self.image_tags)}]}

    def _PutModelPackageGroupPolicy(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.group_policy = params["ResourcePolicy"]
        return {"ModelPackageGroupArn": f"arn:group/{params['ModelPackageGroupName']}"}

    def _ListActionExecutions(self, _: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"actionExecutionDetails": self.actions}

    def _ListPipelineExecutions(self, _: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"pipelineExecutionSummaries": [dict(one) for one in self.executions]}

    def _GetPipelineExecution(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        wanted = params["pipelineExecutionId"]
        (found,) = (e for e in self.executions if e["pipelineExecutionId"] == wanted)
        return {"pipelineExecution": found}

    def _StartPipelineExecution(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        del params
        return {"pipelineExecutionId": "started"}

    def _InvokeEndpoint(self, params: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"Body": io.BytesIO(self.endpoint(params["Body"].decode()).encode())}


def location(name: str, key: str) -> dict[str, Any]:
    """Return an artifact of the store as CodePipeline describes it."""
    s3_location = {"bucketName": "artifacts", "objectKey": key}
    return {"name": name, "location": {"type": "S3", "s3Location": s3_location}}


def pipeline_event(
    parameters: Any,
    *,
    outputs: bool = False,
    continuation: str | None = None,
    encryption_key: str | None = None,
) -> dict[str, Any]:
    """Return CodePipeline's event for a Lambda action."""
    data: dict[str, Any] = {
        "actionConfiguration": {
            "configuration": {
                "FunctionName": "some-function",
                "UserParameters": (
                    parameters if isinstance(parameters, str) else json.dumps(parameters)
                ),
            }
        },
        "inputArtifacts": [location("DatasetArtifact", "pipeline/Dataset/abc")],
        "outputArtifacts": [location("ModelArtifact", "pipeline/Model/xyz")] if outputs else [],
        "artifactCredentials": CREDENTIALS,
    }
    if continuation is not None:
        data["continuationToken"] = continuation
    if encryption_key is not None:
        data["encryptionKey"] = {"id": encryption_key, "type": "KMS"}
    return {"CodePipeline.job": {"id": JOB_ID, "accountId": ACCOUNT, "data": data}}
