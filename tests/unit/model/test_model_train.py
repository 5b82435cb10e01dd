"""The training job as a child process, according to the container contract."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from model.child import Ending
from model.train import killed_reason
from model.tree_predictor import AVAILABLE
from tests.archives import zip_of
from tests.unit.model.container import (
    JOB_ARN,
    JOB_NAME,
    TrainingResult,
    lay_out,
    train,
    training_environment,
)

CONTRACT = (
    "https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html"
)
GOOD_ROWS = "yes,1,2\nyes,2,1\nno,8,9\nno,9,8\n"


def test_a_dataset_zip_becomes_an_onnx_model_and_its_metadata(iris: TrainingResult) -> None:
    assert iris.code == 0, iris.log
    files = sorted(path.name for path in (iris.base / "model").iterdir())
    assert files == ["metadata.json", "model.onnx", *(["trees.bin"] if AVAILABLE else [])]


def test_the_metadata_holds_the_classes_the_features_and_the_lineage(iris: TrainingResult) -> None:
    metadata = iris.metadata
    assert metadata["classes"] == ["setosa", "versicolor", "virginica"]
    assert metadata["features"][0] == "sepal length (cm)"
    assert metadata["hyperparameters"]["n_estimators"] == 40
    assert metadata["lineage"]["training_job_name"] == JOB_NAME
    assert metadata["lineage"]["training_job_arn"] == JOB_ARN
    assert metadata["lineage"]["dataset"]["rows"] == {"train": 120, "validation": 30}
    assert re.fullmatch(r"[0-9a-f]{64}", metadata["lineage"]["dataset"]["sha256"])
    assert "scikit-learn" in metadata["packages"]


def test_metrics_are_printed_one_per_line_for_metric_definitions(iris: TrainingResult) -> None:
    found = dict(re.findall(r"^(\w+:\w+)=([0-9.]+)$", iris.log, re.MULTILINE))
    assert set(found) == {
        f"{part}:{name}"
        for part in ("train", "validation")
        for name in ("accuracy", "f1_macro", "log_loss")
    }
    assert float(found["validation:accuracy"]) >= 0.85
    assert float(found["validation:accuracy"]) == pytest.approx(
        iris.metadata["metrics"]["validation"]["accuracy"], abs=1e-6
    )


def test_metrics_and_the_confusion_matrix_are_output_data(iris: TrainingResult) -> None:
    output = iris.base / "output" / "data"
    metrics = json.loads((output / "metrics.json").read_text())
    matrix = json.loads((output / "confusion_matrix.json").read_text())
    assert metrics == iris.metadata["metrics"]
    assert sum(map(sum, matrix["matrix"])) == 30


@pytest.mark.aws_documented(CONTRACT)
def test_a_completed_job_leaves_no_failure_file(iris: TrainingResult) -> None:
    assert not (iris.base / "output" / "failure").exists()


def test_train_and_validation_channels_of_csv_files_are_read(program: Path, tmp_path: Path) -> None:
    channels = {
        "train": {"a.csv": "yes,1,2\nno,8,9\n" * 5, "b.csv": "maybe,5,5\n" * 5},
        "validation": {"c.csv": "yes,1,2\nno,8,9\nmaybe,5,5\n"},
    }
    result = train(program, tmp_path, channels, {"algorithm": "logistic-regression"})
    assert result.code == 0, result.log
    assert result.metadata["classes"] == ["maybe", "no", "yes"]
    assert result.metadata["features"] == ["feature_1", "feature_2"]
    assert "validation:accuracy=1.000000" in result.log


def test_without_validation_rows_a_share_of_the_train_rows_is_held_out(
    program: Path, tmp_path: Path
) -> None:
    hyperparameters = {"algorithm": "gradient-boosting", "n_estimators": "5", "seed": "7"}
    result = train(program, tmp_path, {"train": {"a.csv": GOOD_ROWS * 5}}, hyperparameters)
    assert result.code == 0, result.log
    assert result.metadata["lineage"]["dataset"]["rows"] == {"train": 16, "validation": 4}
    assert "held out" in result.log


BAD_DATASETS: Mapping[str, tuple[bytes | Mapping[str, str], str]] = {
    "not a zip": (b"label,a,b\nyes,1,2\n", r"data\.zip is not a zip file.*model\.dataset"),
    "no bytes": (b"", r"data\.zip is not a zip file \(it has 0 bytes"),
    "empty zip": ({}, r"data\.zip is an empty zip; it must hold train\.csv"),
    "no train.csv": ({"rows.csv": GOOD_ROWS}, r"no train\.csv at its top level; found 'rows\.csv'"),
    "in a folder": ({"a/train.csv": GOOD_ROWS}, r"zip the files themselves, not their folder"),
    "0 rows": ({"train.csv": ""}, r"train\.csv has 0 rows"),
    "no label": ({"train.csv": "yes,1\n,2\n"}, r"row 2: the label \(first column\) is empty"),
    "one column": ({"train.csv": "1\n2\n"}, r"row 1: only one column, so there is no label"),
    "semicolons": ({"train.csv": "a;1\nb;2\n"}, r"separated by semicolons"),
    "measurements for labels": (
        {"train.csv": "".join(f"{n}.5,1,2\n" for n in range(12))},
        r"seems to have no label: its first column holds 12 different decimal numbers",
    ),
    "text in a number column": (
        {
            "train.csv": "yes,1,2\nno,tall,4\n",
            "dataset.json": '{"features": ["height", "width"]}',
        },
        r"row 2, column 2 \(height\) holds 'tall', which is not a number",
    ),
    "a header": ({"train.csv": "label,a,b\n" + GOOD_ROWS}, r"looks like a header: leave it out"),
    "a missing value": ({"train.csv": "yes,1,\nno,1,2\n"}, r"row 1, column 3 is empty; fill"),
    "one class": ({"train.csv": "yes,1,2\nyes,3,4\n"}, r"all 2 rows have the label 'yes'"),
    "ragged rows": ({"train.csv": "yes,1,2\nno,3\n"}, r"row 2: 2 columns, but 3 are expected"),
    "NaN": ({"train.csv": "yes,1,2\nno,nan,4\n"}, r"row 2, column 2 holds 'nan'.*finite"),
    "too large": ({"train.csv": "yes,1,2\nno,1e39,4\n"}, r"too large for a 32-bit float"),
    "a class unseen in training": (
        {"train.csv": GOOD_ROWS, "validation.csv": "maybe,1,2\n"},
        r"validation\.csv, example 1: the class 'maybe' is not in .*train\.csv",
    ),
    "path traversal": (
        {"train.csv": GOOD_ROWS, "../../etc/passwd": "x"},
        r"unsafe entry '\.\./\.\./etc/passwd'",
    ),
    "a single row of a class": (
        {"train.csv": GOOD_ROWS + "maybe,5,5\n"},
        r"single row of 'maybe'; a class needs at least two rows",
    ),
}


@pytest.mark.aws_documented(CONTRACT)
@pytest.mark.parametrize("case", BAD_DATASETS)
def test_a_dataset_that_cannot_train_fails_the_job_with_the_reason(
    case: str, program: Path, tmp_path: Path
) -> None:
    content, reason = BAD_DATASETS[case]
    data = content if isinstance(content, bytes) else zip_of(content)
    result = train(program, tmp_path, {"dataset": {"data.zip": data}})
    assert result.code == 1
    assert re.search(reason, result.failure), result.failure
    assert len(result.failure) <= 1024
    assert "Traceback" not in result.failure + result.log
    assert list(tmp_path.glob("model/*")) == []


@pytest.mark.aws_documented(CONTRACT)
def test_all_invalid_hyperparameters_are_reported_together(program: Path, tmp_path: Path) -> None:
    wrong = {"n_estimators": "many", "depth": "3", "learning_rate": "0.1"}
    result = train(program, tmp_path, {"dataset": {"d.zip": b""}}, wrong)
    assert result.code == 1
    assert "n_estimators is 'many'; it must be a whole number from 1 to 2000" in result.failure
    assert (
        "'depth' is not a hyperparameter; the names are algorithm, n_estimators" in result.failure
    )
    assert "learning_rate does not apply to random-forest" in result.failure


@pytest.mark.aws_documented(CONTRACT)
def test_a_configuration_file_that_is_not_json_fails_the_job_with_the_reason(
    program: Path, tmp_path: Path
) -> None:
    result = train(program, tmp_path, {"dataset": {"d.zip": b""}}, "{not json")
    assert (result.code, result.failure[:32]) == (1, "hyperparameters.json is not JSON")


CHANNELS: Mapping[str, tuple[Mapping[str, Mapping[str, str]], str]] = {
    "none": ({}, r"no channel to train on \(given: none\)"),
    "another name": ({"images": {"a": ""}}, r"channel 'images' is not used here; give either"),
    "both kinds": (
        {"dataset": {"a.zip": ""}, "train": {"a.csv": GOOD_ROWS}},
        r"channels dataset, train are too many",
    ),
    "two zips": (
        {"dataset": {"a.zip": "", "b.zip": ""}},
        r"channel 'dataset' holds 2 files \(a\.zip, b\.zip\)",
    ),
    "no file": ({"train": {}}, r"channel 'train' holds no file"),
    "validation alone": ({"validation": {"a.csv": GOOD_ROWS}}, r"given: validation"),
    "files of two widths": (
        {"train": {"a.csv": GOOD_ROWS, "b.csv": "yes,1\n"}},
        r"train/b\.csv has 1 numbers per row, but the files before it have 2",
    ),
}


@pytest.mark.aws_documented(CONTRACT)
@pytest.mark.parametrize("case", CHANNELS)
def test_wrong_channels_fail_the_job_with_the_reason(
    case: str, program: Path, tmp_path: Path
) -> None:
    channels, reason = CHANNELS[case]
    result = train(program, tmp_path, channels)
    assert result.code == 1
    assert re.search(reason, result.failure), result.failure


def test_pipe_mode_is_refused_by_name(program: Path, tmp_path: Path) -> None:
    result = train(program, tmp_path, {"train": {"a.csv": GOOD_ROWS}}, mode="Pipe")
    assert result.failure == "channel 'train' is in Pipe mode; use File or FastFile"


@pytest.mark.aws_documented(CONTRACT)
def test_a_bug_fails_the_job_with_its_kind_and_leaves_the_traceback_in_the_log(
    program: Path, tmp_path: Path
) -> None:
    (tmp_path / "model").write_text("a file where the directory should be")
    result = train(program, tmp_path, {"train": {"a.csv": GOOD_ROWS * 5}}, {"n_estimators": "2"})
    assert result.code == 1
    assert result.failure.startswith("FileExistsError: ")
    assert "Traceback" not in result.failure
    assert "Traceback" in result.log


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="finds the child in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_training_process_that_is_killed_leaves_the_reason(
    number: signal.Signals, program: Path, iris_zip: bytes, tmp_path: Path
) -> None:
    slow = {"algorithm": "gradient-boosting", "n_estimators": "2000", "max_depth": "20"}
    lay_out(tmp_path, {"dataset": {"iris.zip": iris_zip}}, slow)
    job = subprocess.Popen(
        [sys.executable, "-m", "model", "train"],
        cwd=program,
        env=training_environment(tmp_path) | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert job.stdout is not None
    with job.stdout:
        assert next(job.stdout).startswith("dataset ")
        children = Path(f"/proc/{job.pid}/task/{job.pid}/children").read_text().split()
        # A stop is sent to the container's first process, which is the parent.
        os.kill(job.pid if number is signal.SIGTERM else int(children[0]), number)
        log = job.stdout.read()
    assert job.wait(60) == 128 + number
    failure = tmp_path / "output" / "failure"
    if number is signal.SIGTERM:
        assert not failure.exists()
        return
    reason = (
        r"the training process was killed \(SIGKILL\), probably because memory ran out; it had "
        r"[\d,]+ MiB of memory at most. Use an instance type with more memory, "
    )
    assert re.match(reason, failure.read_text("utf-8"))
    assert "Traceback" not in log


def test_an_ending_by_another_signal_is_named() -> None:
    ending = Ending(139, signal.SIGSEGV, 3 * 2**20)
    expected = "the training process was ended by SIGSEGV; it had 3 MiB of memory at most"
    assert killed_reason(ending) == expected
