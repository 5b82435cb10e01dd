"""The starts of endpoints: one that never becomes healthy costs the others nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cloud import configured_url, local_cloud, make_config, push_container, wait_for
from tests.sagemaker import prepare

pytestmark = pytest.mark.emulator_only
BUCKET = "starts"
# It starts, says so, and never answers a health check.
NEVER = "import time\nprint('started', flush=True)\ntime.sleep(1000)\n"


@pytest.mark.slow
def test_endpoints_that_never_get_healthy_hold_up_no_other_and_are_deleted_at_once(
    tmp_path: Path,
) -> None:
    if configured_url() is not None:
        pytest.skip("the processes of another endpoint cannot be seen")
    with local_cloud(state_dir=tmp_path) as cloud:
        sagemaker = cloud.client("sagemaker")
        good = prepare(cloud, BUCKET)
        never = push_container(cloud, "never", NEVER)
        model = f"s3://{BUCKET}/one/model.tar.gz"
        names = [f"never-{n}" for n in range(3)]
        for name in names:
            make_config(sagemaker, name, never, model, instances=3)
            sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
        make_config(sagemaker, "good", good, model, instances=2)
        sagemaker.create_endpoint(EndpointName="good", EndpointConfigName="good")

        def status(name: str) -> str:
            return str(sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"])

        # Without their own slots, each pair of them would take eight minutes.
        wait_for("the good endpoint", lambda: status("good") == "InService", 100)
        assert [status(name) for name in names] == ["Creating"] * 3
        for name in names:
            sagemaker.delete_endpoint(EndpointName=name)
        wait_for("the deletions", lambda: len(sagemaker.list_endpoints()["Endpoints"]) == 1, 30)
        wait_for("the end of their processes", lambda: not _running("us-east-1-never-"), 30)
        change = {"VariantName": "AllTraffic", "DesiredInstanceCount": 3}
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName="good", DesiredWeightsAndCapacities=[change]
        )
        wait_for("the scale-out", lambda: status("good") == "InService", 60)


def _running(model: str) -> list[str]:
    """Return the processes whose home is the directory of a model."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            variables = (
                (entry / "environ").read_bytes().split(b"\0") if entry.name.isdigit() else []
            )
        except OSError:
            continue
        if any(v.startswith(b"HOME=") and model.encode() in v for v in variables):
            found.append(entry.name)
    return found
