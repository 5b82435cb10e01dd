"""A model directory that does not hold a model of this container is refused when it is loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from model.errors import ArtifactError
from model.predictor import load

GOOD: dict[str, Any] = {"format": 1, "classes": ["a", "b"], "features": ["x", "y"]}


def model(
    label: int = TensorProto.INT64,
    share: int = TensorProto.FLOAT,
    *,
    given: int = TensorProto.FLOAT,
    shape: tuple[int, ...] = (1,),
) -> bytes:
    """Return a model of two constant outputs, whatever its row is."""
    labels = helper.make_tensor("l", label, shape, np.zeros(shape).flatten().tolist())
    shares = helper.make_tensor("s", share, (1, 2), [0.5, 0.5])
    nodes = [
        helper.make_node("Constant", [], ["label"], value=labels),
        helper.make_node("Constant", [], ["shares"], value=shares),
    ]
    graph = helper.make_graph(
        nodes,
        "constant",
        [helper.make_tensor_value_info("input", given, (None, 2))],
        [
            helper.make_tensor_value_info("label", label, shape),
            helper.make_tensor_value_info("shares", share, (1, 2)),
        ],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())


def saved(directory: Path, metadata: object, onnx_bytes: bytes) -> Path:
    text = metadata if isinstance(metadata, str) else json.dumps(metadata)
    (directory / "metadata.json").write_text(text)
    (directory / "model.onnx").write_bytes(onnx_bytes)
    return directory


def test_a_model_of_the_right_types_is_loaded(tmp_path: Path) -> None:
    predictor, columns, _ = load(saved(tmp_path, GOOD, model()))
    assert (predictor.classes, columns.names) == (("a", "b"), ("x", "y"))


@pytest.mark.parametrize(
    ("onnx_bytes", "names"),
    [
        (b"", "does not load"),
        (b"no model", "does not load"),
        (model(TensorProto.INT32), "outputs of the types int32 and float32"),
        (model(share=TensorProto.DOUBLE), "outputs of the types int64 and float64"),
        (model(given=TensorProto.DOUBLE), "does not load"),
        (model(shape=(1, 1)), r"outputs of the shapes \(1, 1\)"),
    ],
)
def test_a_model_of_other_types_is_refused(tmp_path: Path, onnx_bytes: bytes, names: str) -> None:
    with pytest.raises(ArtifactError, match=names):
        load(saved(tmp_path, GOOD, onnx_bytes))


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"format": 1, "classes": ' + "[" * 100_000,
        {"format": 2},
        {"format": 1, "features": ["x", "y"]},
        GOOD | {"classes": "abc"},
        GOOD | {"classes": [1, 2]},
        GOOD | {"classes": None},
        GOOD | {"classes": ["a", "b", "c"]},
        GOOD | {"features": "xy"},
        GOOD | {"features": [1, 2]},
        GOOD | {"features": []},
        GOOD | {"features": None},
        GOOD | {"features": ["x"]},
        GOOD | {"lineage": "job"},
        GOOD | {"columns": []},
        GOOD | {"columns": {"columns": []}},
        GOOD | {"columns": {"columns": "xy", "accept_missing": False}},
        GOOD | {"columns": {"columns": [{"name": 1}, {"name": 2}], "accept_missing": False}},
        GOOD | {"columns": {"columns": [{"name": "x", "categories": 3}], "accept_missing": False}},
        GOOD | {"columns": {"columns": [{"name": "x", "fill": "y"}], "accept_missing": False}},
        GOOD | {"columns": {"columns": [1, 2], "accept_missing": False}},
    ],
)
def test_metadata_that_describes_no_model_is_refused(tmp_path: Path, metadata: object) -> None:
    with pytest.raises(ArtifactError):
        load(saved(tmp_path, metadata, model()))
