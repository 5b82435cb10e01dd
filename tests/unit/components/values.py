"""Settings for the tests, and Hypothesis strategies of valid ones."""

import json
from typing import Any

from hypothesis import strategies as st

MINIMAL = {"aws:region": "us-east-1", "environment": "dev", "instanceType": "ml.t2.medium"}

model_names = st.from_regex(r"[a-z](-?[a-z0-9]){1,7}", fullmatch=True)
regions = st.sampled_from(["us-east-1", "eu-central-1", "ap-northeast-3", "us-gov-west-1"])
instance_types = st.sampled_from(["ml.m5.large", "ml.c6i.xlarge", "ml.g5.12xlarge"])
hyperparameters = st.dictionaries(
    st.from_regex(r"[a-z_]{1,12}", fullmatch=True),
    st.from_regex(r"[A-Za-z0-9.\-]{0,12}", fullmatch=True),
    max_size=8,
)


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, str]:
    """Draw a valid configuration of any stack, as texts."""
    low = draw(st.integers(1, 50))
    high = draw(st.integers(low, 100))
    environment = draw(st.sampled_from(["dev", "prd"]))
    values: dict[str, Any] = {
        "aws:region": draw(regions),
        "modelName": draw(model_names),
        "environment": environment,
        "instanceType": draw(instance_types),
        "initialInstanceCount": draw(st.integers(low, high)),
        "scaling": json.dumps(draw(st.booleans())),
        "minInstanceCount": low,
        "maxInstanceCount": high,
        "targetInvocationsPerInstance": draw(st.integers(1, 1_000_000)),
        "scaleInCooldownSeconds": draw(st.integers(0, 86_400)),
        "scaleOutCooldownSeconds": draw(st.integers(0, 86_400)),
        "executionMode": draw(st.sampled_from(["SUPERSEDED", "QUEUED", "PARALLEL"])),
        "minimumAccuracy": draw(st.floats(0, 1)),
        "imageTag": draw(st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True)),
        "trainingInstanceType": draw(instance_types),
        "trainingMaxRuntimeSeconds": draw(st.integers(60, 86_400)),
        "hyperparameters": json.dumps(draw(hyperparameters)),
        "approvalEmail": draw(st.sampled_from(["", "ops@example.com"])),
    }
    if environment == "dev":
        values["productionStack"] = draw(st.sampled_from(["", "organization/mlops-lab/prd"]))
    optional = sorted(set(values) - set(MINIMAL))
    kept = draw(st.sets(st.sampled_from(optional)))
    # Scaling's numbers only make sense together.
    if kept & {"scaling", "minInstanceCount", "maxInstanceCount", "initialInstanceCount"}:
        kept |= {"scaling", "minInstanceCount", "maxInstanceCount", "initialInstanceCount"}
    return {key: str(value) for key, value in values.items() if key in kept or key in MINIMAL}
