"""`localcloud demo`: the whole lab, end to end, with its output for a person.

Every step uses a public interface: the commands of this package, AWS's APIs, and the command lines
of the model and the stress test as child processes.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.table import Table

from localcloud.aws.routing import DEFAULT_REGION
from localcloud.cli.console import CommandError, client, out, own_account, styled
from localcloud.cli.demo_approval import answer
from localcloud.cli.demo_watch import (
    PRODUCTION_OPTIONS,
    WATCH_SETTINGS,
    Ended,
    Watch,
    WatchResult,
)
from localcloud.cli.images import push
from localcloud.cli.own_cloud import OwnCloud, start_own_cloud
from localcloud.cli.terminal import ended_by_signals
from localcloud.cli.watch import (
    ENDED,
    ActionLine,
    action_lines,
    triggered_execution,
    waiting_approvals,
)
from localcloud.edge.server import DEFAULT_PORT, port_is_free

_POLL_SECONDS = 0.2
# Each user pauses, so that the ramp of users is a ramp of requests/s, and scaling can be seen.
_THINK_SECONDS = 0.02
# Settings of stack dev for a value to predict; R² is seldom near 1.
_REGRESSION = ('hyperparameters={"algorithm": "linear-regression"}', "minimumAccuracy=0.4")


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The options of the command."""

    table: str
    csv: Path | None
    label: str | None
    categorical: str | None
    missing_values: str
    regression: bool
    config: tuple[str, ...]
    approve: bool
    keep: bool
    speed: float
    duration: str
    users: int
    report_dir: Path
    short: bool
    delimiter: str | None = None
    drop: tuple[str, ...] = ()


@dataclass(slots=True)
class Timings:
    """Durations in wall-clock seconds, for the summary."""

    steps: dict[str, float] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)


class Demo:
    """Runs the lab once."""

    def __init__(self, options: DemoOptions) -> None:
        self._options = options
        self._project = Path.cwd()
        self._url = ""
        self._rejected = False
        self._watched: WatchResult | None = None
        self._timings = Timings()
        self._began = time.monotonic()

    def run(self) -> None:
        """Run every step, then stop the local cloud unless `keep` is set.

        Raises:
            CommandError: a step failed; the message names it and the reason.
        """
        if not (self._project / "Pulumi.yaml").exists():
            raise CommandError("run this in the project's directory (it holds Pulumi.yaml)")
        self._options.report_dir.mkdir(parents=True, exist_ok=True)
        # Before anything is started: a typo should not cost a deployment.
        self._step(1, "Create the dataset")
        with self._timed("dataset"):
            self._make_dataset()
        with ended_by_signals():
            cloud = self._start_cloud()
            finished = False
            try:
                self._steps()
                finished = True
            finally:
                if self._options.keep and finished:
                    self._explain_keep(cloud)
                else:
                    self._stop_cloud(cloud)

    def _steps(self) -> None:
        self._step(3, "Deploy the stacks: prd, then dev")
        with self._timed("deploy"):
            self._localcloud("up", "prd", "--quiet", *PRODUCTION_OPTIONS)
            self._up_dev()
        outputs = self._outputs("dev")
        self._step(4, "Push the model container as an ECR image")
        with self._timed("image"):
            image = push(
                self._project / "model",
                outputs["repositoryName"],
                self._url,
                release=outputs["imageParameter"],
            )
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
            raise CommandError(f"the stress test failed (exit status {verdict})")

    def _up_dev(self, *more: str) -> None:
        """Deploy stack dev with the settings of this demo."""
        given = (_REGRESSION if self._options.regression else ()) + self._options.config + more
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

    def _timed(self, name: str) -> _Timer:
        return _Timer(self._timings.steps, name)

    # 1. The cloud.

    def _start_cloud(self) -> OwnCloud:
        self._step(2, "Start the local cloud")
        port = DEFAULT_PORT
        if not port_is_free(port):
            from localcloud.core.child_process import free_port

            port = free_port()
            out.print(f"  Port {DEFAULT_PORT} is taken by another program: using {port}.")
        self._url = f"http://127.0.0.1:{port}"
        log_path = self._options.report_dir / "localcloud.log"
        with self._timed("start"):
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
        out.print(
            f"\n[bold]The local cloud keeps running at {self._url}[/bold] "
            f"(process {cloud.process.pid})."
        )
        out.print(f"  export AWS_ENDPOINT_URL={self._url}")
        for command in (
            "status",
            "approve",
            "reject",
            f"invoke iris-model-production {self._example_row()}",
            "logs /aws/sagemaker/TrainingJobs",
            "down dev --deployed",
            "down prd --deployed",
            "stop",
        ):
            out.print(f"  .venv/bin/localcloud {command}")

    def _example_row(self) -> str:
        """Return a validation row without its label."""
        with zipfile.ZipFile(self._dataset) as archive:
            first = archive.read("validation.csv").decode().splitlines()[0]
        return first.partition(",")[2]

    # 2. to 4. Stacks, image, dataset.

    def _localcloud(self, *arguments: str) -> None:
        self._child("-m", "localcloud", *arguments, "--endpoint-url", self._url)

    def _child(self, *arguments: str, allowed: tuple[int, ...] = (0,)) -> int:
        """Run a Python module in this terminal."""
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": self._url,
            "AWS_ACCESS_KEY_ID": own_account(),
            "AWS_SECRET_ACCESS_KEY": "localcloud",
            "AWS_DEFAULT_REGION": DEFAULT_REGION,
        }
        status = subprocess.run(
            [sys.executable, *arguments], cwd=self._project, env=environment, check=False
        ).returncode
        if status not in allowed:
            raise CommandError(f"{' '.join(arguments[1:3])} failed (exit status {status})")
        return status

    @property
    def _dataset(self) -> Path:
        return self._options.report_dir / "dataset.zip"

    def _outputs(self, stack: str) -> dict[str, Any]:
        from localcloud.deploy.stacks import saved

        return saved(stack, self._url, self._project).outputs

    def _make_dataset(self) -> None:
        options = self._options
        source: tuple[str, ...] = ("--table", options.table)
        if options.csv:
            source = ("--csv", str(options.csv), "--label", str(options.label))
            source += ("--missing-values", options.missing_values)
            if options.categorical:
                source += ("--categorical", options.categorical)
            if options.delimiter:
                source += ("--delimiter", options.delimiter)
            source += tuple(word for name in options.drop for word in ("--drop", name))
            if options.regression:
                source += ("--regression",)
        self._child("-m", "model.dataset", *source, "--out", str(self._dataset))

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
        shown: dict[tuple[str, str], str] = {}
        approved_seconds = 0.0
        with out.status("") as spinner:
            while True:
                detail = codepipeline.get_pipeline_execution(
                    pipelineName=pipeline, pipelineExecutionId=execution
                )["pipelineExecution"]
                lines = action_lines(codepipeline, pipeline, execution)
                for line in lines:
                    self._show(line, shown, time.monotonic() - began - approved_seconds)
                running = [f"{x.stage}/{x.action}" for x in lines if x.status == "InProgress"]
                spinner.update(f"{', '.join(running) or 'between stages'} …")
                waiting = list(waiting_approvals(codepipeline, pipeline))
                mine = [w for w in waiting if w.execution == execution]
                if mine:
                    spinner.stop()
                    asked = time.monotonic()
                    verdict = answer(self._url, mine[0], approve=self._options.approve)
                    self._rejected = verdict == "Rejected"
                    approved_seconds += time.monotonic() - asked
                    spinner.start()
                if detail["status"] in ENDED:
                    break
                time.sleep(_POLL_SECONDS)
        reasons = [f"{x.stage}/{x.action}: {x.error}" for x in lines if x.error]
        ended = Ended(execution, detail["status"], "; ".join(reasons) or "no reason")
        if ended.status != "Succeeded" and not self._rejected and not may_fail:
            raise CommandError(f"the pipeline ended as {ended.status}: {ended.reason}")
        return ended

    def _show(
        self, line: ActionLine, shown: dict[tuple[str, str], str], elapsed_seconds: float
    ) -> None:
        key = (line.stage, line.action)
        if shown.get(key) == line.status:
            return
        shown[key] = line.status
        if line.status == "InProgress":
            return
        self._timings.stages[f"{line.stage}/{line.action}"] = (
            line.clock_seconds / self._options.speed
        )
        text = line.error or line.summary
        out.print(
            f"  {elapsed_seconds:5.1f} s  {styled(line.status)}  "
            f"[bold]{line.stage}/{line.action}[/bold]  [dim]{text}[/dim]"
        )

    # 6. and 7. Stress test and summary.

    def _stress(self, endpoint: str, dataset: Path) -> int:
        target = self._options.report_dir / "stress"
        return self._child(
            *("-m", "loadtest", "run", "--endpoint", endpoint, "--dataset", str(dataset)),
            *("--duration", self._options.duration, "--users", str(self._options.users)),
            *("--shape", "ramp", "--think", f"{_THINK_SECONDS:g}"),
            *("--out", str(target)),
            allowed=(0, 1),
        )

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
        grid = Table(box=None, show_header=False, pad_edge=True)
        for label, value in (
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
            ("Stress report", _shown(self._options.report_dir / "stress" / "report.html")),
        ):
            grid.add_row(f"[bold]{label}[/bold]", value)
        out.print(grid)
        if self._watched is not None:
            self._watched.print(out)
        grid = Table("Step or action", "Wall seconds", box=None, pad_edge=True)
        for name, seconds in {**self._timings.steps, **self._timings.stages}.items():
            grid.add_row(name, f"{seconds:.1f}")
        total = time.monotonic() - self._began
        grid.add_row("[bold]all[/bold]", f"[bold]{total:.1f}[/bold]")
        out.print(grid)
        document = {
            "execution": execution,
            "datasetVersionId": version,
            "trainingJob": job["TrainingJobName"],
            "model": model_name,
            "endpointConfig": endpoint["EndpointConfigName"],
            "metrics": metrics,
            "watch": None if self._watched is None else self._watched.as_json(),
            "wallSeconds": {**self._timings.steps, **self._timings.stages, "all": total},
        }
        path = self._options.report_dir / "summary.json"
        path.write_text(json.dumps(document, indent=2) + "\n")


class _Timer:
    """Measures one step."""

    def __init__(self, into: dict[str, float], name: str) -> None:
        self._into = into
        self._name = name

    def __enter__(self) -> None:
        self._start = time.monotonic()

    def __exit__(self, *_: object) -> None:
        self._into[self._name] = time.monotonic() - self._start


def _shown(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
