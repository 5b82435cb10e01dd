"""Time and peak memory of making a dataset and of a training job, beside pandas and scikit-learn.

    python -m benchmarks.loading [--rows 500000] [--columns 20] [--repeat 3]
                                 [--peer PYTHON] [--before DIRECTORY]

    dataset     `python -m model.dataset --csv`: read, check, split, compress
    job         `python -m model train` on that zip, logistic regression: read, fit, export,
                compare, measure, plot
    read_csv    pandas.read_csv of the same CSV file
    fit         pandas.read_csv and scikit-learn's logistic regression of the same rows
    … of dates  the same of a file whose last column is a date and a time, beside the file without

`--peer` is an interpreter that has pandas and scikit-learn (default: this one, if it has pandas).
`--before` is another checkout of this project, measured side by side. Each is run in turns, in a
process of its own; the medians are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

_PART = 50_000
_PEER = """
import sys, time
import pandas
table = pandas.read_csv(sys.argv[1])
if sys.argv[2] == "fit":
    import numpy
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    rows = table.drop(columns="label").to_numpy(numpy.float32)
    make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(rows, table["label"])
"""


def write_csv(path: Path, rows: int, columns: int, *, date: bool = False) -> None:
    """Write a CSV file of normally distributed numbers with a label of three classes.

    Args:
        path: the file.
        rows: number of rows.
        columns: number of columns besides the label.
        date: the last of them holds dates with times, in ISO 8601.
    """
    random = np.random.default_rng(0)
    with path.open("w") as file:
        file.write(",".join(["label", *(f"f{n}" for n in range(columns))]) + "\n")
        for begin in range(0, rows, _PART):
            size = min(_PART, rows - begin)
            numbers = random.normal(size=(size, columns)).round(7)
            labels = (numbers[:, :3] + random.normal(size=(size, 3))).argmax(axis=1).tolist()
            shown = [list(map(repr, row)) for row in numbers.tolist()]
            if date:
                moments = random.integers(1_600_000_000, 1_700_000_000, size)
                for row, moment in zip(shown, moments.astype("datetime64[s]"), strict=True):
                    row[-1] = str(moment)
            file.writelines(
                f"c{label},{','.join(row)}\n" for label, row in zip(labels, shown, strict=True)
            )


def measure(
    command: list[str], directory: Path, environment: Callable[[], dict[str, str]]
) -> tuple[float, float]:
    """Return the seconds and the peak MiB of a command and its children."""
    script = (
        "import json, resource, subprocess, sys, time; began = time.perf_counter();"
        "done = subprocess.run(json.loads(sys.argv[1]), stdout=subprocess.DEVNULL,"
        " stderr=subprocess.PIPE, text=True); seconds = time.perf_counter() - began;"
        "sys.exit(done.stderr) if done.returncode else None;"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss;"
        "print(json.dumps([seconds, peak / 1024]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(command)],
        cwd=directory,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr[-2000:]}")
    seconds, peak = json.loads(done.stdout)
    return seconds, peak


def _job(place: Path, zip_file: Path) -> dict[str, str]:
    """Lay out a training job's directories; return its environment."""
    base = Path(tempfile.mkdtemp(dir=place))
    channel = base / "input" / "data" / "dataset"
    config = base / "input" / "config"
    channel.mkdir(parents=True)
    config.mkdir(parents=True)
    (channel / "dataset.zip").hardlink_to(zip_file)
    (config / "hyperparameters.json").write_text('{"algorithm": "logistic-regression"}')
    (config / "inputdataconfig.json").write_text('{"dataset": {"TrainingInputMode": "File"}}')
    return {"SAGEMAKER_BASE_DIR": str(base)}


def main() -> None:
    """Print a table of medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peer", default=sys.executable)
    parser.add_argument("--before", type=Path)
    options = parser.parse_args()
    here = Path(__file__).parent.parent
    with tempfile.TemporaryDirectory() as directory:
        place = Path(directory)
        table, dated = place / "table.csv", place / "dated.csv"
        write_csv(table, options.rows, options.columns)
        write_csv(dated, options.rows, options.columns, date=True)
        print(f"{options.rows:,} x {options.columns}, {table.stat().st_size / 2**20:,.0f} MiB")
        runs: dict[str, Callable[[], tuple[float, float]]] = {}
        checkouts = {"": here, **({" before": options.before} if options.before else {})}
        for name, checkout in checkouts.items():
            zip_file = place / f"dataset{name.strip()}.zip"
            command = [
                *(sys.executable, "-m", "model.dataset", "--csv", str(table)),
                *("--label", "label", "--out", str(zip_file)),
            ]
            train = [sys.executable, "-m", "model", "train"]
            # `python -m` takes the modules of its directory.
            runs[f"dataset{name}"] = partial(measure, command, checkout, dict)
            runs[f"job{name}"] = partial(measure, train, checkout, partial(_job, place, zip_file))
        dated_zip = place / "dated.zip"
        command = [
            *(sys.executable, "-m", "model.dataset", "--csv", str(dated), "--dates", "auto"),
            *("--label", "label", "--out", str(dated_zip)),
        ]
        runs["dataset of dates"] = partial(measure, command, here, dict)
        runs["job of dates"] = partial(
            measure, [sys.executable, "-m", "model", "train"], here, partial(_job, place, dated_zip)
        )
        for peer in ("read_csv", "fit"):
            script = [options.peer, "-c", _PEER, str(table), peer]
            runs[peer] = partial(measure, script, place, dict)
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
        for _ in range(options.repeat):
            for name, run in runs.items():
                found[name].append(run())
        beside = {"dataset": "read_csv", "job": "fit"}
        middle = {
            name: [median(column) for column in zip(*values, strict=True)]
            for name, values in found.items()
        }
        for name, (seconds, peak) in middle.items():
            kind = name.split()[0]
            peer = kind if name.endswith("of dates") else beside.get(kind, name)
            ratio = f"{seconds / middle[peer][0]:.2f} x, {peak / middle[peer][1]:.2f} x"
            print(f"{name:<18} {seconds:>8.2f} s {peak:>8,.0f} MiB   {ratio}")


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    main()
