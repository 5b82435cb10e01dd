"""The operations on the model registry.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateModelPackage.html
Differs: validation jobs and the marketplace are refused by name.
"""

from __future__ import annotations

from typing import Any

from localcloud.aws.errors import AwsError, ValidationError
from localcloud.aws.protocol import operation
from localcloud.aws.routing import Scope
from localcloud.iam.policy import PolicyError, parse
from localcloud.sagemaker.listing import Order, page, page_of
from localcloud.sagemaker.registry import (
    ModelPackage,
    ModelPackageGroup,
    ModelPackageStatus,
    Registry,
)
from localcloud.sagemaker.state_changes import StateChangePublisher
from localcloud.sagemaker.tags import Tags
from localcloud.service_context import ServiceContext

_REFUSED = ("ValidationSpecification", "SourceAlgorithmSpecification", "ManagedStorageType")
# The members of an update that replace those of the package.
_REPLACED = (
    *("ApprovalDescription", "InferenceSpecification", "SourceUri", "ModelCard"),
    *("ModelLifeCycle", "ModelPackageRegistrationType"),
)
_OLDEST_FIRST = Order(descending=False)


class RegistryApi:
    """The operations on model package groups and model packages."""

    def __init__(self, context: ServiceContext, tags: Tags, registry: Registry) -> None:
        self._context = context
        self._tags = tags
        self._registry = registry
        self._state_changes = StateChangePublisher(context, tags)

    def resume(self) -> None:
        """Continue what a restart interrupted."""
        for package in self._registry.packages.values():
            if package.status in (ModelPackageStatus.PENDING, ModelPackageStatus.IN_PROGRESS):
                self._registry.complete(package, self._changed)

    # Groups.

    @operation("CreateModelPackageGroup")
    def create_group(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name = params["ModelPackageGroupName"]
        if "ManagedConfiguration" in params:
            raise ValidationError(
                "The local cloud does not support managed storage of model packages."
            )
        arn = scope.arn("sagemaker", f"model-package-group/{name}".lower())
        if arn in self._registry.groups:
            raise ValidationError(f"Model Package Group already exists: {arn}")
        self._tags.check(arn, params.get("Tags"))
        now = self._context.clock.now()
        self._registry.groups.put(arn, ModelPackageGroup(arn, name, params, now))
        self._tags.add(arn, params.get("Tags"))
        return {"ModelPackageGroupArn": arn}

    @operation("DescribeModelPackageGroup")
    def describe_group(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        group = self._registry.group(scope, params["ModelPackageGroupName"])
        return {**group_summary(group), "CreatedBy": {}}

    @operation("ListModelPackageGroups")
    def list_groups(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        # Nothing is shared between accounts here.
        shared = params.get("CrossAccountFilterOption") == "CrossAccount"
        found, more = page_of(self._registry.groups, scope, params, _OLDEST_FIRST)
        if shared:
            found, more = [], {}
        return {"ModelPackageGroupSummaryList": [group_summary(g) for g in found], **more}

    @operation("DeleteModelPackageGroup")
    def delete_group(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        group = self._registry.group(scope, params["ModelPackageGroupName"])
        if self._registry.of_group(group):
            raise AwsError(
                "ConflictException",
                f"Model Package Group cannot be deleted because it still contains Model Packages: "
                f"{group.arn}",
            )
        self._registry.groups.delete(group.arn)
        self._tags.forget(group.arn)
        return {}

    @operation("PutModelPackageGroupPolicy")
    def put_group_policy(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        group = self._registry.group(scope, params["ModelPackageGroupName"])
        _check_policy(params["ResourcePolicy"])
        group.policy = params["ResourcePolicy"]
        self._registry.groups.put(group.arn, group)
        return {"ModelPackageGroupArn": group.arn}

    @operation("GetModelPackageGroupPolicy")
    def get_group_policy(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        group = self._registry.group(scope, params["ModelPackageGroupName"])
        if not group.policy:
            raise ValidationError(f"Cannot find resource policy for: {group.arn}")
        return {"ResourcePolicy": group.policy}

    @operation("DeleteModelPackageGroupPolicy")
    def delete_group_policy(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        group = self._registry.group(scope, params["ModelPackageGroupName"])
        group.policy = ""
        self._registry.groups.put(group.arn, group)
        return {}

    # Packages.

    @operation("CreateModelPackage")
    def create_package(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        name, group_name = params.get("ModelPackageName"), params.get("ModelPackageGroupName")
        if bool(name) == bool(group_name):
            raise ValidationError(
                "Give a ModelPackageName for a package without versions, or a "
                "ModelPackageGroupName for a version of a group: one of the two."
            )
        refused = [key for key in _REFUSED if params.get(key)]
        if refused or params.get("CertifyForMarketplace"):
            refused += ["CertifyForMarketplace"] * bool(params.get("CertifyForMarketplace"))
            raise ValidationError(f"The local cloud does not support {', '.join(refused)}.")
        if not params.get("InferenceSpecification") and not params.get("SourceUri"):
            raise ValidationError("An InferenceSpecification or a SourceUri must be given.")
        _check_images(params)
        now = self._context.clock.now()
        details = {
            key: value
            for key, value in params.items()
            if key not in ("Tags", "ClientToken", "ModelApprovalStatus")
        }
        self._tags.check("", params.get("Tags"))
        if group_name:
            made = self._made_by(scope, group_name, params.get("ClientToken", ""))
            if made is not None:
                return {"ModelPackageArn": made.arn}
            package = self._version(scope, group_name, details, params)
        else:
            if "ModelApprovalStatus" in params:
                raise ValidationError(
                    "ModelApprovalStatus does not apply to a package without versions."
                )
            arn = scope.arn("sagemaker", f"model-package/{name}".lower())
            if arn in self._registry.packages:
                raise ValidationError(f"Model Package already exists: {arn}")
            package = ModelPackage(arn, str(name), details, now, now)
        self._registry.packages.put(package.arn, package)
        self._tags.add(package.arn, params.get("Tags"))
        self._changed(package)
        self._registry.complete(package, self._changed)
        return {"ModelPackageArn": package.arn}

    def _made_by(self, scope: Scope, group_name: str, token: str) -> ModelPackage | None:
        """Return the version that an equal request has made already.

        Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateModelPackage.html
        """
        versions = self._registry.of_group(self._registry.group(scope, group_name))
        return next((one for one in versions if token and one.client_token == token), None)

    def _version(
        self, scope: Scope, group_name: str, details: dict[str, Any], params: dict[str, Any]
    ) -> ModelPackage:
        group = self._registry.group(scope, group_name)
        group.last_version += 1
        self._registry.groups.put(group.arn, group)
        arn = group.arn.replace(":model-package-group/", ":model-package/")
        now = self._context.clock.now()
        return ModelPackage(
            f"{arn}/{group.last_version}",
            group.name,
            {**details, "ModelPackageGroupName": group.name},
            now,
            now,
            group.last_version,
            params.get("ModelApprovalStatus", "PendingManualApproval"),
            client_token=params.get("ClientToken", ""),
        )

    @operation("DescribeModelPackage")
    def describe_package(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        return describe(self._registry.package(scope, params["ModelPackageName"]))

    @operation("BatchDescribeModelPackage")
    def batch_describe(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        errors: dict[str, Any] = {}
        for arn in params["ModelPackageArnList"]:
            try:
                found[arn] = describe(self._registry.package(scope, arn))
            except ValidationError as error:
                errors[arn] = {"ErrorCode": error.code, "ErrorResponse": error.message}
        return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": errors}

    @operation("ListModelPackages")
    def list_packages(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        wanted = params.get("ModelApprovalStatus")
        if "ModelPackageGroupName" in params:
            group = self._registry.group(scope, params["ModelPackageGroupName"])
            records = self._registry.of_group(group)
        else:
            kind = params.get("ModelPackageType", "Unversioned")
            records = [
                package
                for package in self._registry.packages.values()
                if kind in ("Both", "Versioned" if package.version else "Unversioned")
            ]
        records = [package for package in records if wanted in (None, package.approval)]
        found, more = page(records, scope, params, _OLDEST_FIRST)
        return {"ModelPackageSummaryList": [describe(package) for package in found], **more}

    @operation("UpdateModelPackage")
    def update_package(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        package = self._registry.package(scope, params["ModelPackageArn"])
        if "ModelApprovalStatus" in params and not package.version:
            raise ValidationError(
                "ModelApprovalStatus does not apply to a package without versions."
            )
        _check_images(params)
        package.details |= {key: params[key] for key in _REPLACED if key in params}
        package.approval = params.get("ModelApprovalStatus", package.approval)
        removed = params.get("CustomerMetadataPropertiesToRemove", [])
        kept = package.details.get("CustomerMetadataProperties", {})
        properties = {k: v for k, v in kept.items() if k not in removed}
        properties |= params.get("CustomerMetadataProperties", {})
        package.details["CustomerMetadataProperties"] = properties
        added = params.get("AdditionalInferenceSpecificationsToAdd", [])
        further = [*package.details.get("AdditionalInferenceSpecifications", []), *added]
        package.details["AdditionalInferenceSpecifications"] = further
        package.modified = self._context.clock.now()
        self._registry.packages.put(package.arn, package)
        self._changed(package)
        return {"ModelPackageArn": package.arn}

    @operation("DeleteModelPackage")
    def delete_package(self, scope: Scope, params: dict[str, Any]) -> dict[str, Any]:
        package = self._registry.package(scope, params["ModelPackageName"])
        self._registry.packages.delete(package.arn)
        self._tags.forget(package.arn)
        return {}

    def _changed(self, package: ModelPackage) -> None:
        self._state_changes.changed("Model Package", package.arn, describe(package))


def group_summary(group: ModelPackageGroup) -> dict[str, Any]:
    """Return a group in the shape of the list operation."""
    return {
        "ModelPackageGroupName": group.name,
        "ModelPackageGroupArn": group.arn,
        "ModelPackageGroupDescription": group.request.get("ModelPackageGroupDescription"),
        "CreationTime": group.created,
        "ModelPackageGroupStatus": "Completed",
    }


def describe(package: ModelPackage) -> dict[str, Any]:
    """Return a package in the shape of DescribeModelPackage, without empty members."""
    return {
        **{key: value for key, value in package.details.items() if value not in ({}, [])},
        "ModelPackageArn": package.arn,
        "ModelPackageVersion": package.version or None,
        "ModelApprovalStatus": package.approval,
        "ModelPackageStatus": package.status,
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": package.scans},
        "CertifyForMarketplace": False,
        "CreationTime": package.created,
        "LastModifiedTime": package.modified,
    }


def _check_policy(text: str) -> None:
    """Refuse a resource policy that is none, or that names no principal.

    Raises:
        ValidationError: says what is wrong.
    """
    try:
        statements = parse(text)
    except PolicyError as error:
        raise ValidationError(f"Invalid resource policy: {error}") from None
    if any(statement.principals is None for statement in statements):
        raise ValidationError("Invalid resource policy: each statement must have a Principal.")


def _check_images(params: dict[str, Any]) -> None:
    specifications = [params.get("InferenceSpecification") or {}]
    specifications += params.get("AdditionalInferenceSpecifications", [])
    specifications += params.get("AdditionalInferenceSpecificationsToAdd", [])
    for specification in specifications:
        for container in specification.get("Containers", []):
            if not container.get("Image"):
                raise ValidationError("Each container of a specification requires an Image.")
