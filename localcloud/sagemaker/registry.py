"""The model registry: packages of a model's image and data, by name or as versions of a group.

    ModelPackage   Pending ──► InProgress ──► Completed | Failed
    approval       PendingManualApproval ◄──► Approved ◄──► Rejected   (versions only)

A package is completed by finding its image. Must not: know HTTP, or endpoints.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry.html
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from localcloud.aws.errors import IllegalTransition, ValidationError
from localcloud.aws.routing import Scope, scope_of_arn
from localcloud.core.store import Collection
from localcloud.sagemaker.containers import JobFailed, resolve_image
from localcloud.service_context import ServiceContext

log = logging.getLogger("localcloud.sagemaker")


class ModelPackageStatus(StrEnum):
    """Status of a model package."""

    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"


PACKAGE_TRANSITIONS: dict[ModelPackageStatus, frozenset[ModelPackageStatus]] = {
    ModelPackageStatus.PENDING: frozenset({ModelPackageStatus.IN_PROGRESS}),
    ModelPackageStatus.IN_PROGRESS: frozenset(
        {ModelPackageStatus.COMPLETED, ModelPackageStatus.FAILED}
    ),
    ModelPackageStatus.COMPLETED: frozenset(),
    ModelPackageStatus.FAILED: frozenset(),
}


@dataclass(slots=True)
class ModelPackageGroup:
    """A group of versions.

    Attributes:
        last_version: the highest version number so far; no number is used twice.
        policy: its resource policy; empty if it has none.
    """

    arn: str
    name: str
    request: dict[str, Any]
    created: datetime
    last_version: int = 0
    policy: str = ""


@dataclass(slots=True)
class ModelPackage:
    """One model package.

    Attributes:
        name: its own name, or that of its group.
        details: the request, with the changes of updates.
        version: its version number within the group; 0 without a group.
        approval: the ModelApprovalStatus of a version; None without a group.
        scans: its ImageScanStatuses.
        client_token: the ClientToken of its creation.
    """

    arn: str
    name: str
    details: dict[str, Any]
    created: datetime
    modified: datetime
    version: int = 0
    approval: str | None = None
    status: ModelPackageStatus = ModelPackageStatus.PENDING
    scans: list[dict[str, Any]] = field(default_factory=list)
    client_token: str = ""

    def move(self, status: ModelPackageStatus) -> None:
        """Change the status.

        Raises:
            IllegalTransition: the table does not have this transition.
        """
        if status not in PACKAGE_TRANSITIONS[self.status]:
            raise IllegalTransition(f"model package {self.arn}: {self.status} to {status}")
        self.status = status


class Registry:
    """Stores the packages and completes them."""

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self.groups = Collection(context.database, "sagemaker-package-group", ModelPackageGroup)
        self.packages = Collection(context.database, "sagemaker-package", ModelPackage)

    def group(self, scope: Scope, name_or_arn: str) -> ModelPackageGroup:
        """Return a group.

        Raises:
            ValidationError: it does not exist.
        """
        arn = _arn(scope, "model-package-group", name_or_arn)
        found = self.groups.get(arn)
        if found is None:
            raise ValidationError(f"ModelPackageGroup {arn} does not exist.")
        return found

    def package(self, scope: Scope, name_or_arn: str) -> ModelPackage:
        """Return a package by its name, `group/version` or ARN.

        Raises:
            ValidationError: it does not exist.
        """
        arn = _arn(scope, "model-package", name_or_arn)
        found = self.packages.get(arn)
        if found is None:
            raise ValidationError(f"ModelPackage {arn} does not exist.")
        return found

    def policy_of(self, arn: str) -> tuple[str, str | None] | None:
        """Return the account that owns a group or a package, and the policy on it.

        The versions of a group have the group's policy.
        Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy-xaccount.html

        Args:
            arn: any ARN of SageMaker; None is returned for what has no policies.
        """
        head, _, name = arn.partition("/")
        kind = head.rpartition(":")[2]
        if kind not in ("model-package", "model-package-group"):
            return None
        owner = arn.rpartition(f":{kind}/")[0]
        group = self.groups.get(f"{owner}:model-package-group/{name.partition('/')[0].lower()}")
        return scope_of_arn(arn).account, group.policy if group is not None else None

    def of_group(self, group: ModelPackageGroup) -> list[ModelPackage]:
        """Return the versions of a group."""
        prefix = group.arn.replace(":model-package-group/", ":model-package/") + "/"
        return [package for package in self.packages.values() if package.arn.startswith(prefix)]

    def complete(self, package: ModelPackage, changed: Callable[[ModelPackage], None]) -> None:
        """Start to complete a package; `changed` is called after each change."""
        self._context.spawn(f"model package {package.arn}", self._complete(package, changed))

    async def _complete(
        self, package: ModelPackage, changed: Callable[[ModelPackage], None]
    ) -> None:
        def step(status: ModelPackageStatus) -> None:
            if package.arn in self.packages:  # it was not deleted meanwhile
                package.move(status)
                package.modified = self._context.clock.now()
                self.packages.put(package.arn, package)
                changed(package)

        if package.status is ModelPackageStatus.PENDING:
            step(ModelPackageStatus.IN_PROGRESS)
        failed = False
        scans: list[dict[str, Any]] = []
        for container in package.details.get("InferenceSpecification", {}).get("Containers", []):
            scan = {"Name": container["Image"], "Status": "Completed"}
            try:
                image = await resolve_image(self._context, container["Image"], "")
                container["ImageDigest"] = image.digest
            except JobFailed as error:
                failed = True
                scan |= {"Status": "Failed", "FailureReason": str(error)}
            scans.append(scan)
        package.scans = scans if failed else []
        step(ModelPackageStatus.FAILED if failed else ModelPackageStatus.COMPLETED)

    def container_of(self, scope: Scope, container: dict[str, Any]) -> dict[str, Any]:
        """Return Image, ModelDataUrl and Environment of a ContainerDefinition.

        Raises:
            ValidationError: it names neither an image nor a package that can be deployed.
        """
        name = container.get("ModelPackageName")
        if name is None:
            if not container.get("Image"):
                raise ValidationError("A container requires an Image or a ModelPackageName.")
            return _runs(container, {})
        if container.get("Image") or container.get("ModelDataUrl"):
            raise ValidationError(
                "A container with a ModelPackageName takes Image and ModelDataUrl from it; "
                "give one or the other."
            )
        package = self.package(scope, name)
        if package.status is not ModelPackageStatus.COMPLETED:
            raise ValidationError(
                f"ModelPackage {package.arn} cannot be deployed: its status is {package.status}; "
                "it must be Completed."
            )
        if package.version and package.approval != "Approved":
            raise ValidationError(
                f"ModelPackage {package.arn} cannot be deployed: its ModelApprovalStatus is "
                f"{package.approval}; it must be Approved."
            )
        return _runs(_specification(package, container)["Containers"][0], container)


def _specification(package: ModelPackage, container: dict[str, Any]) -> dict[str, Any]:
    wanted = container.get("InferenceSpecificationName")
    if wanted is None:
        main: dict[str, Any] | None = package.details.get("InferenceSpecification")
        if main is None:
            raise ValidationError(f"ModelPackage {package.arn} has no InferenceSpecification.")
        return main
    for further in package.details.get("AdditionalInferenceSpecifications", []):
        if further["Name"] == wanted:
            found: dict[str, Any] = further
            return found
    raise ValidationError(f"ModelPackage {package.arn} has no inference specification {wanted}.")


def _runs(container: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    url = container.get("ModelDataUrl")
    if container.get("ModelDataSource"):
        raise ValidationError("The local cloud supports model data by ModelDataUrl only.")
    return {
        "Image": container["Image"],
        **({"ModelDataUrl": url} if url else {}),
        "Environment": {**container.get("Environment", {}), **over.get("Environment", {})},
    }


def _arn(scope: Scope, kind: str, name_or_arn: str) -> str:
    if name_or_arn.startswith("arn:"):
        head, _, name = name_or_arn.partition("/")
        return f"{head}/{name.lower()}"
    return scope.arn("sagemaker", f"{kind}/{name_or_arn.lower()}")
