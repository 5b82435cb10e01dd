"""Patches of ECR."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

_NO_DATABASE = "The local cloud has no database of vulnerabilities, so that a scan finds none."


def patch() -> None:
    """Apply the patches."""
    _patch_scans()


def _patch_scans() -> None:
    """DescribeImageScanFindings: moto finds a made-up vulnerability, and nothing scans on push.

    Source: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_DescribeImageScanFindings.html
    """
    from moto.ecr.models import ECRBackend

    original = ECRBackend.describe_image_scan_findings

    def describe_image_scan_findings(
        self: Any, registry_id: str, repository_name: str, image_id: dict[str, Any]
    ) -> dict[str, Any]:
        repository = self._get_repository(repository_name, registry_id)
        image = repository._get_image(image_id.get("imageTag"), image_id.get("imageDigest"))
        on_push = (repository.image_scanning_configuration or {}).get("scanOnPush")
        if not (on_push or image.last_scan):
            refused: dict[str, Any] = original(self, registry_id, repository_name, image_id)
            return refused
        return {
            "registryId": repository.registry_id,
            "repositoryName": repository_name,
            "imageId": {"imageDigest": image.image_digest, "imageTag": image.image_tag},
            "imageScanStatus": {"status": "COMPLETE", "description": _NO_DATABASE},
            "imageScanFindings": {
                "imageScanCompletedAt": datetime.fromtimestamp(image.image_pushed_at, UTC),
                "findings": [],
                "findingSeverityCounts": {},
            },
        }

    ECRBackend.describe_image_scan_findings = describe_image_scan_findings
