"""The monitor over captured rows: rows/s and peak memory, on one instance and on four.

    python -m benchmarks.monitor [--rows 10000000] [--without-evidently]

The captures have six columns of numbers and two of categories, one row each, and the answers of a
classifier; half of the columns drift. Four instances run at the same time, each on a quarter of the
files, and a fifth process merges their partials; the reports must be equal. A tenth of the rows is
measured, too, to show that the memory does not grow with them. Evidently, if `make test-peers` has
set up its environment, reads the same files and computes the PSI of the same columns; its process
reads the files by orjson, as the monitor does. SIGTERM and Ctrl-C stop all processes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.clouds import ROOT, exit_on_sigterm
from model.baseline import Baseline, ColumnBaseline, Histogram, LabelBaseline, count_values

ROWS_PER_FILE = 20_000
TRAINING_ROWS = 10_000
SITES = ("north", "south", "east", "west")
SHARDS = 4
PEER = ROOT / "tests" / "peers" / ".venv" / "bin" / "python"
# Evidently reads the same lines; it holds all rows, and computes the PSI of each column.
_EVIDENTLY = """
import json, pathlib, resource, sys
from array import array
import numpy as np
import orjson
import pandas as pd
from evidently.legacy.calculations.stattests import psi_stat_test
from evidently.legacy.core import ColumnType
names = json.loads(sys.argv[2])
columns = [array("d") for _ in names[:6]] + [[] for _ in names[6:]]
for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.jsonl")):
    for line in path.open("rb"):
        text = orjson.loads(line)["captureData"]["endpointInput"]["data"]
        cells = text.rstrip().split(",")
        for column, cell in zip(columns, cells[:6]):
            column.append(float(cell))
        for column, cell in zip(columns[6:], cells[6:]):
            column.append(sys.intern(cell))
numbers = {name: np.frombuffer(column) for name, column in zip(names, columns[:6])}
current = pd.DataFrame(numbers | dict(zip(names[6:], columns[6:])))
del columns
reference = pd.read_csv(sys.argv[3])
scores = {}
for number, name in enumerate(names):
    kind = ColumnType("num" if number < 6 else "cat")
    scores[name] = float(psi_stat_test(reference[name], current[name], kind, None).drift_score)
used = resource.getrusage(resource.RUSAGE_SELF)
processor = used.ru_utime + used.ru_stime
print(json.dumps({"rows": len(current), "processor": processor, "KiB": used.ru_maxrss}))
"""
_MONITOR = """
import json, resource, runpy, sys
sys.argv = ["model", "monitor"]
try:
    runpy.run_module("model", run_name="__main__")
except SystemExit as ended:
    assert not ended.code, ended.code
used = resource.getrusage(resource.RUSAGE_SELF)
processor = used.ru_utime + used.ru_stime
print(json.dumps({"processor": processor, "KiB": used.ru_maxrss}))
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """The time and memory of some processes that ran at the same time.

    Attributes:
        seconds: from the first start to the last end.
        processor: processor time of all of them, in seconds.
        mebibytes: the largest peak of a process.
    """

    seconds: float
    processor: float
    mebibytes: float


def columns_of(random: np.random.Generator, rows: int, shift: float) -> list[list[str]]:
    """Return the cells of eight columns, of which half are shifted.

    Args:
        random: the source of the values.
        rows: number of rows.
        shift: standard deviations that three columns of numbers are shifted by.
    """
    found = []
    for number in range(6):
        values = random.normal(10 + shift * (number % 2), 1, rows).round(3)
        found.append([repr(value) for value in values.tolist()])
    shares = [0.25] * 4 if not shift else [0.4, 0.2, 0.2, 0.2]
    found.append(random.choice(SITES, rows).tolist())
    found.append(random.choice(SITES, rows, p=shares).tolist())
    return found


def write_captures(directory: Path, rows: int, random: np.random.Generator) -> None:
    """Write capture files of 20,000 rows each, 25 files an hour.

    Args:
        directory: where the captures go.
        rows: number of rows.
        random: the source of the values.
    """
    for number in range(-(-rows // ROWS_PER_FILE)):
        hour = number // 25
        place = directory / f"shop/AllTraffic/2026/01/{1 + hour // 24:02}/{hour % 24:02}"
        place.mkdir(parents=True, exist_ok=True)
        size = min(ROWS_PER_FILE, rows - number * ROWS_PER_FILE)
        cells = zip(*columns_of(random, size, 0.5), strict=True)
        answers = random.integers(0, 2, size).tolist()
        time_ = f"2026-01-{1 + hour // 24:02}T{hour % 24:02}:00:00Z"
        with (place / f"{number:06}.jsonl").open("w") as file:
            for row, (texts, answer) in enumerate(zip(cells, answers, strict=True)):
                file.write(
                    '{"captureData":{"endpointInput":{"observedContentType":"text/csv","mode":'
                    f'"INPUT","data":"{",".join(texts)}\\n","encoding":"CSV"}},"endpointOutput":'
                    '{"observedContentType":"text/csv; charset=utf-8","mode":"OUTPUT","data":'
                    f'"{"ab"[answer]}\\n","encoding":"CSV"}}}},"eventMetadata":{{"eventId":'
                    f'"{number:08x}-0000-4000-8000-{row:012x}","inferenceTime":"{time_}"}},'
                    '"eventVersion":"0"}\n'
                )


def write_baseline(path: Path, training: Path, random: np.random.Generator) -> list[str]:
    """Write the baseline of unshifted rows, and these rows as CSV; return the columns' names."""
    cells = columns_of(random, TRAINING_ROWS, 0.0)
    names = [f"column {number}" for number in range(8)]
    columns = []
    for name, texts in zip(names[:6], cells, strict=False):
        values = np.array(texts, np.float32)
        edges = tuple(np.quantile(values, np.linspace(0, 1, 11)).tolist())
        counts = tuple(count_values(edges, values)[1:-1].tolist())
        low, high, mean, std = (float(f(values)) for f in (np.min, np.max, np.mean, np.std))
        columns.append(ColumnBaseline(name, 0.0, Histogram(edges, counts), low, high, mean, std))
    for name, texts in zip(names[6:], cells[6:], strict=True):
        columns.append(ColumnBaseline(name, counts={site: texts.count(site) for site in SITES}))
    half = TRAINING_ROWS // 2
    label = LabelBaseline("label", {"a": half, "b": half})
    path.write_text(json.dumps(Baseline(TRAINING_ROWS, label, tuple(columns)).as_json()))
    rows = [",".join(names), *map(",".join, zip(*cells, strict=True))]
    training.write_text("\n".join(rows) + "\n")
    return names


def instance(base: Path, baseline: Path, captures: Sequence[tuple[Path, str]], host: int) -> Path:
    """Make the directories of one instance, with links to its files.

    Args:
        base: where they go.
        baseline: the baseline's file.
        captures: each file and its name under the captures.
        host: number of the instance from 1; 0 if it is the only one.
    """
    root = base / "processing"
    for directory in ("baseline", "captures"):
        (root / directory).mkdir(parents=True)
    os.link(baseline, root / "baseline" / "baseline.json")
    for path, name in captures:
        (root / "captures" / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(path, root / "captures" / name)
    if host:
        hosts = [f"algo-{number + 1}" for number in range(SHARDS)]
        (base / "config").mkdir()
        config = {"current_host": hosts[host - 1], "hosts": hosts}
        (base / "config" / "resourceconfig.json").write_text(json.dumps(config))
    return base


def monitor(bases: Sequence[Path]) -> Figures:
    """Run the monitor over each directory, all at the same time; return the figures."""
    commands = [[sys.executable, "-c", _MONITOR]] * len(bases)
    return _run(commands, [{"SAGEMAKER_BASE_DIR": str(base)} for base in bases])


def _run(commands: Sequence[list[str]], variables: Sequence[dict[str, str]]) -> Figures:
    started = time.perf_counter()
    processes = [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **given},
            stdout=subprocess.PIPE,
            text=True,
        )
        for command, given in zip(commands, variables, strict=True)
    ]
    try:
        answers = [process.communicate()[0] for process in processes]
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
                process.wait()
    seconds = time.perf_counter() - started
    assert not any(process.returncode for process in processes), answers
    used = [json.loads(answer.splitlines()[-1]) for answer in answers]
    peak = max(one["KiB"] for one in used) / 1024
    return Figures(seconds, sum(one["processor"] for one in used), peak)


def report_of(base: Path) -> dict[str, Any]:
    """Return the report of a finished monitor."""
    found: dict[str, Any] = json.loads((base / "processing/report/monitor.json").read_text())
    return found


def measure(root: Path, rows: int, *, with_evidently: bool) -> None:
    """Write the captures, run everything over them and print the figures.

    Args:
        root: an empty directory.
        rows: number of rows.
        with_evidently: run Evidently, too.
    """
    random = np.random.default_rng(1)
    baseline, training = root / "baseline.json", root / "training.csv"
    names = write_baseline(baseline, training, random)
    captures = root / "captures"
    write_captures(captures, rows, random)
    files = [(path, str(path.relative_to(captures))) for path in sorted(captures.rglob("*.jsonl"))]
    size = sum(path.stat().st_size for path, _ in files)
    print(f"{rows:,} rows of 8 columns, {len(files):,} files, {size / 2**30:.2f} GiB", flush=True)

    few = files[: max(1, len(files) // 10)]
    _say(
        "a tenth, one instance",
        min(rows, len(few) * ROWS_PER_FILE),
        monitor([instance(root / "tenth", baseline, few, 0)]),
    )
    one = instance(root / "one", baseline, files, 0)
    alone = monitor([one])
    _say("one instance", rows, alone)
    # The state holds predictions of the run before.
    state = one / "processing/state/state.json"
    after = instance(root / "after", baseline, few, 0)
    (after / "processing" / "state").mkdir()
    document = json.loads(state.read_text())
    document |= {"hours": {}, "watermark": ""}
    (after / "processing/state/state.json").write_text(json.dumps(document))
    _say("a tenth, with the state", min(rows, len(few) * ROWS_PER_FILE), monitor([after]))
    shards = [
        instance(root / f"algo-{at + 1}", baseline, files[at::SHARDS], at + 1)
        for at in range(SHARDS)
    ]
    _say("four instances", rows, monitor(shards))
    merge = instance(root / "merge", baseline, [], 0)
    (merge / "processing" / "partials").mkdir()
    for at, base in enumerate(shards):
        name = f"algo-{at + 1}.json"
        os.link(base / "processing/partial" / name, merge / "processing/partials" / name)
    _say("merging their partials", rows, monitor([merge]))
    assert report_of(merge) == report_of(one)
    assert report_of(one)["rows"] == rows
    print(f"  the reports are equal: {report_of(one)['message'][:100]}")
    if not with_evidently or not PEER.exists():
        print("  Evidently: not measured (run `make test-peers` first)")
        return
    command = [str(PEER), "-W", "ignore", "-c", _EVIDENTLY]
    arguments = [str(captures), json.dumps(names), str(training)]
    theirs = _run([[*command, *arguments]], [{"DO_NOT_TRACK": "1"}])
    _say("Evidently, PSI only", rows, theirs)
    print(
        f"  processor time and memory of one instance, relative to Evidently: "
        f"{alone.processor / theirs.processor:.2f} and {alone.mebibytes / theirs.mebibytes:.3f}"
    )


def _say(name: str, rows: int, figures: Figures) -> None:
    print(
        f"  {name:24} {figures.seconds:7.1f} s {rows / figures.seconds:10,.0f} rows/s "
        f"{figures.processor:7.1f} s of processor time "
        f"{figures.mebibytes:8.0f} MiB",
        flush=True,
    )


def main() -> None:
    """Measure, in a directory that is removed afterwards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--without-evidently", action="store_true")
    options = parser.parse_args()
    exit_on_sigterm()
    with tempfile.TemporaryDirectory() as directory:
        measure(Path(directory), options.rows, with_evidently=not options.without_evidently)


if __name__ == "__main__":
    main()
