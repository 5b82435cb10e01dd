"""Writes a forest as an ONNX model, a whole array at a time.

skl2onnx visits each node in Python and rewrites the model several times: 500 unlimited trees take a
minute and gigabytes. scikit-learn has the nodes of a tree as arrays, and ONNX takes them as lists.

Source: https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleRegressor.html
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from model.onnx_answer import answer_outputs
from model.predictor import SORT_BY
from model.thresholds import floor_32

FORESTS = (
    *(RandomForestClassifier, RandomForestRegressor),
    *(ExtraTreesClassifier, ExtraTreesRegressor),
)
_ML = "ai.onnx.ml"
_INPUT, _SUMS, _LABEL, _PROBABILITIES = "input", "sums", "label", "probabilities"
_BRANCH, _LEAF = b"BRANCH_LEQ", b"LEAF"


def forest_to_onnx(forest: Any, width: int) -> ModelProto:
    """Return the ONNX model of a fitted forest.

    Its input is float32, shape (rows, width). Its outputs are class numbers and probabilities, or a
    regression's values.

    Args:
        forest: one of FORESTS.
        width: numbers per row.
    """
    trees = [estimator.tree_ for estimator in forest.estimators_]
    count = len(trees)
    classes = getattr(forest, "n_classes_", 0)
    # tree_.value holds the shares of the classes in a leaf, or its mean, shape (nodes, 1, scores).
    leaves = [np.flatnonzero(tree.children_left < 0) for tree in trees]
    values = [tree.value[at, 0, :] for tree, at in zip(trees, leaves, strict=True)]
    scores = np.concatenate(values)
    treeids = np.repeat(np.arange(count), [len(at) for at in leaves])
    nodeids = np.concatenate(leaves)
    made = _nodes(trees)
    parts = dict[str, Any]()
    nodes: list[NodeProto] = []
    if classes > 2:
        parts = _leaves("class", treeids, nodeids, scores / count)
        ensemble = helper.make_node(
            "TreeEnsembleClassifier", [_INPUT], [_LABEL, _PROBABILITIES], domain=_ML
        )
        made["classlabels_int64s"] = np.arange(classes)
        made["post_transform"] = b"NONE"
        nodes = [ensemble]
    else:
        # Of two classes, the votes for the second; they are added first and divided then, as
        # scikit-learn does, so that half of the votes are a tie for any number of trees.
        of = votes(scores[:, 1:2]) if classes else scores / count
        parts = _leaves("target", treeids, nodeids, of)
        ensemble = helper.make_node(
            "TreeEnsembleRegressor", [_INPUT], [_SUMS if classes else "value"], domain=_ML
        )
        made["n_targets"] = 1
        nodes = [ensemble]
        if classes:
            nodes += [
                helper.make_node("Gemm", [_SUMS, "slope", "offset"], [_PROBABILITIES]),
                helper.make_node("ArgMax", [_PROBABILITIES], [_LABEL], axis=1, keepdims=0),
            ]
    constants = {"slope": [[-1 / count, 1 / count]], "offset": [1, 0]} if classes == 2 else {}
    graph = helper.make_graph(
        nodes,
        "forest",
        [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, [None, width])],
        answer_outputs("value", _LABEL, _PROBABILITIES, classes),
        [
            numpy_helper.from_array(np.array(value, np.float32), name)
            for name, value in constants.items()
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_ML, 3)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    roots = [int(tree.feature[0]) for tree in trees if tree.feature[0] >= 0]
    sort_by = np.bincount(roots).argmax() if roots else 0
    # Into the model itself: each of the messages above was copied.
    for name, value in (made | parts).items():
        _add_attribute(model.graph.node[0], name, value)
    helper.set_model_props(model, {SORT_BY: str(int(sort_by))})
    return model


def _nodes(trees: list[Any]) -> dict[str, Any]:
    inner = np.concatenate([tree.children_left >= 0 for tree in trees])
    sizes = [tree.node_count for tree in trees]

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(tree, name) for tree in trees])

    left, right = joined("children_left"), joined("children_right")
    thresholds = floor_32(np.where(inner, joined("threshold"), 0.0))
    return {
        "nodes_treeids": np.repeat(np.arange(len(trees)), sizes),
        "nodes_nodeids": np.concatenate([np.arange(size) for size in sizes]),
        "nodes_featureids": np.where(inner, joined("feature"), 0),
        "nodes_values": thresholds,
        "nodes_modes": [_BRANCH if is_inner else _LEAF for is_inner in inner.tolist()],
        "nodes_truenodeids": np.where(inner, left, 0),
        "nodes_falsenodeids": np.where(inner, right, 0),
    }


def _leaves(
    kind: str, treeids: NDArray[Any], nodeids: NDArray[Any], scores: NDArray[Any]
) -> dict[str, Any]:
    """Return the attributes of leaves' scores, shape (leaves, scores)."""
    of = scores.shape[1]
    return {
        f"{kind}_treeids": np.repeat(treeids, of),
        f"{kind}_nodeids": np.repeat(nodeids, of),
        f"{kind}_ids": np.tile(np.arange(of), len(scores)),
        f"{kind}_weights": scores.astype(np.float32).ravel(),
    }


def votes(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return shares, 0 to 1, with those that differ from 0 or 1 by a rounding error set to it."""
    whole = shares.round()
    return np.where(np.abs(shares - whole) < np.finfo(np.float32).eps, whole, shares)


def _add_attribute(node: NodeProto, name: str, value: Any) -> None:
    """Add an attribute to a node, without a look at each of its elements."""
    attribute = node.attribute.add()
    attribute.name = name
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        attribute.type = AttributeProto.FLOATS
        attribute.floats.extend(value.tolist())
    elif isinstance(value, np.ndarray):
        attribute.type = AttributeProto.INTS
        attribute.ints.extend(value.tolist())
    elif isinstance(value, list):
        attribute.type = AttributeProto.STRINGS
        attribute.strings.extend(value)
    elif isinstance(value, bytes):
        attribute.type, attribute.s = AttributeProto.STRING, value
    else:
        attribute.type, attribute.i = AttributeProto.INT, value
