"""Rows per second and peak memory of the data check, beside others that read the same rows.

    python -m benchmarks.data_check [--rows 250000,1000000]

Each is measured in a process of its own, on the same zip of eleven columns:

    check       the data check: rows read, statistics, equal rows
    training    training's own reading, which holds the table
    csv         Python's csv module alone, a floor for anything in Python that reads text
    pandas      read_csv and describe, and duplicated; left out if pandas is not installed (it is no
                dependency of this project)
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

from model.archive import read_archive
from model.entries import TRAIN, ZipEntries
from model.hyperparameters import parse_hyperparameters
from model.inspection import inspect_dataset

_COLUMNS, _PART = 10, 50_000
# The limit of training would refuse the larger zip.
_NO_LIMIT = 1 << 40


def write_zip(path: Path, rows: int) -> None:
    """Write a dataset zip of normally distributed numbers, in parts."""
    random = np.random.default_rng(0)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open(TRAIN, "w", force_zip64=True) as entry,
    ):
        for begin in range(0, rows, _PART):
            size = min(_PART, rows - begin)
            numbers = random.normal(size=(size, _COLUMNS)).round(6).tolist()
            labels = random.integers(0, 3, size).tolist()
            lines = (
                f"c{label},{','.join(map(repr, row))}\n"
                for label, row in zip(labels, numbers, strict=True)
            )
            entry.write("".join(lines).encode())


def _check(path: Path) -> None:
    with path.open("rb") as file:
        inspect_dataset(file, path.name, parse_hyperparameters({}), _NO_LIMIT)


def _training(path: Path) -> None:
    read_archive(path.read_bytes(), path.name, max_bytes=_NO_LIMIT)


def _csv(path: Path) -> None:
    with path.open("rb") as file, ZipEntries(file, path.name, _NO_LIMIT) as entries:
        for _ in csv.reader(entries.lines(TRAIN)):
            pass


def _pandas(path: Path) -> None:
    import pandas

    with zipfile.ZipFile(path) as archive, archive.open(TRAIN) as entry:
        table = pandas.read_csv(entry, header=None)
    table.describe(include="all")
    table.duplicated().sum()


READERS: dict[str, Callable[[Path], None]] = {
    "check": _check,
    "training": _training,
    "csv": _csv,
    "pandas": _pandas,
}


def _measure(name: str, path: Path) -> None:
    """Print the seconds that a reader took, and the process's peak memory in MiB."""
    began = perf_counter()
    READERS[name](path)
    seconds = perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(json.dumps([seconds, peak]) + "\n")


def main() -> None:
    """Measure each reader on zips of each size, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", default="250000,1000000", help="numbers of rows, by commas")
    parser.add_argument("--measure", choices=tuple(READERS), help=argparse.SUPPRESS)
    parser.add_argument("--zip", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        _measure(options.measure, options.zip)
        return
    names = [name for name in READERS if name != "pandas" or importlib.util.find_spec("pandas")]
    print(f"{'rows':>10}  {'reader':<10}{'rows/s':>10}{'peak MiB':>10}")
    for rows in map(int, options.rows.split(",")):
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "dataset.zip"
            write_zip(path, rows)
            for name in names:
                command = [sys.executable, "-m", "benchmarks.data_check"]
                done = subprocess.run(
                    [*command, "--measure", name, "--zip", str(path)],
                    capture_output=True,
                    check=True,
                    text=True,
                )
                seconds, peak = json.loads(done.stdout)
                print(f"{rows:>10,}  {name:<10}{rows / seconds:>10,.0f}{peak:>10,.0f}")


if __name__ == "__main__":
    main()
