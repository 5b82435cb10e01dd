"""Writes histogram boosting with categories as an ONNX model.

A split of scikit-learn's on a column of categories sends a set of them to the left. skl2onnx does
not know such splits; ONNX's TreeEnsemble of version 5 has them, as BRANCH_MEMBER.

Source: https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from model.onnx_answer import answer_nodes, answer_outputs
from model.predictor import SORT_BY
from model.thresholds import categories_of_splits, floor_32, original_features

_ML = "ai.onnx.ml"
_INPUT, _SUMS, _SCORES, _LABEL, _PROBABILITIES = "input", "sums", "scores", "label", "probabilities"
_LEQ, _MEMBER = 0, 6
_SUM, _NO_TRANSFORM = 1, 0
# A place that no category has: the set of a split that sends only missing ones to the left.
_NO_CATEGORY = 0.0


def boosting_to_onnx(boosting: Any, width: int) -> ModelProto:
    """Return the ONNX model of fitted histogram boosting.

    Its input is float32, shape (rows, width). Its outputs are class numbers and probabilities, or a
    regression's values.

    Args:
        boosting: a classifier or a regressor with categorical features.
        width: numbers per row.
    """
    scores = len(boosting._predictors[0])
    classes = len(boosting.classes_) if hasattr(boosting, "classes_") else 0
    trees, sort_by = _ensemble(boosting, scores)
    base = np.asarray(boosting._baseline_prediction, np.float64).reshape(1, -1)
    constants = {"base": base.astype(np.float32)}
    nodes = [trees]
    result = _SCORES if classes else "value"
    nodes.append(helper.make_node("Add", [_SUMS, "base"], [result]))
    if classes:
        answer, of_answer = answer_nodes(_SCORES, _LABEL, _PROBABILITIES, classes)
        nodes += answer
        constants |= of_answer
    graph = helper.make_graph(
        nodes,
        "boosting",
        [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, [None, width])],
        answer_outputs("value", _LABEL, _PROBABILITIES, classes),
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_ML, 5)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    helper.set_model_props(model, {SORT_BY: str(sort_by)})
    return model


def _ensemble(boosting: Any, scores: int) -> tuple[NodeProto, int]:
    """Return the trees, and the feature that the largest number of roots split on."""
    trees = list(chain.from_iterable(boosting._predictors))
    sizes = [len(tree.nodes) for tree in trees]
    nodes = np.concatenate([tree.nodes for tree in trees])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    of_tree = np.repeat(np.arange(len(trees)), sizes)
    leaf = nodes["is_leaf"].astype(bool)
    inner = ~leaf
    # Splits and leaves are numbered apart; a child is one or the other.
    place = np.where(leaf, np.cumsum(leaf), np.cumsum(inner)) - 1
    split = nodes[inner]
    begin = starts[of_tree[inner]]
    left, right = begin + split["left"], begin + split["right"]
    categorical = split["is_categorical"].astype(bool)
    features = original_features(boosting)[split["feature_idx"]]
    thresholds = floor_32(np.where(categorical, 0.0, split["num_threshold"]))
    found = [features, categorical * _MEMBER, thresholds, place[left], place[right]]
    found += [leaf[left], leaf[right], split["missing_go_to_left"]]
    roots = place[starts]
    # A tree of a single leaf becomes a split with that leaf on both sides.
    single = np.flatnonzero(leaf[starts])
    alone = roots[single]
    none, one = np.zeros_like(alone), np.ones_like(alone)
    rest = [none, none + _LEQ, none, alone, alone, one, one, none]
    columns = [np.concatenate(pair) for pair in zip(found, rest, strict=True)]
    roots[single] = len(split) + np.arange(len(single))
    sets = [set_ if len(set_) else [_NO_CATEGORY] for set_ in categories_of_splits(boosting)]
    members = [value for set_ in sets for value in (*set_, np.nan)]
    made = {
        "nodes_featureids": columns[0].astype(np.int64),
        "nodes_modes": _tensor(columns[1], np.uint8),
        "nodes_splits": _tensor(columns[2], np.float32),
        "nodes_truenodeids": columns[3].astype(np.int64),
        "nodes_falsenodeids": columns[4].astype(np.int64),
        "nodes_trueleafs": columns[5].astype(np.int64),
        "nodes_falseleafs": columns[6].astype(np.int64),
        "nodes_missing_value_tracks_true": columns[7].astype(np.int64),
        "leaf_targetids": (of_tree[leaf] % scores).astype(np.int64),
        "leaf_weights": _tensor(nodes["value"][leaf], np.float32),
        "tree_roots": roots.astype(np.int64),
    }
    if members:
        made["membership_values"] = _tensor(members, np.float32)
    node = helper.make_node(
        "TreeEnsemble",
        [_INPUT],
        [_SUMS],
        domain=_ML,
        n_targets=scores,
        aggregate_function=_SUM,
        post_transform=_NO_TRANSFORM,
        **{name: _value(value) for name, value in made.items()},
    )
    return node, int(np.bincount(columns[0][roots].astype(np.int64)).argmax())


def _tensor(values: Any, kind: type) -> TensorProto:
    return numpy_helper.from_array(np.asarray(values, kind))


def _value(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.ndarray) else value


def has_categories(estimator: Any) -> bool:
    """Return True if an estimator splits on sets of categories."""
    found: NDArray[np.bool_] | None = getattr(estimator, "is_categorical_", None)
    return found is not None and bool(found.any())
