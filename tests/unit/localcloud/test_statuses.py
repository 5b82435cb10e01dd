"""The statuses that the local cloud knows are AWS's, and those it never shows are named."""

from __future__ import annotations

from enum import StrEnum

import pytest

from localcloud.aws.protocol import service_model
from localcloud.codepipeline.model import (
    ActionStatus,
    ConditionStatus,
    ExecutionStatus,
    StageStatus,
)
from localcloud.sagemaker.model import EndpointStatus, TrainingJobStatus

pytestmark = pytest.mark.botocore_modelled


@pytest.mark.parametrize(
    ("service", "shape", "ours", "never"),
    [
        ("codepipeline", "PipelineExecutionStatus", ExecutionStatus, {"Cancelled"}),
        ("codepipeline", "StageExecutionStatus", StageStatus, {"Cancelled"}),
        # A stopped action is not "Stopped".
        ("codepipeline", "ActionExecutionStatus", ActionStatus, set()),
        ("codepipeline", "ConditionExecutionStatus", ConditionStatus, {"Cancelled"}),
        ("sagemaker", "TrainingJobStatus", TrainingJobStatus, {"Deleting"}),
        (
            "sagemaker",
            "EndpointStatus",
            EndpointStatus,
            {"OutOfService", "SystemUpdating", "UpdateRollbackFailed"},
        ),
    ],
)
def test_the_statuses_are_those_of_the_model(
    service: str, shape: str, ours: type[StrEnum], never: set[str]
) -> None:
    known = {str(status) for status in ours}
    modelled = set(service_model(service).shape_for(shape).enum)
    assert known | never == modelled
    assert known & never == set()
