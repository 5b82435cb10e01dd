"""`localcloud dev`: a local cloud with the lab, which follows the files that are saved.

    lambda_src/                          ─► the code of the functions that read the file
    components/ policy/ Pulumi*.yaml     ─► `up` of both stacks, in this process, which stays warm
    __main__.py
    model/                               ─► the image; training with it by a key, or by --retrain

This module starts, watches and decides. How something is deployed is that of the other commands.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from localcloud.cli.console import (
    client,
    err,
    errors_in_one_line,
    message_of,
    out,
    own_account,
    print_detail,
    require_project,
)
from localcloud.cli.options import Config
from localcloud.cli.own_cloud import OwnCloud, start_own_cloud
from localcloud.cli.terminal import ended_by_signals, pressed_key, single_keys
from localcloud.core.clock import monotonic

dev_app = typer.Typer()

STACKS = ("prd", "dev")
PROGRAM, FUNCTIONS, MODEL = "program", "functions", "model"
_PLACES = {"lambda_src": FUNCTIONS, "components": PROGRAM, "policy": PROGRAM, "model": MODEL}
_FILES = ("__main__.py",)
_LOG = Path("build/dev/localcloud.log")
# How long an answer is waited for.
_PATIENCE_SECONDS = 600.0
# A look at the keyboard; and how long files have to be still before they are read, milliseconds.
_LOOK_MILLISECONDS, _STILL_MILLISECONDS = 200, 50


@dev_app.command()
def dev(
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 for a free one.")] = 4566,
    speed: Annotated[float, typer.Option(help="AWS seconds per wall-clock second.")] = 60.0,
    config: Config = None,
    dataset: Annotated[str, typer.Option(help="Table to upload at the start, or none.")] = "iris",
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train as soon as a file of model/ is saved.")
    ] = False,
) -> None:
    """Run the lab, and deploy what you save: functions, the program, the model's image.

    It starts a local cloud of its own, deploys both stacks, pushes the image, uploads a dataset and
    prints the address of the page. Then it watches the project's files. Ctrl-C ends all of it.
    """
    from localcloud.cli.server import free_port_or

    with errors_in_one_line():
        project = Path.cwd()
        require_project(project)
        chosen = free_port_or(port)
        _LOG.parent.mkdir(parents=True, exist_ok=True)
        with ended_by_signals():
            with out.status("the local cloud starts …"):
                cloud = start_own_cloud(chosen, _LOG, "--speed", f"{speed:g}")
            try:
                with single_keys():
                    _Dev(cloud, project, config, retrain=retrain).run(dataset)
            except KeyboardInterrupt:
                out.print()
            finally:
                cloud.stop()
                out.print("Stopped the local cloud and all that it had started.")


def kinds_of(paths: set[str], project: Path) -> dict[str, list[Path]]:
    """Return what has to be done for changed files, each with its files, in the order of doing it.

    Args:
        paths: the changed files; byte code and other products of running are left out.
        project: the project's directory.
    """
    found: dict[str, list[Path]] = {}
    for name in sorted(paths):
        path = Path(name).relative_to(project)
        if "__pycache__" in path.parts or path.name.startswith(".") or path.name.endswith("~"):
            continue
        kind = _PLACES.get(path.parts[0])
        if path.name in _FILES or (path.name.startswith("Pulumi") and path.suffix == ".yaml"):
            kind = PROGRAM
        if kind is not None:
            found.setdefault(kind, []).append(path)
    return {kind: found[kind] for kind in (FUNCTIONS, PROGRAM, MODEL) if kind in found}


class _Dev:
    def __init__(
        self, cloud: OwnCloud, project: Path, config: list[str] | None, *, retrain: bool
    ) -> None:
        from localcloud.cli.stacks import settings_of

        self._url, self._project, self._retrain = cloud.url, project, retrain
        self._settings = settings_of(config)

    def run(self, dataset: str) -> None:
        """Deploy the lab, then follow the files until Ctrl-C."""
        self._deploy()
        self._push_image()
        if dataset != "none":
            self._upload(dataset)
        out.print(f"\n[bold]{self._url}/_localcloud/[/bold] shows the lab.", highlight=False)
        out.print(f"export AWS_ENDPOINT_URL={self._url}   for other terminals", soft_wrap=True)
        out.print("Keys: t trains with the newest image and dataset; Ctrl-C ends all of this.")
        for number, paths in enumerate(self._saved()):
            if number == 0:
                # Not before, because what is saved before is not seen.
                out.print("Watching lambda_src, components, policy, model and the program.")
            for kind, files in kinds_of(paths, self._project).items():
                with self._reported(", ".join(str(path) for path in files[:3])):
                    self._carry_out(kind, files)

    def _saved(self) -> Iterator[set[str]]:
        """Yield the paths of files that were saved together; look at the keyboard meanwhile."""
        from watchfiles import watch

        places = [self._project / name for name in (*_PLACES, *_FILES)]
        places += sorted(self._project.glob("Pulumi*.yaml"))
        for changes in watch(
            *(place for place in places if place.exists()),
            step=_STILL_MILLISECONDS,
            rust_timeout=_LOOK_MILLISECONDS,
            yield_on_timeout=True,
            raise_interrupt=True,
        ):
            if pressed_key() == "t":
                with self._reported("t"):
                    self._train()
            yield {path for _, path in changes}

    def _carry_out(self, kind: str, files: list[Path]) -> None:
        if kind == FUNCTIONS:
            from localcloud.cli.dev_functions import update_functions

            for name in update_functions(client("lambda", self._url), self._project, files):
                out.print(f"  function [bold]{escape(name)}[/bold] has the new code")
        elif kind == PROGRAM:
            # Production's stack does not read the other one's settings.
            alone = {path.name for path in files} == {"Pulumi.dev.yaml"}
            self._deploy(("dev",) if alone else STACKS)
        else:
            self._push_image()
            if self._retrain:
                self._train()
            else:
                out.print("  t trains with it")

    @contextmanager
    def _reported(self, what: str) -> Iterator[None]:
        """Say what is done and how long it took; an error is said, and the loop goes on."""
        out.print(f"\n[bold cyan]{escape(what)}[/bold cyan]")
        began = monotonic()
        try:
            yield
        except Exception as error:
            text = message_of(error)
            if text is None:
                raise
            err.print(f"[red]error:[/red] {escape(text)}")
        else:
            out.print(f"  [dim]{monotonic() - began:.1f} s[/dim]")

    def _deploy(self, stacks: tuple[str, ...] = STACKS) -> None:
        from localcloud.cli.progress import DeploymentProgress
        from localcloud.cli.stacks import print_step, summary_of
        from localcloud.deploy.errors import ProtectedError
        from localcloud.deploy.stacks import unprotect, up

        for stack in stacks:
            forget_program(self._project)
            progress = DeploymentProgress(
                out, f"Stack {stack}", print_step, announce=not out.is_terminal
            )
            arguments = (self._project, stack, self._url, progress.show)
            with progress:
                try:
                    changes, _ = up(*arguments, self._settings, own_account())
                except ProtectedError as error:
                    if not self._agreed(str(error)):
                        raise
                    unprotect(stack, self._url)
                    changes, _ = up(*arguments, self._settings, own_account())
            out.print(f"  {stack}: {summary_of(changes, progress.seconds)}")

    def _agreed(self, text: str) -> bool:
        """Return whether a person wants to lose what is protected."""
        if not sys.stdin.isatty():
            return False
        err.print(escape(text))
        err.print("Remove the protection, and go on? y or n")
        while (key := pressed_key(_PATIENCE_SECONDS)) not in ("y", "n", ""):
            pass
        return key == "y"

    def _outputs(self) -> dict[str, Any]:
        from localcloud.cli.outputs import labs_outputs

        return labs_outputs(self._url)

    def _push_image(self) -> None:
        from localcloud.cli.images import push

        outputs = self._outputs()
        with out.status("the image is built …"):
            image = push(
                *(self._project / "model", outputs["repositoryName"], self._url),
                release=outputs["imageParameter"],
                say=print_detail,
            )
            for note in image["notes"]:
                print_detail(note)
        out.print(f"  image {image['tag'].rpartition('/')[2]}", highlight=False)

    def _upload(self, dataset: str) -> None:
        from localcloud.cli.dataset import upload

        with out.status(f"{dataset} is uploaded …"):
            place = upload(self._url, dataset, [], quiet=True)
        out.print(
            f"  {dataset} started execution {place['execution']} of {place['pipeline']}",
            highlight=False,
        )

    def _train(self) -> None:
        name = self._outputs()["pipelineName"]
        started = client("codepipeline", self._url).start_pipeline_execution(name=name)
        out.print(f"  {name} started: execution {started['pipelineExecutionId']}", highlight=False)


def forget_program(project: Path) -> None:
    """Forget the program's modules, so that the next run reads them; libraries stay loaded."""
    own = tuple(str(project / name) + "/" for name in ("components", "policy"))
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(own):
            del sys.modules[name]
