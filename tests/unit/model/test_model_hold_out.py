"""The share of a dataset that is held out: of one that is made, and by a training job."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from model import dataset
from model.archive import read_archive
from model.channels import hold_out
from model.rows import ReadOptions
from tests.archives import zip_of
from tests.unit.model.container import train


@pytest.mark.parametrize(("option", "held"), [((), 10), (("--validation-fraction", "0.3"), 15)])
def test_a_dataset_holds_out_a_fifth_of_each_class_or_what_is_asked_for(
    tmp_path: Path, option: tuple[str, ...], held: int
) -> None:
    path = tmp_path / "iris.zip"
    assert dataset.main(["--table", "iris", "--out", str(path), *option]) == 0
    read = read_archive(path.read_bytes(), "iris.zip")
    assert read.validation is not None
    names = ("setosa", "versicolor", "virginica")
    assert dict.fromkeys(names, held) == Counter(read.validation.labels)
    assert dict.fromkeys(names, 50 - held) == Counter(read.train.labels)


@pytest.mark.parametrize(("fraction", "held"), [(0.2, 4), (0.5, 10)])
def test_a_training_job_holds_out_its_share_where_the_dataset_brings_no_validation_rows(
    fraction: float, held: int
) -> None:
    rows = "".join(f"{'ab'[n % 2]},{n},{n * n}\n" for n in range(20))
    alone = read_archive(zip_of({"train.csv": rows}), "t.zip")
    assert alone.validation is None
    split = hold_out(alone, fraction, 0)
    assert split.validation is not None
    assert {"a": held / 2, "b": held / 2} == Counter(split.validation.labels)
    assert len(split.train.labels) == 20 - held
    assert sorted(split.train.rows + split.validation.rows) == sorted(alone.train.rows)
    own = read_archive(zip_of({"train.csv": rows, "validation.csv": "a,1,2\n"}), "t.zip")
    assert hold_out(own, fraction, 0) is own


def test_a_regression_is_split_as_one_class() -> None:
    rows = "".join(f"{n}.5,{n}\n" for n in range(20))
    alone = read_archive(
        zip_of({"train.csv": rows}), "t.zip", read_options=ReadOptions(regression=True)
    )
    split = hold_out(alone, 0.25, 0)
    assert split.validation is not None
    assert (15, 5) == (len(split.train.labels), len(split.validation.labels))


def test_a_training_job_holds_out_what_its_hyperparameter_says(
    program: Path, tmp_path: Path
) -> None:
    rows = "".join(f"{'ab'[n % 2]},{n},{n * n}\n" for n in range(40))
    given = {"validation_fraction": "0.45", "n_estimators": "2"}
    trained = train(program, tmp_path, {"train": {"t.csv": rows}}, given)
    assert trained.code == 0, trained.log
    assert re.search(r"\b22 rows .*\b18 to validate", trained.log), trained.log
