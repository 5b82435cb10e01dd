"""An endpoint that scales keeps its instance type: the program ends before anything changes."""

from typing import Any

import pulumi
import pytest

from components.deployed_endpoint import conflict
from components.endpoint_template import render
from components.settings import EndpointSettings, NetworkSettings, ScalingSettings
from tests.unit.components.recording import Recording, record

STACK, ENDPOINT = "mlops-deploy-iris-model-prd", "iris-model-production"
SCALED = EndpointSettings("ml.m5.large", 2, ScalingSettings())
FIXED = EndpointSettings("ml.m5.large", 2)


def template(settings: EndpointSettings) -> dict[str, Any]:
    return render(ENDPOINT, "arn:role", settings, {}, network=NetworkSettings(), by_version=True)


@pytest.mark.parametrize(
    ("deployed", "wanted", "refused"),
    [
        (None, "ml.c5.large", False),
        ({}, "ml.c5.large", False),
        (template(FIXED), "ml.c5.large", False),
        (template(SCALED), "ml.m5.large", False),
        (template(SCALED), "ml.c5.large", True),
    ],
)
@pytest.mark.parametrize("scaling", [None, ScalingSettings(4, 8)])
def test_only_the_type_of_a_variant_that_scales_is_fixed(
    deployed: dict[str, Any] | None, wanted: str, refused: bool, scaling: ScalingSettings | None
) -> None:
    # It makes no difference whether it shall scale: the target is deregistered after the update.
    problem = conflict(deployed, ENDPOINT, EndpointSettings(wanted, 4, scaling))
    assert refused == (problem is not None)


def test_the_error_says_what_to_do_in_which_order() -> None:
    assert conflict(template(SCALED), ENDPOINT, EndpointSettings("ml.c5.large", 2)) == (
        "instanceType is ml.c5.large, but endpoint iris-model-production runs on ml.m5.large and "
        "scales: SageMaker does not change the instance type of a variant that is registered with "
        "Application Auto Scaling, and the deployment would be rolled back. Set instanceType to "
        "ml.m5.large and scaling to false, run `pulumi up` and the pipeline; then set instanceType "
        "to ml.c5.large and scaling to true, and do both again"
    )


def test_a_preview_of_such_a_change_fails_before_anything_is_registered() -> None:
    recording = Recording()
    with pytest.raises(Exception, match="instanceType is") as error:
        record(
            "prd",
            {"instanceType": "ml.c5.large"},
            recording=recording,
            deployed={STACK: template(SCALED)},
        )
    assert isinstance(error.value, pulumi.RunError)
    assert recording.registrations == []


def test_the_two_steps_that_the_error_names_are_possible() -> None:
    first = {"scaling": "false"}
    assert record("prd", first, deployed={STACK: template(SCALED)}).registrations
    second = {"instanceType": "ml.c5.large"}
    assert record("prd", second, deployed={STACK: template(FIXED)}).registrations
