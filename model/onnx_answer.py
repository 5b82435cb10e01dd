"""The end of an exported ONNX model: what its scores or values become, and its outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper


def answer_nodes(
    scores: str, label: str, probabilities: str, classes: int
) -> tuple[list[NodeProto], dict[str, NDArray[np.float32]]]:
    """Return the nodes that make probabilities and a label of scores, and their constants.

    Args:
        scores: the tensor of the scores, shape (rows, classes), or (rows, 1) of two classes.
        label: the tensor of the label.
        probabilities: the tensor of the probabilities.
        classes: their number, from 2.
    """
    constants: dict[str, NDArray[np.float32]] = {}
    if classes > 2:
        nodes = [helper.make_node("Softmax", [scores], [probabilities], axis=1)]
    else:
        # Both probabilities of a share s, [1 - s, s], are s times the slope plus the offset.
        constants["slope"] = np.array([[-1, 1]], np.float32)
        constants["offset"] = np.array([1, 0], np.float32)
        nodes = [
            helper.make_node("Sigmoid", [scores], ["share"]),
            helper.make_node("Gemm", ["share", "slope", "offset"], [probabilities]),
        ]
    nodes.append(helper.make_node("ArgMax", [probabilities], [label], axis=1, keepdims=0))
    return nodes, constants


def answer_outputs(value: str, label: str, probabilities: str, classes: int) -> list[Any]:
    """Return the outputs of a model: class numbers and probabilities, or a regression's values.

    Args:
        value: the tensor of a regression's values.
        label: the tensor of the label.
        probabilities: the tensor of the probabilities.
        classes: their number; 0 for a regression.
    """
    if not classes:
        return [helper.make_tensor_value_info(value, TensorProto.FLOAT, [None, 1])]
    return [
        helper.make_tensor_value_info(label, TensorProto.INT64, [None]),
        helper.make_tensor_value_info(probabilities, TensorProto.FLOAT, [None, classes]),
    ]
