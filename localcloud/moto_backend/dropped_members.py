"""The members of requests that moto drops without a word: refused by name. Pure.

Every other member that is sent comes back from the operation that reads it; the API tests walk all
of them, so that a newer moto or botocore cannot bring a loss back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from localcloud.aws.errors import AwsError

# `service:Operation` → the members that have no effect and would not come back.
DROPPED: dict[str, tuple[str, ...]] = {
    "cloudwatch:PutCompositeAlarm": ("ActionConfiguration",),
    "cloudwatch:PutDashboard": ("Tags",),
    "cloudwatch:PutInsightRule": ("ApplyOnTransformedLogs", "Tags"),
    "cloudwatch:PutMetricAlarm": (
        "ActionConfiguration",
        "EvaluationCriteria",
        "EvaluationInterval",
        "EvaluationWindow",
        "WarmUpConfiguration",
    ),
    "codebuild:CreateProject": ("autoRetryLimit", "badgeEnabled", "buildBatchConfig"),
    "codebuild:UpdateProject": ("autoRetryLimit", "badgeEnabled", "buildBatchConfig"),
    "events:CreateArchive": ("KmsKeyIdentifier",),
    "events:CreateConnection": ("InvocationConnectivityParameters", "KmsKeyIdentifier"),
    "events:CreateEventBus": ("KmsKeyIdentifier", "LogConfig"),
    "iam:CreateSAMLProvider": ("AddPrivateKey", "AssertionEncryptionMode", "Tags"),
    "logs:CreateLogGroup": ("deletionProtectionEnabled",),
    "logs:PutMetricFilter": (
        "applyOnTransformedLogs",
        "emitSystemFieldDimensions",
        "fieldSelectionCriteria",
    ),
    "logs:PutResourcePolicy": ("expectedRevisionId", "resourceArn"),
    "logs:PutSubscriptionFilter": (
        "applyOnTransformedLogs",
        "distribution",
        "emitSystemFields",
        "fieldSelectionCriteria",
    ),
    "secretsmanager:CreateSecret": ("CrossAccountPrimaryARN", "Type"),
    "secretsmanager:RotateSecret": (
        "ExternalSecretRotationMetadata",
        "ExternalSecretRotationRoleArn",
    ),
    "secretsmanager:UpdateSecret": ("Type",),
    "sns:CreateTopic": ("DataProtectionPolicy",),
    "ssm:CreatePatchBaseline": (
        "ApprovedPatches",
        "ApprovedPatchesComplianceLevel",
        "ApprovedPatchesEnableNonSecurity",
        "AvailableSecurityUpdatesComplianceStatus",
        "Description",
        "GlobalFilters",
        "RejectedPatches",
        "RejectedPatchesAction",
        "Sources",
    ),
}


def check_members(service: str, operation: str, parameters: Mapping[str, Any]) -> None:
    """Refuse a request with a member that moto drops. False and empty values ask for nothing.

    Raises:
        AwsError: NotImplemented, 501, which names the member.
    """
    for member in DROPPED.get(f"{service}:{operation}", ()):
        if parameters.get(member):
            raise AwsError(
                "NotImplemented",
                f"The local cloud does not implement the member {member} of {service}:{operation}; "
                "leave it out. docs/operations.md lists what it does.",
                501,
            )
