"""The table of trees: the same answers as scikit-learn, and nothing that a damaged one can do."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

import model.tree_table
from model import predictor as predictor_module
from model.decision import Decided, Decision
from model.fitting import fit_and_measure
from model.forest_export import votes
from model.hyperparameters import parse_hyperparameters
from model.predictor import load
from model.tree_predictor import AVAILABLE, TreePredictor
from model.tree_table import tree_table
from tests.cloud import ROOT
from tests.examples import examples
from tests.unit.model.models import model_of, rows

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="needs a C compiler and Python.h")
CLASSES = ("a", "b", "c", "d")
# Tables that the sanitizer looks at, a third of a second for each thousand.
DAMAGED_TABLES = 2000


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """On a busy machine, the threads of histogram boosting mostly wait for each other."""
    with threadpool_limits(1):
        yield


def fitted(estimator: Any, name: str = "iris") -> tuple[Any, np.ndarray]:
    data, truth = (load_iris if name == "iris" else load_breast_cancer)(return_X_y=True)
    data = data.astype(np.float32)
    return estimator.fit(data, truth), data


def table_of(estimator: Any, width: int, decision: Decision | None = None) -> TreePredictor:
    table = tree_table(estimator, width, b"", decision)
    assert table is not None
    return TreePredictor(table, width, CLASSES[: len(getattr(estimator, "classes_", ()))])


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 63, 64, 65, 150])
def test_any_number_of_rows_is_scored(count: int) -> None:
    estimator, data = fitted(RandomForestClassifier(13, random_state=0))
    numbers, values = table_of(estimator, 4).run(data[:count])
    assert np.array_equal(numbers, estimator.predict(data[:count]))
    assert np.abs(values - estimator.predict_proba(data[:count])).max() < 1e-7


def test_large_tables_score_all_rows_by_one_tree_after_the_other() -> None:
    chance = np.random.default_rng(0)
    data = chance.normal(size=(6000, 6)).astype(np.float32)
    truth = chance.integers(0, 3, 6000)
    estimator = RandomForestClassifier(30, random_state=0).fit(data, truth)
    predictor = table_of(estimator, 6)
    assert sum(tree.tree_.node_count for tree in estimator.estimators_) * 12 > 1 << 20
    numbers, values = predictor.run(data)
    assert np.array_equal(numbers, estimator.predict(data))
    assert np.abs(values - estimator.predict_proba(data)).max() < 1e-7


def test_no_rows_are_scored_as_none() -> None:
    estimator, data = fitted(RandomForestClassifier(3, random_state=0))
    numbers, values = table_of(estimator, 4).run(data[:0])
    assert (numbers.shape, values.shape) == ((0,), (0, 3))


def test_equal_votes_are_answered_as_scikit_learn_does() -> None:
    data = np.array([[0.0], [1.0]] * 20, np.float32)
    forest = RandomForestClassifier(2, bootstrap=False, random_state=0).fit(data, [0, 1] * 20)
    forest.estimators_[1] = type(forest.estimators_[0])().fit(data, [1, 0] * 20)
    boosted = GradientBoostingClassifier(n_estimators=1).fit(np.zeros((4, 1)), [0, 1, 0, 1])
    equal = HistGradientBoostingClassifier(max_iter=1).fit(np.zeros((4, 1)), [0, 1, 0, 1])
    for estimator, answer in ((forest, 0), (boosted, 1), (equal, 0)):
        numbers, values = table_of(estimator, 1).run(data[:2])
        assert values.tolist() == [[0.5, 0.5]] * 2
        assert numbers.tolist() == estimator.predict(data[:2]).tolist() == [answer] * 2


def test_missing_numbers_and_categories_go_where_they_were_learnt_to_go() -> None:
    chance = np.random.default_rng(0)
    data = chance.normal(size=(800, 4)).astype(np.float32)
    data[:, 0] = chance.integers(1, 200, 800)
    data[:, 1] = data[:, 1].round()
    data[chance.random(data.shape) < 0.2] = np.nan
    value = np.nan_to_num(data[:, 0] % 7) + np.nan_to_num(data[:, 1], nan=3.0) - data[:, 2] ** 2
    value = np.nan_to_num(value, nan=-4.0)
    for estimator in (
        HistGradientBoostingRegressor(categorical_features=[0], random_state=0),
        HistGradientBoostingClassifier(categorical_features=[0], random_state=0),
    ):
        is_regressor = isinstance(estimator, HistGradientBoostingRegressor)
        estimator.fit(data, value if is_regressor else np.digitize(value, [0, 3]))
        asked = data[:300].copy()
        asked[:150, 0] = np.arange(1, 151)
        asked[150:, 1:] = np.where(chance.random((150, 3)) < 0.5, np.nan, asked[150:, 1:])
        numbers, values = table_of(estimator, 4).run(asked)
        if is_regressor:
            assert np.allclose(values[:, 0], estimator.predict(asked), rtol=1e-6, atol=1e-6)
        else:
            assert np.array_equal(numbers, estimator.predict(asked))
            assert np.abs(values - estimator.predict_proba(asked)).max() < 1e-7


@pytest.mark.parametrize(
    "decision",
    [
        Decision(0, threshold=0.8),
        Decision(1, threshold=0.3, slope=-1.7, offset=0.4),
        Decision(1, slope=-0.2, offset=-2.0),
        Decision(0, points=np.array([[0.1, 0.0], [0.4, 0.2], [0.9, 0.95]])),
        Decision(1, threshold=0.5, points=np.array([[0.3, 0.6]])),
    ],
)
@pytest.mark.parametrize(
    "estimator",
    [
        RandomForestClassifier(9, max_depth=4, random_state=0),
        HistGradientBoostingClassifier(max_iter=10),
        GradientBoostingClassifier(n_estimators=10, random_state=0),
    ],
)
def test_decisions_are_those_of_the_metadata(estimator: Any, decision: Decision) -> None:
    estimator, data = fitted(estimator, "cancer")
    numbers, values = table_of(estimator, 30, decision).run(data)
    decided = Decided(estimator, decision)
    assert np.abs(values - decided.predict_proba(data)).max() < 1e-6
    assert (numbers != decided.predict(data)).sum() == 0


def test_only_trees_have_a_table_and_not_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    logistic, _ = fitted(LogisticRegression(max_iter=1000))
    assert tree_table(logistic, 4, b"") is None
    forest, _ = fitted(RandomForestRegressor(3, random_state=0))
    table = tree_table(forest, 4, b"")
    assert table is not None
    monkeypatch.setattr(model.tree_table, "MAX_TABLE_BYTES", len(table) // 2)
    assert tree_table(forest, 4, b"") is None


def test_a_table_that_cannot_be_used_leaves_the_model_to_onnx_runtime(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_of(tmp_path, rows(60, 0), rows(30, 1), algorithm="random-forest", n_estimators="5")
    place = tmp_path / "model"
    whole = (place / "trees.bin").read_bytes()
    assert load(place)[0].engine == "its table of trees"
    for damaged, reason in (
        (b"", "it was not made with this model.onnx"),
        (whole[:-1], "its size is not that of its parts"),
        (whole[:40] + b"\1" + whole[41:], "not a table of trees"),
        (whole[:8] + bytes(32) + whole[40:], "it was not made with this model.onnx"),
    ):
        (place / "trees.bin").write_bytes(damaged)
        caplog.clear()
        predictor, _, _ = load(place)
        assert predictor.engine == "ONNX Runtime"
        assert reason in caplog.text
        assert "trees.bin is not used, and ONNX Runtime scores: " in caplog.text
    (place / "trees.bin").write_bytes(whole)
    monkeypatch.setattr(predictor_module, "MAX_TABLE_BYTES", len(whole) - 1)
    caplog.clear()
    assert load(place)[0].engine == "ONNX Runtime"
    assert f"it has {len(whole)} bytes; at most {len(whole) - 1} are read" in caplog.text


def test_without_the_extension_a_job_writes_no_table_and_onnx_runtime_serves(
    tmp_path: Path,
) -> None:
    model_of(tmp_path, rows(60, 0), rows(30, 1), algorithm="random-forest", n_estimators="5")
    assert (tmp_path / "model" / "trees.bin").exists()
    program = (
        "import sys\nsys.modules['tree_walk'] = None\nfrom pathlib import Path\n"
        "from model.predictor import load\nfrom model.fitting import AVAILABLE\n"
        f"print(load(Path({str(tmp_path / 'model')!r}))[0].engine, AVAILABLE)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "ONNX Runtime False\n", done.stderr


def test_a_worker_that_scores_trees_does_not_load_onnx_runtime(tmp_path: Path) -> None:
    model_of(tmp_path, rows(60, 0), rows(30, 1), algorithm="random-forest", n_estimators="5")
    program = (
        "import sys\nfrom pathlib import Path\nimport model.server\n"
        f"model.server.load(Path({str(tmp_path / 'model')!r}))\n"
        "print(sorted({'onnxruntime', 'onnx', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_a_table_that_answers_otherwise_is_left_out_of_the_model(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.unit.model.test_model_decision import cancer, dataset_of

    data, truth = cancer()
    dataset = dataset_of(data, ["ab"[number] for number in truth], ("a", "b"))
    hyperparameters = parse_hyperparameters({"algorithm": "random-forest", "n_estimators": "5"})
    monkeypatch.setattr(model.tree_table, "votes", lambda shares: 1 - votes(shares))
    with caplog.at_level(logging.INFO):
        artifacts = fit_and_measure(dataset, hyperparameters)
    assert artifacts.tree_table is None
    assert "its table of trees is left out, and ONNX Runtime will score: " in caplog.text


@pytest.mark.fuzz
def test_damaged_tables_stay_within_their_memory(tmp_path: Path) -> None:
    compiler = shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs gcc and its sanitizers")
    extension = tmp_path / "tree_walk.so"
    command = [
        *(compiler, "-O1", "-g", "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"),
        *("-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"),
        f"-I{sysconfig.get_paths()['include']}",
        *(str(ROOT / "model" / "tree_walk" / "tree_walk.c"), "-o", str(extension), "-lm"),
    ]
    built = subprocess.run(command, capture_output=True, text=True)
    absent = ("Python.h", "libasan", "-lasan", "-lubsan")
    if built.returncode and any(name in built.stderr for name in absent):
        pytest.skip("needs Python.h and gcc's sanitizers")
    # Where a kernel places memory at random over too wide a range, the sanitizer cannot start.
    fixed = ["setarch", "-R"] if shutil.which("setarch") else []
    if fixed and subprocess.run([*fixed, "true"], capture_output=True, check=False).returncode:
        fixed = []
    assert not built.returncode, built.stderr
    libraries = [
        subprocess.run(
            [compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libubsan.so")
    ]
    done = subprocess.run(
        [
            *(*fixed, sys.executable, "-m", "tests.unit.model.tree_walk_fuzz", str(extension)),
            *(str(examples(DAMAGED_TABLES)), str(np.random.default_rng().integers(1 << 30))),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "LD_PRELOAD": " ".join(libraries),
            "ASAN_OPTIONS": "detect_leaks=0",
        },
    )
    assert done.returncode == 0, f"{done.args}\n{done.stdout}\n{done.stderr}"
    taken, refused = (int(part.split()[1]) for part in done.stdout.split(", "))
    assert taken > 0
    assert refused > 0
