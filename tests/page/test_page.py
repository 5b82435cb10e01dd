"""The page in Chromium: decisions, what others decide, hostile texts, a kill, the keyboard."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.cloud import ROOT, TestCloud, local_cloud, push_container, wait_for
from tests.evidence_stage import EVIDENCE, evidence_stage
from tests.page.browser import Browser
from tests.pipelines import Pipelines, approval_action, invoke_action, prepare
from tests.sagemaker import training

pytestmark = pytest.mark.page

HOSTILE = '<img src=x onerror="document.title=1"><script>document.title=2</script>'


def command(cloud: TestCloud, *arguments: str) -> None:
    """Run a command of the local cloud, as a person in another terminal."""
    line = [sys.executable, "-m", "localcloud", *arguments, "--endpoint-url", cloud.url]
    subprocess.run(line, cwd=ROOT, check=True, capture_output=True, timeout=60)


def waiting(cloud: TestCloud, made: Pipelines) -> str:
    """Make a pipeline that waits for a decision on evidence; return its name."""
    return made.make([evidence_stage(cloud)], [approval_action()], [invoke_action("deployed")])


def status(made: Pipelines, name: str) -> str:
    return made.statuses(name)[-1]


def test_an_empty_cloud_says_what_to_do(browser: Browser, tmp_path: Path) -> None:
    with local_cloud(state_dir=tmp_path) as cloud:
        browser.open(cloud.url)
        browser.wait_text("lab-pipeline", "There is no pipeline yet. Deploy the lab with make up")
        assert "There is no endpoint yet" in browser.text("lab-endpoints")
        assert browser.run("return document.querySelector('lab-approval').hidden")


def test_the_evidence_stands_beside_the_decision(
    browser: Browser, shown: TestCloud, made: Pipelines
) -> None:
    waiting(shown, made)
    browser.open(shown.url)
    browser.wait_text("lab-approval h3", "Deploy iris-model version 2?")
    text = browser.text("lab-approval")
    assert "▲ +0.0667 better" in text  # accuracy: more is better
    assert "▼" not in text.split("log_loss")[0].split("accuracy")[-1]
    assert "▲ +0.05 worse" in text  # log loss: less is better
    assert "4 columns, 150 rows: nothing broken" in text
    assert "512 of 512 characters left" in text
    first = browser.run("return document.querySelector('main > :not([hidden])').localName")
    assert first == "lab-approval"


PRICES = {"total": 1.0, "currency": "USD", "items": [], "instanceMonth": {"ml.m5.large": 83.95}}


@pytest.mark.parametrize(
    ("now", "then", "said"),
    [
        (1, 2, "1 × ml.m5.large, then 2 × ml.m5.large: 83.95, then 167.90 USD a month on AWS (+83"),
        (3, 2, "251.85, then 167.90 USD a month on AWS (−83.95)."),
        (2, 2, "2 × ml.m5.large as before, at the same price."),
        (None, 1, "Instances: 1 × ml.m5.large: 83.95 USD a month on AWS."),
        ("ml.x9.large", 1, "The price list lacks one of these types."),
    ],
)
def test_the_price_of_another_fleet_is_said(
    browser: Browser, shown: TestCloud, now: int | str | None, then: int, said: str
) -> None:
    state = {"resources": [], "outputs": {"monthlyCostEstimate": PRICES}}
    route = f"{shown.url}/_localcloud/stacks/lab/dev"
    request = urllib.request.Request(route, json.dumps(state).encode(), method="PUT")
    urllib.request.urlopen(request, timeout=20).close()
    browser.open(shown.url)
    browser.wait_text("lab-stacks", "lab/dev")
    kind, count = ("ml.m5.large", now) if isinstance(now, int) else (now, 1)
    before = None if now is None else {"instanceType": kind, "instances": count}
    fleets = json.dumps([before, {"instanceType": "ml.m5.large", "instances": then}])
    text = browser.run(f"return document.querySelector('lab-approval').price(...{fleets})")
    assert said in text


def test_approving_takes_two_presses_and_the_pipeline_goes_on(
    browser: Browser, shown: TestCloud, made: Pipelines
) -> None:
    name = waiting(shown, made)
    browser.open(shown.url)
    browser.wait_text("lab-approval", "Deploy iris-model version 2?")
    area = browser.driver.find_element("css selector", "lab-approval textarea")
    area.send_keys("Better on every slice")
    browser.wait_text("lab-approval", "491 of 512 characters left")
    browser.click("lab-approval button.good", "Approve")
    browser.wait_text("lab-approval button.asked", "press again")
    assert status(made, name) == "InProgress"
    browser.click("lab-approval button.asked", "press again")
    browser.wait_text("lab-approval .told", "was answered here: approved (“Better on every slice”)")
    made.until(name, "Succeeded")
    browser.wait_text("lab-pipeline h2", "Succeeded")


def test_an_answer_that_the_stream_tells_first_was_given_here(
    browser: Browser, shown: TestCloud, made: Pipelines
) -> None:
    name = waiting(shown, made)
    browser.open(shown.url)
    browser.wait_text("lab-approval", "Deploy iris-model version 2?")
    # The call returns three seconds after the local cloud has answered.
    browser.run(
        "const real = window.fetch; window.fetch = async (...all) => { const answer = await "
        "real(...all); await new Promise((done) => setTimeout(done, 3000)); return answer; };"
    )
    browser.click("lab-approval button.good", "Approve")
    browser.click("lab-approval button.asked", "press again")
    made.until(name, "Succeeded")
    browser.wait_text("lab-approval .told", "was answered here: approved (“Approved”)")


def test_rejecting_stops_the_pipeline_with_the_comment(
    browser: Browser, shown: TestCloud, made: Pipelines
) -> None:
    name = waiting(shown, made)
    browser.open(shown.url)
    browser.wait_text("lab-approval", "Deploy iris-model version 2?")
    browser.driver.find_element("css selector", "lab-approval textarea").send_keys("Not yet")
    browser.click("lab-approval button.bad", "Reject")
    browser.click("lab-approval button.asked", "press again")
    browser.wait_text("lab-approval .told", "was answered here: rejected (“Not yet”)")
    assert status(made, name) == "Failed"
    browser.wait_text("lab-pipeline .problem", "Not yet")


def test_a_comment_that_is_too_long_cannot_be_sent(
    browser: Browser, shown: TestCloud, made: Pipelines
) -> None:
    waiting(shown, made)
    browser.open(shown.url)
    browser.wait_text("lab-approval", "Deploy iris-model version 2?")
    browser.driver.find_element("css selector", "lab-approval textarea").send_keys("x" * 513)
    browser.wait_text("lab-approval", "-1 of 512 characters left")
    buttons = browser.driver.find_elements("css selector", "lab-approval .decision button")
    assert [button.is_enabled() for button in buttons] == [False, False]


def test_an_approval_that_was_answered_elsewhere_says_so(
    browser: Browser, shown: TestCloud, made: Pipelines
) -> None:
    name = waiting(shown, made)
    browser.open(shown.url)
    browser.wait_text("lab-approval", "Deploy iris-model version 2?")
    command(shown, "approve", name, "--summary", "From a terminal")
    browser.wait_text("lab-approval .told", "was answered elsewhere: approved (“From a terminal”)")
    assert "Deploy iris-model version 2?" not in browser.text("lab-approval")
    said = browser.run("return document.getElementById('announcements').textContent")
    assert said


def test_a_comment_survives_what_happens_meanwhile(
    browser: Browser, shown: TestCloud, made: Pipelines
) -> None:
    waiting(shown, made)
    browser.open(shown.url)
    browser.wait_text("lab-approval", "Deploy iris-model version 2?")
    browser.driver.find_element("css selector", "lab-approval textarea").send_keys("half a tho")
    other = made.make([invoke_action("meanwhile")])
    browser.wait_text("lab-pipeline", other)
    browser.keys("ught")
    script = "return document.querySelector('lab-approval textarea').value"
    assert browser.run(script) == "half a thought"


def test_a_failed_stage_is_retried_and_a_run_is_stopped_from_the_page(
    browser: Browser, shown: TestCloud, made: Pipelines
) -> None:
    name = made.make([invoke_action("fail")])
    made.until(name, "Failed")
    browser.open(shown.url)
    browser.wait_text("lab-pipeline", name)
    browser.wait_text("lab-pipeline .stages", "no good")
    before = made.client.get_pipeline_state(name=name)["stageStates"][1]
    browser.click("lab-pipeline button", "Retry")
    browser.click("lab-pipeline button.asked", "press again")

    def retried() -> bool:
        now = made.client.get_pipeline_state(name=name)["stageStates"][1]
        actions = [
            s["actionStates"][0]["latestExecution"]["actionExecutionId"] for s in (before, now)
        ]
        return bool(actions[0] != actions[1])

    wait_for("the retry", retried)
    made.until(name, "Failed")
    browser.click("lab-pipeline button", "Release change")
    browser.click("lab-pipeline button.asked", "press again")
    wait_for("another execution", lambda: len(made.statuses(name)) == 2)
    browser.wait_text("lab-pipeline .runs", "2 of 2")


def test_a_disabled_transition_holds_an_execution_until_it_is_enabled(
    browser: Browser, shown: TestCloud, made: Pipelines
) -> None:
    name = made.make([invoke_action("hello")])
    made.until(name, "Succeeded")
    browser.open(shown.url)
    browser.wait_text("lab-pipeline .stages", "Stage1")
    browser.click("lab-pipeline button", "Disable transition")
    browser.click("lab-pipeline button.asked", "press again")
    browser.wait_text("lab-pipeline .transition.off", "Disabled on the page")
    made.client.start_pipeline_execution(name=name)
    browser.wait_text("lab-pipeline .stages", "1 waiting to enter")
    browser.click("lab-pipeline button", "Enable transition")
    made.until(name, "Succeeded", "Succeeded")


def test_a_run_is_replayed_with_its_own_actions(
    browser: Browser, shown: TestCloud, made: Pipelines
) -> None:
    name = made.make([invoke_action("fail")])
    made.until(name, "Failed")
    made.client.start_pipeline_execution(name=name)
    made.until(name, "Failed", "Failed")
    first = made.executions(name)[0]["pipelineExecutionId"][:8]
    browser.open(shown.url)
    browser.wait_text("lab-pipeline .runs", "2 of 2")
    browser.click("lab-pipeline button.run", first)
    browser.wait_text("lab-pipeline .flow", f"Execution {first} as it was.")
    stages = browser.text("lab-pipeline .stages")
    assert stages.count(f"execution {first}") == 2
    assert "no good" in stages
    browser.click("lab-pipeline button", "Back to live")
    browser.wait_text("lab-pipeline .flow", "Live: each stage")


def test_what_is_no_dataset_is_not_uploaded(
    browser: Browser, shown: TestCloud, made: Pipelines, tmp_path: Path
) -> None:
    made.make([invoke_action("hello")])
    table = tmp_path / "table.csv"
    table.write_text("a,b\n1,2\n")
    browser.open(shown.url)
    browser.wait_text("lab-pipeline .drop", "Drop a dataset.zip here")
    browser.driver.find_element("css selector", "lab-pipeline input[type=file]").send_keys(
        str(table)
    )
    browser.wait_text("lab-pipeline .problem", "table.csv is not a dataset.zip; make one with")


def test_events_are_filtered_and_stand_still_in_a_pause(
    browser: Browser, shown: TestCloud, made: Pipelines
) -> None:
    made.make([invoke_action("hello")])
    browser.open(shown.url)
    browser.wait_text("lab-events", "codepipeline: CreatePipeline")
    browser.driver.find_element("css selector", "lab-events input[type=search]").send_keys("ssm:")
    browser.wait_text("lab-events", "Nothing to show")
    ssm = shown.client("ssm")
    ssm.put_parameter(Name="page", Value="1", Type="String", Overwrite=True)
    browser.wait_text("lab-events .entries", "ssm: PutParameter")
    browser.click("lab-events button", "Pause")
    browser.wait_text("lab-events h2", "paused")
    ssm.put_parameter(Name="page", Value="2", Type="String", Overwrite=True)
    made.until(made.make([invoke_action("later")]), "Succeeded")
    entries = "return document.querySelectorAll('lab-events .entries li').length"
    assert browser.run(entries) == 1
    browser.click("lab-events button", "Go on")
    browser.wait("both", lambda: browser.run(entries) == 2)


def test_the_page_goes_on_after_a_kill_and_a_restart(browser: Browser, tmp_path: Path) -> None:
    with local_cloud(state_dir=tmp_path) as cloud:
        prepare(cloud)
        name = waiting(cloud, Pipelines(cloud.client("codepipeline")))
        browser.open(cloud.url)
        browser.wait_text("lab-approval", "Deploy iris-model version 2?")
        assert cloud.pid is not None
        os.kill(cloud.pid, signal.SIGKILL)
        browser.wait_text("lab-header .state", "connection lost")
    port = cloud.url.rpartition(":")[2]
    with again(tmp_path, port) as cloud:
        browser.wait_text("lab-header .state", "live")
        browser.wait_text("lab-approval", "Deploy iris-model version 2?")
        command(cloud, "approve", name)
        browser.wait_text("lab-approval .told", "was answered elsewhere: approved")


def again(directory: Path, port: str) -> Any:
    """Start a local cloud on the port that it had."""
    from contextlib import contextmanager

    @contextmanager
    def started() -> Any:
        line = [sys.executable, "-m", "localcloud", "start", "--port", port]
        line += ["--state-dir", str(directory)]
        process = subprocess.Popen(
            line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        assert process.stdout is not None
        try:
            assert b"is ready on" in process.stdout.readline()
            yield TestCloud(f"http://127.0.0.1:{port}", True, process.pid)
        finally:
            process.terminate()
            process.wait(20)
            process.stdout.close()

    return started()


def test_a_page_that_was_left_does_not_keep_another_from_loading(
    browser: Browser, shown: TestCloud
) -> None:
    # A browser has six connections for one address, and a stream takes one of them.
    for _ in range(9):
        browser.open(shown.url)
        browser.driver.get("about:blank")


def test_a_hostile_log_line_and_a_hostile_name_are_only_text(
    browser: Browser, shown: TestCloud, made: Pipelines
) -> None:
    document = json.loads(json.dumps(EVIDENCE))
    document["model"]["group"] = HOSTILE
    document["rehearsal"] = {
        "made": True,
        "message": HOSTILE,
        "answers": {
            "rows": 2,
            "different": 2,
            "flows": [{"champion": HOSTILE, "candidate": "b", "rows": 2}],
        },
    }
    made.make([evidence_stage(shown, document)], [approval_action()])
    train(shown, "hostile", f"print({HOSTILE!r}, flush=True)\n")
    wait_for("the training job", lambda: trained(shown, "hostile") in ("Completed", "Failed"))
    browser.open(shown.url)
    browser.wait_text("lab-approval h3", HOSTILE)
    assert HOSTILE in browser.text("lab-approval .evidence")
    browser.click("lab-jobs button.name", "hostile")
    browser.click("lab-jobs button", "Show the log")
    browser.wait_text("lab-jobs pre", HOSTILE)
    assert browser.run("return document.title") == "(1) localcloud"
    assert browser.run("return document.querySelectorAll('main img, main script').length") == 0


def train(cloud: TestCloud, name: str, program: str) -> None:
    """Start a training job that runs a program."""
    image = push_container(cloud, name, program)
    cloud.client("s3").create_bucket(Bucket=name)
    cloud.client("sagemaker").create_training_job(**training(image, name, name))


def trained(cloud: TestCloud, name: str) -> str:
    found = cloud.client("sagemaker").describe_training_job(TrainingJobName=name)
    return str(found["TrainingJobStatus"])


def test_the_log_of_a_running_job_is_followed(browser: Browser, shown: TestCloud) -> None:
    program = "import time\nfor n in range(600): print('line', n, flush=True); time.sleep(0.2)\n"
    train(shown, "followed", program)
    browser.open(shown.url)
    browser.click("lab-jobs button.name", "followed")
    browser.wait("the log", lambda: "line 3" in log_of(browser))
    seen = browser.text("lab-jobs pre").count("line")
    browser.wait("more of it", lambda: browser.text("lab-jobs pre").count("line") > seen + 5)
    browser.click("lab-jobs button", "Stop the job")
    browser.click("lab-jobs button.asked", "press again")
    browser.wait_text("lab-jobs", "Stopped")


def log_of(browser: Browser) -> str:
    """Return the log of the open job, which can be shown a moment after the job began."""
    if not browser.text("lab-jobs pre"):
        browser.click("lab-jobs .log button", "log")
    return browser.text("lab-jobs pre")


def test_a_decision_is_made_with_the_keyboard_alone(
    browser: Browser, shown: TestCloud, made: Pipelines
) -> None:
    name = waiting(shown, made)
    browser.open(shown.url)
    browser.wait_text("lab-approval", "Deploy iris-model version 2?")
    focus = "return document.activeElement.innerText || document.activeElement.localName"
    seen = []
    for _ in range(60):
        browser.keys("\ue004")  # Tab
        seen.append(str(browser.run(focus)))
        if seen[-1] == "textarea":
            browser.keys("By keyboard")
        if seen[-1].startswith("Approve"):
            break
    assert seen[-1].startswith("Approve"), seen
    outline = browser.run("return getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    browser.keys("\ue007")  # Enter
    browser.wait("the question", lambda: "press again" in str(browser.run(focus)))
    browser.keys("\ue007")
    browser.wait_text("lab-approval .told", "was answered here: approved (“By keyboard”)")
    made.until(name, "Succeeded")


def test_as_json_and_as_cli_show_what_a_program_would_use(
    browser: Browser, shown: TestCloud, made: Pipelines
) -> None:
    name = made.make([approval_action()])
    browser.open(shown.url)
    browser.wait_text("lab-pipeline", name)
    for panel in browser.run(
        "return [...document.querySelectorAll('main > :not([hidden])')].map(e => e.localName)"
    ):
        browser.click(f"{panel} .tools button", "as JSON")
        json.loads(browser.text("dialog pre"))
        browser.keys("\ue00c")  # Escape
        browser.wait("the end of it", lambda: not browser.text("dialog"))
        browser.click(f"{panel} .tools button", "as CLI")
        assert f"export AWS_ENDPOINT_URL={shown.url}" in browser.text("dialog pre")
        browser.click("dialog button", "Close")
        browser.wait("the end of it", lambda: not browser.text("dialog"))


def test_the_clock_is_advanced_from_the_header(browser: Browser, tmp_path: Path) -> None:
    with local_cloud(speed=1.0, state_dir=tmp_path) as cloud:
        browser.open(cloud.url)
        before = cloud.now()
        browser.click("lab-header button", "+15 min")
        wait_for("the time", lambda: cloud.now() - before >= 900)
        browser.wait("the page's time", lambda: page_time(browser) - before >= 900)


def page_time(browser: Browser) -> float:
    script = "return Date.parse(document.querySelector('lab-header time').dateTime) / 1000"
    return float(browser.run(script))


@pytest.mark.parametrize("width", [400, 900, 1600])
def test_nothing_is_wider_than_the_window(
    browser: Browser, shown: TestCloud, made: Pipelines, width: int
) -> None:
    waiting(shown, made)
    browser.size(width)
    browser.open(shown.url)
    browser.wait_text("lab-approval", "Deploy iris-model version 2?")
    assert browser.run("return document.documentElement.scrollWidth") <= width


AXE = ROOT / "tests" / "page" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1600])
def test_axe_finds_nothing_serious(
    browser: Browser, shown: TestCloud, made: Pipelines, width: int, scheme: str
) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not there: it needs npm, and make test-page installs it")
    waiting(shown, made)
    failed = made.make([invoke_action("fail")])
    made.until(failed, "Failed")
    browser.size(width, scheme=scheme)
    browser.open(shown.url)
    browser.wait_text("lab-approval", "Deploy iris-model version 2?")
    browser.driver.execute_cdp_cmd("Page.setBypassCSP", {"enabled": True})
    browser.run(AXE.read_text())
    found = browser.driver.execute_async_script(
        "axe.run(document).then(found => arguments[0](found.violations))"
    )
    problems = [
        f"{one['impact']}: {one['id']} at {one['nodes'][0]['html'][:120]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert problems == []
