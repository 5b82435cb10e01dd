"""`python -m model evaluate`: the real process, with the directories as SageMaker makes them."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.model.container import JOB_NAME, child_environment
from tests.unit.model.models import HYPERPARAMETERS, archive, model_of, rows

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Evaluated:
    code: int
    message: str
    log: str
    directory: Path

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.directory / "evaluation.json").read_text())
        return found


def evaluate(base: Path, files: Mapping[str, bytes], **variables: str) -> Evaluated:
    """Run the command on inputs, each of one file."""
    for name, content in files.items():
        directory = base / "processing" / name
        directory.mkdir(parents=True)
        file = {"dataset": "abc", "reference": "model.json"}.get(name, "model.tar.gz")
        (directory / file).write_bytes(content)
    given = {
        f"SM_HP_{key.upper()}": value for key, value in {**HYPERPARAMETERS, **variables}.items()
    }
    done = subprocess.run(
        [sys.executable, "-m", "model", "evaluate"],
        cwd=ROOT,
        env=child_environment(SAGEMAKER_BASE_DIR=str(base), **given),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    message = (base / "output" / "message").read_text()
    return Evaluated(
        done.returncode, message, done.stdout + done.stderr, base / "processing" / "report"
    )


@pytest.fixture(scope="module")
def validation() -> str:
    return rows(200, seed=7)


@pytest.fixture(scope="module")
def dataset(validation: str) -> bytes:
    return archive(rows(200, seed=1), validation)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, validation: str) -> bytes:
    return model_of(tmp_path_factory.mktemp("good"), rows(200, seed=1), validation)


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory, validation: str) -> bytes:
    """A model of rows of which two fifths have the wrong label, and much noise."""
    trained = rows(60, seed=2, noise=3, flipped=0.4)
    return model_of(tmp_path_factory.mktemp("bad"), trained, validation)


def test_a_first_model_is_evaluated_by_itself(tmp_path: Path, dataset: bytes, good: bytes) -> None:
    done = evaluate(tmp_path, {"dataset": dataset, "candidate": good})
    assert done.code == 0, done.log
    assert re.fullmatch(
        r"accuracy [01]\.\d{4} \([01]\.\d{4} to [01]\.\d{4}\) on 200 rows; "
        "there is no approved model yet",
        done.message,
    )
    assert done.log.splitlines()[-1] == done.message
    assert done.report["champion"] is None
    assert done.report["candidate"]["training_job"] == JOB_NAME
    assert done.report["candidate"]["onnx_bytes"] > 0
    assert "<h1>Candidate and champion</h1>" in (done.directory / "evaluation.html").read_text()


def test_an_equal_model_passes(tmp_path: Path, dataset: bytes, good: bytes) -> None:
    done = evaluate(tmp_path, {"dataset": dataset, "candidate": good, "champion": good})
    assert done.code == 0, done.log
    assert done.message.endswith("difference (+0.0000 to +0.0000) on 200 rows: not worse")
    assert done.report["mcnemar_p_value"] == 1


def test_a_worse_model_is_blocked(tmp_path: Path, dataset: bytes, good: bytes, bad: bytes) -> None:
    done = evaluate(tmp_path, {"dataset": dataset, "candidate": bad, "champion": good})
    assert done.code == 1
    assert "on 200 rows: worse for sure" in done.message
    assert done.report["verdict"] == "worse"
    assert done.report["metrics"][0]["worse_for_sure_by"] > 0
    assert any(one["worse"] for one in done.report["slices"])
    assert 'class="lost"' in (done.directory / "evaluation.html").read_text()


def test_a_better_model_passes(tmp_path: Path, dataset: bytes, good: bytes, bad: bytes) -> None:
    done = evaluate(tmp_path, {"dataset": dataset, "candidate": good, "champion": bad})
    assert done.code == 0
    assert done.report["metrics"][0]["interval"][0] > 0
    assert done.message.endswith("on 200 rows: better for sure")


@pytest.mark.parametrize(
    ("variables", "said"),
    [({"promotion_gate": "warn"}, "(gate: warn)"), ({"maximum_regression": "0.9"}, "not worse")],
)
def test_a_worse_model_may_pass_by_the_settings(
    tmp_path: Path, dataset: bytes, good: bytes, bad: bytes, variables: dict[str, str], said: str
) -> None:
    files = {"dataset": dataset, "candidate": bad, "champion": good}
    done = evaluate(tmp_path, files, **variables)
    assert done.code == 0
    assert said in done.message


@pytest.mark.parametrize("started_by", ["drift", "schedule"])
def test_a_retrained_model_must_be_better(
    tmp_path: Path, dataset: bytes, good: bytes, bad: bytes, started_by: str
) -> None:
    files = {"dataset": dataset, "candidate": good, "champion": good}
    equal = evaluate(tmp_path / "equal", files, started_by=started_by, promotion_gate="warn")
    assert equal.code == 1
    assert equal.message.endswith(
        f": not worse; retrained on {started_by}, so it must be better: not promoted"
    )
    assert (equal.report["stops"], equal.report["started_by"]) == (True, started_by)
    better = evaluate(tmp_path / "better", {**files, "champion": bad}, started_by=started_by)
    assert better.code == 0
    first = {"dataset": dataset, "candidate": good}
    assert evaluate(tmp_path / "first", first, started_by=started_by).code == 0


def test_what_started_an_execution_is_one_of_three(tmp_path: Path, good: bytes) -> None:
    done = evaluate(tmp_path, {"candidate": good}, started_by="boredom")
    assert done.code == 1
    assert "started_by is 'boredom'; it must be dataset, drift or schedule" in done.message


def test_a_champion_of_other_columns_is_not_compared(
    tmp_path: Path, dataset: bytes, good: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    narrow = "".join(f"{line.rpartition(',')[0]}\n" for line in rows(100, seed=3).splitlines())
    other = model_of(tmp_path_factory.mktemp("narrow"), narrow, narrow)
    done = evaluate(tmp_path, {"dataset": dataset, "candidate": good, "champion": other})
    assert done.code == 0
    assert done.message.endswith("; the approved model has other columns")
    assert done.report["no_champion_because"] == "the approved model has other columns"


def test_a_regression_is_judged_by_r2(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    lines = [f"{2 * value + rng.normal(0, 0.1):.4f},{value:.4f}" for value in x]
    train_rows, held = "\n".join(lines[:200]) + "\n", "\n".join(lines[200:]) + "\n"
    linear = {"algorithm": "linear-regression"}
    made = model_of(tmp_path_factory.mktemp("regression"), train_rows, held, **linear)
    files = {"dataset": archive(train_rows, held), "candidate": made, "champion": made}
    done = evaluate(tmp_path, files, **linear)
    assert done.code == 0, done.log
    assert done.message.startswith("r2 0.99")
    assert [metric["metric"] for metric in done.report["metrics"]] == ["r2", "mae"]


def _tar(name: str, content: bytes) -> bytes:
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as files:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        files.addfile(entry, io.BytesIO(content))
    return body.getvalue()


@pytest.mark.parametrize(
    ("candidate", "said"),
    [
        (b"no archive", "is not a model.tar.gz"),
        (_tar("other", b"x"), "cannot read"),
        (_tar("../model.onnx", b"x"), "cannot read"),
        (_tar("metadata.json", b"{"), "metadata.json is not JSON"),
    ],
    ids=["no archive", "no model", "a path that leads out", "broken metadata"],
)
def test_what_is_no_model_is_named_in_one_line(
    tmp_path: Path, dataset: bytes, candidate: bytes, said: str
) -> None:
    done = evaluate(tmp_path, {"dataset": dataset, "candidate": candidate})
    assert done.code == 1
    assert done.message.startswith("the evaluation failed: ")
    assert said in done.message
    assert "Traceback" not in done.log
    assert not done.directory.exists()


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"promotion_gate": "stop"}, "promotion_gate is 'stop'; it must be block or warn"),
        ({"maximum_regression": "2"}, "maximum_regression is '2'; it must be 0 to 1"),
        ({"maximum_regression": "nan"}, "maximum_regression is 'nan'; it must be 0 to 1"),
    ],
)
def test_a_setting_that_is_not_valid_is_named(
    tmp_path: Path, dataset: bytes, good: bytes, variables: dict[str, str], said: str
) -> None:
    done = evaluate(tmp_path, {"dataset": dataset, "candidate": good}, **variables)
    assert (done.code, done.message) == (1, f"the evaluation failed: {said}")


def test_the_page_shows_text_of_a_model_as_text(tmp_path: Path, validation: str) -> None:
    hostile = "<script>alert(1)</script>"
    named = f"class,{hostile},y,z\n"
    with_header = {"header": "yes"}
    made = model_of(tmp_path / "m", named + rows(200, 1), named + validation, **with_header)
    files = {
        "dataset": archive(named + rows(200, 1), named + validation),
        "candidate": made,
        "champion": made,
    }
    done = evaluate(tmp_path / "e", files, **with_header)
    assert done.code == 0, done.log
    page = (done.directory / "evaluation.html").read_text()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_first_evaluation_begins_a_reference_set_and_the_next_one_keeps_it(
    tmp_path: Path, dataset: bytes, good: bytes, bad: bytes
) -> None:
    first = evaluate(tmp_path / "first", {"dataset": dataset, "candidate": good})
    assert first.report["reference"]["state"] == "begun"
    assert first.report["reference"]["why"] == "there is no reference set yet"
    frozen = (first.directory / "reference.json").read_bytes()
    assert first.report["reference"]["sha256"] == hashlib.sha256(frozen).hexdigest()
    other = archive(rows(200, seed=1), rows(60, seed=11, noise=2))
    inputs = {"dataset": other, "candidate": bad, "champion": good, "reference": frozen}
    second = evaluate(tmp_path / "second", inputs, promotion_gate="warn")
    reference = second.report["reference"]
    assert (second.report["rows"], reference["state"], reference["rows"]) == (60, "kept", 200)
    assert reference["sha256"] == first.report["reference"]["sha256"]
    score = reference["metrics"][0]
    assert score["champion"] == first.report["metrics"][0]["candidate"]
    assert score["interval"][1] < 0
    said = f"; frozen reference: {score['candidate']:.4f}, champion {score['champion']:.4f}"
    assert second.message.endswith(said)
    assert not (second.directory / "reference.json").exists()
    assert (
        "200 rows, the same for every model" in (second.directory / "evaluation.html").read_text()
    )


@pytest.mark.parametrize(
    ("content", "state", "why"),
    [
        (b"{", "unreadable", "model.json is cut off, or is no reference set"),
        (
            b'{"version": 1, "features": ["other"], "labels": ["a"], "rows": [[1]]}',
            "begun",
            "the frozen rows have other columns",
        ),
    ],
)
def test_a_reference_set_that_does_not_fit_stops_nothing(
    tmp_path: Path, dataset: bytes, good: bytes, content: bytes, state: str, why: str
) -> None:
    done = evaluate(tmp_path, {"dataset": dataset, "candidate": good, "reference": content})
    assert done.code == 0, done.log
    assert done.report["reference"]["state"] == state
    assert done.report["reference"]["why"].startswith(why)
    assert (done.directory / "reference.json").exists() == (state == "begun")
    assert f"{state}: " in (done.directory / "evaluation.html").read_text()
