"""The whole lab on the page: from an upload in the browser to production."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud import ROOT, local_cloud
from tests.e2e.conftest import PRD, Lab, deployed
from tests.page.browser import Browser

pytestmark = [pytest.mark.page, pytest.mark.timeout(600)]

_STEP_SECONDS = 180


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A local cloud with both stacks and the model's image."""
    with local_cloud(speed=60.0) as cloud:
        yield deployed(cloud)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The iris dataset's zip."""
    path: Path = tmp_path_factory.mktemp("dataset") / "dataset.zip"
    command = [sys.executable, "-m", "model.dataset", "--table", "iris", "--out", str(path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return path


def test_a_dataset_is_uploaded_trained_approved_and_served_on_the_page(
    browser: Browser, lab: Lab, dataset: Path
) -> None:
    browser.open(lab.cloud.url)
    browser.wait_text("lab-pipeline h2", lab.pipeline)
    browser.driver.find_element("css selector", "lab-pipeline input[type=file]").send_keys(
        str(dataset)
    )
    browser.wait_text("lab-pipeline .drop", "Uploaded dataset.zip as version")
    browser.wait_text("lab-pipeline h2", "InProgress", _STEP_SECONDS)
    browser.wait_text("lab-approval h3", "Deploy iris-model version 1?", _STEP_SECONDS)
    assert "accuracy" in browser.text("lab-approval .evidence")
    assert "The stack does not exist yet" in browser.text("lab-approval .evidence")
    browser.wait_text("lab-endpoints", "iris-model-development")
    browser.click("lab-approval button.good", "Approve")
    browser.click("lab-approval button.asked", "press again")
    browser.wait_text("lab-approval .told", "was answered here: approved")
    browser.wait_text("lab-pipeline h2", "Succeeded", _STEP_SECONDS)
    browser.wait_text("lab-endpoints", PRD)
    card = f"lab-endpoints form[aria-label='Request to {PRD}']"
    browser.driver.find_element("css selector", f"{card} textarea").send_keys("5.1,3.5,1.4,0.2")
    browser.click(f"{card} button[type=submit]", "Send")
    browser.wait_text(f"{card} output", "200 in ")
    assert "setosa" in browser.text(f"{card} output")
    browser.wait_text("lab-endpoints", "Requests a second")
    assert "about " in browser.text("lab-stacks")
