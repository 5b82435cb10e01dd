"""The resources of SageMaker's operations, for `actions.py`.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.aws.routing import Scope
from localcloud.iam.permission import Permission

SAGEMAKER_RESOURCES: dict[str, tuple[str, ...]] = {
    "sagemaker:AddTags": ("{ResourceArn}",),
    "sagemaker:BatchDescribeModelPackage": ("model-package/*",),
    "sagemaker:CreateEndpoint": ("endpoint/{EndpointName}", "endpoint-config/{EndpointConfigName}"),
    "sagemaker:CreateEndpointConfig": ("endpoint-config/{EndpointConfigName}",),
    "sagemaker:CreateHyperParameterTuningJob": (
        "hyper-parameter-tuning-job/{HyperParameterTuningJobName}",
    ),
    "sagemaker:CreateModel": ("model/{ModelName}",),
    "sagemaker:CreateModelPackage": ("model-package/{ModelPackageName}",),
    "sagemaker:CreateModelPackageGroup": ("model-package-group/{ModelPackageGroupName}",),
    "sagemaker:CreateTrainingJob": ("training-job/{TrainingJobName}",),
    "sagemaker:CreateProcessingJob": ("processing-job/{ProcessingJobName}",),
    "sagemaker:CreateTransformJob": ("transform-job/{TransformJobName}",),
    "sagemaker:DeleteEndpoint": ("endpoint/{EndpointName}",),
    "sagemaker:DeleteEndpointConfig": ("endpoint-config/{EndpointConfigName}",),
    "sagemaker:DeleteModel": ("model/{ModelName}",),
    "sagemaker:DeleteModelPackage": ("model-package/{ModelPackageName}",),
    "sagemaker:DeleteModelPackageGroupPolicy": ("model-package-group/{ModelPackageGroupName}",),
    "sagemaker:DeleteModelPackageGroup": ("model-package-group/{ModelPackageGroupName}",),
    "sagemaker:DeleteTags": ("{ResourceArn}",),
    "sagemaker:DescribeEndpoint": ("endpoint/{EndpointName}",),
    "sagemaker:DescribeEndpointConfig": ("endpoint-config/{EndpointConfigName}",),
    "sagemaker:DescribeHyperParameterTuningJob": (
        "hyper-parameter-tuning-job/{HyperParameterTuningJobName}",
    ),
    "sagemaker:DescribeModel": ("model/{ModelName}",),
    "sagemaker:DescribeModelPackage": ("model-package/{ModelPackageName}",),
    "sagemaker:DescribeModelPackageGroup": ("model-package-group/{ModelPackageGroupName}",),
    "sagemaker:GetModelPackageGroupPolicy": ("model-package-group/{ModelPackageGroupName}",),
    "sagemaker:PutModelPackageGroupPolicy": ("model-package-group/{ModelPackageGroupName}",),
    "sagemaker:DescribeTrainingJob": ("training-job/{TrainingJobName}",),
    "sagemaker:DescribeProcessingJob": ("processing-job/{ProcessingJobName}",),
    "sagemaker:DescribeTransformJob": ("transform-job/{TransformJobName}",),
    "sagemaker:InvokeEndpoint": ("endpoint/{EndpointName}",),
    "sagemaker:ListEndpointConfigs": ("*",),
    "sagemaker:ListEndpoints": ("*",),
    "sagemaker:ListHyperParameterTuningJobs": ("*",),
    "sagemaker:ListModelPackageGroups": ("*",),
    "sagemaker:ListModelPackages": ("model-package/{ModelPackageName}",),
    "sagemaker:ListModels": ("*",),
    "sagemaker:ListTags": ("{ResourceArn}",),
    "sagemaker:ListTrainingJobsForHyperParameterTuningJob": (
        "hyper-parameter-tuning-job/{HyperParameterTuningJobName}",
    ),
    "sagemaker:ListTrainingJobs": ("*",),
    "sagemaker:ListProcessingJobs": ("*",),
    "sagemaker:ListTransformJobs": ("*",),
    "sagemaker:Search": ("*",),
    "sagemaker:StopHyperParameterTuningJob": (
        "hyper-parameter-tuning-job/{HyperParameterTuningJobName}",
    ),
    "sagemaker:StopTrainingJob": ("training-job/{TrainingJobName}",),
    "sagemaker:StopProcessingJob": ("processing-job/{ProcessingJobName}",),
    "sagemaker:StopTransformJob": ("transform-job/{TransformJobName}",),
    "sagemaker:UpdateEndpoint": ("endpoint/{EndpointName}", "endpoint-config/{EndpointConfigName}"),
    "sagemaker:UpdateEndpointWeightsAndCapacities": ("endpoint/{EndpointName}",),
    "sagemaker:UpdateModelPackage": ("{ModelPackageArn}",),
}


def named(parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the parameters with the name of a package, which a group alone does not have.

    A model package version that is being created has no number yet, so its name matches all
    versions of the group. Names may be ARNs, also of another account.
    """
    group = parameters.get("ModelPackageGroupName")
    if group is None or "ModelPackageName" in parameters:
        return parameters
    name = str(group).replace(":model-package-group/", ":model-package/")
    return {**parameters, "ModelPackageName": f"{name}/*"}


def deployed_packages(scope: Scope, parameters: Mapping[str, Any]) -> list[Permission]:
    """Return the permission that a model requires on each package that its containers name.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy-xaccount.html
    Inferred: it is required of the package's own account, too.
    """
    containers = [parameters.get("PrimaryContainer"), *(parameters.get("Containers") or [])]
    names = [str(c["ModelPackageName"]) for c in containers if c and c.get("ModelPackageName")]
    return [
        Permission(
            "sagemaker:CreateModel",
            name
            if name.startswith("arn:")
            else scope.arn("sagemaker", f"model-package/{name.lower()}"),
        )
        for name in names
    ]


def definitions(parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return every part of the parameters that may pass a role."""
    one = parameters.get("TrainingJobDefinition")
    return [parameters, *([one] if one else []), *parameters.get("TrainingJobDefinitions", [])]
