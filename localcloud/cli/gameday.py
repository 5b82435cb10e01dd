"""`localcloud gameday`: faults against the whole lab, from a seed."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from localcloud.cli.console import (
    EXIT_FOUND,
    CommandError,
    errors_in_one_line,
    out,
    require_project,
)

gameday_app = typer.Typer()
_UNITS = {"s": 1, "m": 60, "h": 3600}
_MOST_FAULTS = 100_000


@gameday_app.command()
def gameday(
    seed: Annotated[
        int, typer.Option(help="Decides the schedule; the same seed, the same one.")
    ] = 1,
    faults: Annotated[
        str,
        typer.Option(
            help="Kinds of faults, separated by commas. Default: all.", show_default=False
        ),
    ] = "",
    count: Annotated[int, typer.Option(help="The number of faults.")] = 26,
    duration: Annotated[
        str, typer.Option(help="How long it takes at least, such as 90s, 5m or 1h.")
    ] = "2m",
    clients: Annotated[int, typer.Option(help="Concurrent clients of the endpoint.")] = 4,
    think: Annotated[float, typer.Option(help="Seconds from an answer to the next call.")] = 0.02,
    upload: Annotated[
        float, typer.Option(help="Seconds from the end of a delivery to the next upload.")
    ] = 5.0,
    speed: Annotated[float, typer.Option(help="AWS seconds per wall-clock second.")] = 60.0,
    out_dir: Annotated[
        Path,
        typer.Option("--out", help="Directory of state, log and report; must be new or empty."),
    ] = Path("build/gameday"),
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the schedule as JSON, and do nothing.")
    ] = False,
) -> None:
    """Inject faults into the running lab, and report what each of them cost.

    It starts a local cloud of its own and deploys the lab to it. While clients invoke the
    production endpoint and datasets go through the pipeline, it injects one fault after the other.
    In the end it compares everything that was acknowledged with what is there.

    Exit status: 0 if nothing acknowledged was lost, no process was left behind and the service
    became whole after each fault; otherwise 3; 1 on an error.
    """
    from localcloud.gameday.schedule import FaultKind, schedule

    with errors_in_one_line():
        known = [kind.value for kind in FaultKind]
        given = [name.strip() for name in faults.split(",") if name.strip()] or known
        unknown = [name for name in given if name not in known]
        if unknown:
            raise CommandError(
                f"--faults {', '.join(unknown)}: no such kind; the kinds are: {', '.join(known)}"
            )
        if not 1 <= count <= _MOST_FAULTS:
            raise CommandError(f"--count is {count}; it must be from 1 to {_MOST_FAULTS:,}")
        for name, value, most in (
            ("clients", clients, 256),
            ("think", think, 60),
            ("upload", upload, 3600),
        ):
            if not 0 <= value <= most or (name == "clients" and value < 1):
                raise CommandError(f"--{name} is {value:g}; it must be from 0 to {most}")
        if not 1 <= speed <= 3600:
            raise CommandError(f"--speed is {speed:g}; it must be from 1 to 3600")
        kinds = [FaultKind(name) for name in dict.fromkeys(given)]
        drawn = schedule(seed, kinds, count, _seconds(duration))
        if plan:
            out.print_json(json.dumps([asdict(fault) for fault in drawn]))
            return
        project = Path.cwd()
        require_project(project)
        if (out_dir / "state").exists():
            raise CommandError(
                f"{out_dir} has the state of an earlier game day; choose another with --out, or "
                "delete it"
            )
        from localcloud.gameday.run import GameDay, Options, describe

        out.print(f"[bold]Game day {seed}[/bold]: {count} faults")
        describe(drawn)
        options = Options(seed, drawn, out_dir, clients, think, upload, speed)
        report = GameDay(project, options).run()
        out.print()
        report.print(out)
        out.print(f"  Report: {out_dir / 'gameday.json'}; log: {out_dir / 'localcloud.log'}")
        if not report.passed:
            raise typer.Exit(EXIT_FOUND)


def _seconds(text: str) -> float:
    unit = _UNITS.get(text[-1:].lower())
    try:
        seconds = float(text[:-1] if unit else text) * (unit or 1)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds <= 86_400:
        raise CommandError(
            f"--duration is '{text}'; it must be a time up to 24h, such as 90s or 5m"
        )
    return seconds
