"""`localcloud demo`: the whole lab, end to end, with its output for a person.

Every step uses a public interface: the commands of this package, AWS's APIs, and the command lines
of the model and the stress test as child processes.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import time
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from rich.markup import escape

from localcloud.aws.routing import DEFAULT_REGION
from localcloud.cli.console import (
    CommandError,
    client,
    out,
    own_account,
    print_detail,
    print_facts,
    require_project,
    styled,
)
from localcloud.cli.demo_approval import answer
from localcloud.cli.demo_load import THINK_SECONDS, DemoLoad, load_for, outcome
from localcloud.cli.demo_options import DemoOptions
from localcloud.cli.demo_timings import Timer, Timings
from localcloud.cli.demo_watch import (
    PRODUCTION_OPTIONS,
    WATCH_SETTINGS,
    Ended,
    Watch,
    WatchResult,
)
from localcloud.cli.images import push
from localcloud.cli.options import seconds_of
from localcloud.cli.own_cloud import OwnCloud, start_own_cloud, who_has
from localcloud.cli.terminal import ended_by_signals, run_child
from localcloud.cli.time import set_speed
from localcloud.cli.watch import (
    ActionLine,
    snapshots,
    triggered_execution,
    waiting_approvals,
)
from localcloud.core.internal_client import RequestFailed
from localcloud.edge.server import DEFAULT_PORT, port_is_free

# The exit status of a stress test that missed an objective.
_STRESS_MISSED = 3
# A shorter load may end before the first instance is added.
_SCALES_WITHIN_SECONDS = 20.0
# The users where nothing says how many are needed.
_USERS = 24
# What a run writes into its directory, besides the directory of the stress test.
_FILES = (
    *("summary.json", "localcloud.log", "dataset.zip", "dataset-after.zip", "rows.jsonl"),
    *("champion.tar.gz", "evidence.html", "trend.html"),
)
# Settings of stack dev for a value to predict; R² is seldom near 1.
_REGRESSION = ('hyperparameters={"algorithm": "linear-regression"}', "minimumAccuracy=0.4")


class Demo:
    """Runs the lab once."""

    def __init__(self, options: DemoOptions) -> None:
        self._options = options
        self._project = Path.cwd()
        self._url = ""
        self._rejected = False
        self._load: DemoLoad | None = None
        self._watched: WatchResult | None = None
        self._timings = Timings()

    def run(self) -> None:
        """Run every step, then stop the local cloud unless `keep` is set.

        Raises:
            CommandError: a step failed; the message names it and the reason.
        """
        require_project(self._project)
        self._options.report_dir.mkdir(parents=True, exist_ok=True)
        self._forget_last_run()
        # Before anything is started: a typo should not cost a deployment.
        self._step(1, "Create the dataset")
        with self._timed("dataset"), out.status("creating the dataset …"):
            self._make_dataset()
        with ended_by_signals():
            cloud = self._start_cloud()
            try:
                self._steps()
            except KeyboardInterrupt:
                self._stop_cloud(cloud)
                raise
            except BaseException:
                # Where somebody can look at it, a failure is what one wants to look at.
                if self._options.keep or sys.stdin.isatty():
                    self._explain_keep(cloud)
                else:
                    self._stop_cloud(cloud)
                raise
            if self._options.keep:
                self._explain_keep(cloud)
            else:
                self._stop_cloud(cloud)

    def _forget_last_run(self) -> None:
        """Delete what an earlier run left in the report directory, and nothing else there."""
        place = self._options.report_dir
        shutil.rmtree(place / "stress", ignore_errors=True)
        for name in _FILES:
            (place / name).unlink(missing_ok=True)

    def _steps(self) -> None:
        self._step(3, "Deploy the stacks: prd, then dev")
        with self._timed("deploy"):
            model = ("-c", f"modelName={self._options.model_name}")
            self._localcloud("up", "prd", "--quiet", *model, *PRODUCTION_OPTIONS)
            self._up_dev()
        outputs = self._outputs("dev")
        self._step(4, "Push the model container as an ECR image")
        with self._timed("image"), out.status("building the image …"):
            image = push(
                self._project / "model",
                outputs["repositoryName"],
                self._url,
                release=outputs["imageParameter"],
                say=print_detail,
            )
        for note in image["notes"]:
            print_detail(note)
        out.print(f"  {image['tag']}\n  [dim]{image['digest']}[/dim]")
        self._step(
            5, "Upload the dataset; the pipeline trains, deploys to DEV, waits, deploys to PRD"
        )
        dataset, version = self._upload(outputs)
        execution = self._follow_upload(outputs["pipelineName"], version)
        if self._rejected:
            out.print("\nYou rejected this model: the pipeline stopped before production.")
            return
        self._step(6, "Stress the production endpoint")
        with self._timed("stress test"):
            verdict = self._stress(outputs["productionEndpointName"], dataset)
        number = 7
        if not self._options.short and verdict == 0:
            self._step(number, "Watch production: drift, an alarm, and a better model")
            with self._timed("watch"):
                self._watched = self._watch(outputs, dataset)
            number += 1
        self._step(number, "Summary")
        self._summary(outputs, execution, version)
        if verdict != 0:
            raise CommandError(
                "the stress test missed an objective; its report says which: "
                f"{_shown(self._options.report_dir / 'stress' / 'report.html')}"
            )

    def _up_dev(self, *more: str) -> None:
        """Deploy stack dev with the settings of this demo."""
        given = (
            f"modelName={self._options.model_name}",
            *(_REGRESSION if self._options.regression else ()),
        )
        given += self._options.config + more
        self._localcloud("up", "dev", "--quiet", *(part for one in given for part in ("-c", one)))

    def _watch(self, outputs: dict[str, Any], dataset: Path) -> WatchResult:
        """Have production's traffic drift, and follow what comes of it."""
        watch = Watch(self._url, outputs, self._options.report_dir, out)
        watch.prepare(dataset)
        watch.usual()
        self._up_dev(*WATCH_SETTINGS)
        watch.drift()
        pipeline = outputs["pipelineName"]
        result = watch.result(self._follow(pipeline, watch.retrained(pipeline), may_fail=True))
        if result.promoted:
            watch.settle(result)
        return result

    def _step(self, number: int, title: str) -> None:
        out.print(f"\n[bold cyan]{number}. {title}[/bold cyan]")

    def _timed(self, name: str) -> Timer:
        return Timer(self._timings.steps, name)

    # 1. The cloud.

    def _start_cloud(self) -> OwnCloud:
        self._step(2, "Start the local cloud")
        port = DEFAULT_PORT
        if not port_is_free(port):
            from localcloud.core.child_process import free_port

            port = free_port()
            out.print(
                f"  Port {DEFAULT_PORT} is taken by {who_has(DEFAULT_PORT)}: using {port}.",
                highlight=False,
            )
        self._url = f"http://127.0.0.1:{port}"
        log_path = self._options.report_dir / "localcloud.log"
        with self._timed("start"), out.status("starting …"):
            cloud = start_own_cloud(port, log_path, "--speed", f"{self._options.speed:g}")
        out.print(
            f"  {self._url} answers; its clock runs at {self._options.speed:g} times real time; "
            f"log: {_shown(log_path)}\n  watch it in a browser: {self._url}/"
        )
        return cloud

    def _stop_cloud(self, cloud: OwnCloud) -> None:
        cloud.stop()
        out.print("\nStopped the local cloud and every process that it had started.")

    def _explain_keep(self, cloud: OwnCloud) -> None:
        outputs = self._outputs("dev")
        out.print(
            f"\n[bold]The local cloud keeps running at {self._url}[/bold] "
            f"(process {cloud.process.pid}). To go on:"
        )
        program = Path(sys.argv[0])
        command = _shown(program) if program.name == "localcloud" else "python -m localcloud"
        lines = [
            f"export AWS_ENDPOINT_URL={self._url} AWS_ACCESS_KEY_ID={own_account()} "
            f"AWS_SECRET_ACCESS_KEY=test AWS_DEFAULT_REGION={DEFAULT_REGION}",
            *(f"{command} {rest}" for rest in ("status", "logs TrainingJobs --tail 20")),
        ]
        if "pipelineName" in outputs:
            production = outputs["productionEndpointName"]
            lines += [
                f"{command} pipeline start",
                f"{command} approve --wait",
                f"{command} pipeline watch",
                f"{command} invoke {production} {self._example_row()}",
            ]
        lines += [f"{command} teardown --yes", f"{command} stop"]
        for line in lines:
            out.print(f"  {line}", markup=False, soft_wrap=True)

    def _example_row(self) -> str:
        """Return a validation row without its label."""
        return shlex.quote(self._rows()[0])

    def _rows(self) -> list[str]:
        """Return the validation rows without their labels."""
        with zipfile.ZipFile(self._dataset) as archive:
            lines = archive.read("validation.csv").decode().splitlines()
        return [line.partition(",")[2] for line in lines]

    # 2. to 4. Stacks, image, dataset.

    def _localcloud(self, *arguments: str) -> None:
        self._child("-m", "localcloud", *arguments, "--endpoint-url", self._url)

    def _child(
        self,
        *arguments: str,
        allowed: tuple[int, ...] = (0,),
        say: Callable[[str], None] | None = None,
    ) -> int:
        """Run a Python module in this terminal; `say` gets its lines, if it is given."""
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": self._url,
            "AWS_ACCESS_KEY_ID": own_account(),
            "AWS_SECRET_ACCESS_KEY": "localcloud",
            "AWS_DEFAULT_REGION": DEFAULT_REGION,
        }
        error = ""

        def take(line: str) -> None:
            nonlocal error
            if line.startswith("error: "):
                error = line.removeprefix("error: ")
            elif say is not None:
                say(line)

        command = [sys.executable, *arguments]
        status = run_child(command, self._project, environment, take if say else None)
        if status not in allowed:
            said = f"{' '.join(arguments[1:3])} failed (exit status {status})"
            raise CommandError(error or said)
        return status

    @property
    def _dataset(self) -> Path:
        return self._options.report_dir / "dataset.zip"

    def _outputs(self, stack: str) -> dict[str, Any]:
        from localcloud.deploy.stacks import saved

        return saved(stack, self._url, self._project).outputs

    def _make_dataset(self) -> None:
        options = self._options
        source = options.of_csv or ("--table", options.table)
        self._child(
            *("-m", "model.dataset", *source, "--out", str(self._dataset)),
            say=lambda line: out.print(line, markup=False, highlight=False, soft_wrap=True),
        )

    def _upload(self, outputs: dict[str, Any]) -> tuple[Path, str]:
        path = self._dataset
        answer = client("s3", self._url).put_object(
            Bucket=outputs["dataBucket"], Key=outputs["datasetKey"], Body=path.read_bytes()
        )
        version = str(answer["VersionId"])
        out.print(
            f"  s3://{outputs['dataBucket']}/{outputs['datasetKey']} version [bold]{version}[/bold]"
        )
        return path, version

    # 5. The pipeline.

    def _follow_upload(self, pipeline: str, version: str) -> str:
        """Follow the execution that the upload started to its end; return its id."""
        codepipeline = client("codepipeline", self._url)
        execution = triggered_execution(codepipeline, pipeline, version)
        out.print(f"  The upload's event started execution [bold]{execution}[/bold]")
        self._follow(pipeline, execution)
        return execution

    def _follow(self, pipeline: str, execution: str, *, may_fail: bool = False) -> Ended:
        """Follow an execution to its end."""
        codepipeline = client("codepipeline", self._url)
        began = time.monotonic()
        approved_seconds = 0.0
        with out.status("") as spinner:
            for found in snapshots(codepipeline, pipeline, execution):
                elapsed = time.monotonic() - began - approved_seconds
                for line in found.ended:
                    self._show(line, elapsed)
                running = ", ".join(f"{x.name} {x.summary}".strip() for x in found.active)
                spinner.update(f"{escape(running) or 'between stages'} … {elapsed:.0f} s")
                waiting = list(waiting_approvals(codepipeline, pipeline))
                mine = [w for w in waiting if w.execution == execution]
                if mine:
                    spinner.stop()
                    asked = time.monotonic()
                    verdict = answer(self._url, mine[0], approve=self._options.approve)
                    self._rejected = verdict == "Rejected"
                    approved_seconds += time.monotonic() - asked
                    self._timings.waited += time.monotonic() - asked
                    spinner.start()
        ended = Ended(execution, found.status, found.reason or "no reason")
        if ended.status != "Succeeded" and not self._rejected and not may_fail:
            raise CommandError(f"the pipeline ended as {ended.status}: {ended.reason}")
        return ended

    def _show(self, line: ActionLine, elapsed_seconds: float) -> None:
        self._timings.stages[line.name] = line.clock_seconds / self._options.speed
        text = line.error or line.summary
        out.print(
            f"  {elapsed_seconds:5.1f} s  {styled(line.status)}  "
            f"[bold]{line.name}[/bold]  [dim]{escape(text)}[/dim]"
        )

    # 6. and 7. Stress test and summary.

    def _stress(self, endpoint: str, dataset: Path) -> int:
        options = self._options
        users, objectives = options.users, list[str]()
        if users is None:
            self._load = load_for(self._url, endpoint, self._rows(), options.speed)
            users = self._load.users if self._load else _USERS
            out.print(f"  {self._load or 'The endpoint has no target tracking'}.", highlight=False)
        seconds = seconds_of(options.duration)
        if self._load and self._load.scales and seconds >= _SCALES_WITHIN_SECONDS:
            objectives = ["--max-scale-out", f"{seconds:g}"]
        if self._load and self._load.speed != options.speed:
            set_speed(self._url, self._load.speed)
        try:
            return self._child(
                *("-m", "loadtest", "run", "--endpoint", endpoint, "--dataset", str(dataset)),
                *("--duration", options.duration, "--users", str(users)),
                *("--shape", "ramp", "--think", f"{THINK_SECONDS:g}"),
                *("--out", str(options.report_dir / "stress"), *objectives),
                allowed=(0, _STRESS_MISSED),
            )
        finally:
            with suppress(RequestFailed):  # the clock of a cloud that has ended
                set_speed(self._url, options.speed)

    def _scaled(self) -> str:
        path = self._options.report_dir / "stress" / "summary.json"
        return outcome(json.loads(path.read_text()), self._load)

    def _summary(self, outputs: dict[str, Any], execution: str, version: str) -> None:
        sagemaker = client("sagemaker", self._url)
        endpoint = sagemaker.describe_endpoint(EndpointName=outputs["productionEndpointName"])
        config = sagemaker.describe_endpoint_config(
            EndpointConfigName=endpoint["EndpointConfigName"]
        )
        model_name = config["ProductionVariants"][0]["ModelName"]
        model = sagemaker.describe_model(ModelName=model_name)
        version_arn = model["PrimaryContainer"]["ModelPackageName"]
        package = sagemaker.describe_model_package(ModelPackageName=version_arn)
        (container,) = package["InferenceSpecification"]["Containers"]
        url = container["ModelDataUrl"]
        job = sagemaker.describe_training_job(TrainingJobName=url.split("/")[-3])
        metrics = {m["MetricName"]: m["Value"] for m in job.get("FinalMetricDataList", [])}
        facts = (
            ("Dataset", f"version {version}"),
            ("Training job", job["TrainingJobName"]),
            ("Image", container["Image"].rpartition("@")[2][:23] + "…"),
            ("Model", f"{model_name}, version {package['ModelPackageVersion']} in the registry"),
            ("Endpoint config", endpoint["EndpointConfigName"]),
            ("Endpoints", f"{outputs['endpointName']}, {outputs['productionEndpointName']}"),
            (
                "Validation",
                ", ".join(
                    f"{k.split(':')[-1]} {v:.4g}"
                    for k, v in metrics.items()
                    if k.startswith("validation:")
                ),
            ),
            ("Scaling", self._scaled()),
            ("Stress report", _shown(self._options.report_dir / "stress" / "report.html")),
        )
        print_facts((*facts, *(self._watched.facts() if self._watched else ())))
        self._timings.print(out)
        document = {
            "execution": execution,
            "datasetVersionId": version,
            "trainingJob": job["TrainingJobName"],
            "model": model_name,
            "endpointConfig": endpoint["EndpointConfigName"],
            "metrics": metrics,
            "watch": None if self._watched is None else self._watched.as_json(),
            "wallSeconds": self._timings.document(),
        }
        path = self._options.report_dir / "summary.json"
        path.write_text(json.dumps(document, indent=2) + "\n")


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
