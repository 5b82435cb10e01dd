"""Writes a decision about two classes into an ONNX model, so that serving needs nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper, numpy_helper

from model.decision import Decision

# The tensor of the raw scores, by the module that writes it.
_RAW = ("scores", "sums")
_CALIBRATED, _DECIDED = "calibrated_probabilities", "decided_label"


def add_decision(model: ModelProto, estimator: Any, decision: Decision) -> None:
    """Add the calibration and the threshold to a model of two classes, in place.

    Args:
        model: the ONNX model; its outputs are the label and the probabilities.
        estimator: the classifier that it was exported from.
        decision: its decision.
    """
    graph = model.graph
    label, probabilities = graph.output
    made: list[NodeProto] = []

    def constant(name: str, value: Any, kind: Any = np.float32) -> str:
        graph.initializer.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        made.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    shares = probabilities.name
    if decision.slope is not None or decision.points is not None:
        second = add("Gather", [shares, constant("second", [1], np.int64)], "second_share", axis=1)
        if decision.slope is not None:
            raw = second
            if hasattr(estimator, "decision_function"):
                raw = _raw_scores(model)
            inner = add("Mul", [raw, constant("calibration_slope", -decision.slope)], "inner")
            inner = add("Add", [inner, constant("calibration_offset", -decision.offset)], "shifted")
            second = add("Sigmoid", [inner], "calibrated_share")
        elif decision.points is not None:
            second = _isotonic(decision.points, second, add, constant)
        both = [second, constant("to_both", [[-1, 1]]), constant("of_both", [1, 0])]
        shares = add("Gemm", both, _CALIBRATED)
    if decision.threshold is None:
        decided = add("ArgMax", [shares], _DECIDED, axis=1, keepdims=0)
    else:
        place = constant("positive", decision.positive, np.int64)
        positive = add("Gather", [shares, place], "positive_share", axis=1)
        threshold = constant("threshold", decision.threshold)
        # The second class is 1: that is the answer if it is positive, or if the first one is not.
        compare = "GreaterOrEqual" if decision.positive else "Less"
        is_second = add(compare, [positive, threshold], "is_second")
        decided = add("Cast", [is_second], _DECIDED, to=label.type.tensor_type.elem_type)
    graph.node.extend(made)
    label.name, probabilities.name = decided, shares


def _raw_scores(model: ModelProto) -> str:
    """Return the tensor of the scores before the model's own sigmoid, shape (rows, 1)."""
    for node in model.graph.node:
        for output in node.output:
            if output in _RAW:
                return str(output)
    raise ValueError("the model has no raw scores")


def _isotonic(points: NDArray[np.float64], share: str, add: Any, constant: Any) -> str:
    """Return the tensor of the piecewise function of a probability, shape (rows, 1).

    It is the first value, and for each piece its rise times the part of it below the probability.
    """
    before, after = points.T
    widths = np.diff(before) if len(before) > 1 else np.ones(1)
    rises = np.diff(after) if len(after) > 1 else np.zeros(1)
    starts = before[:-1] if len(before) > 1 else before
    beyond = add("Sub", [share, constant("piece_starts", starts[np.newaxis])], "beyond")
    part = add("Div", [beyond, constant("piece_widths", widths[np.newaxis])], "part")
    part = add("Clip", [part, constant("none", 0.0), constant("whole", 1.0)], "part_of_piece")
    risen = add("MatMul", [part, constant("piece_rises", rises[:, np.newaxis])], "risen")
    return str(add("Add", [risen, constant("first_value", after[0])], "isotonic_share"))
