"""Rewrites an ONNX model's trees so that they are evaluated faster.

There are two changes, and neither changes a prediction:

- The boosted trees of a two-class model become a regression of the second class's score, and the
  probabilities and the label are computed from the score. ONNX Runtime adds one number per tree
  faster than it adds to a list of scores. `model.forest_export` writes forests so from the start.
- The feature that most roots split on is stored with the model. Rows sorted by that feature take
  similar paths through the trees one after another, which helps the processor's branch predictor.

Source: https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleRegressor.html
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

from model.predictor import SORT_BY

_ML = "ai.onnx.ml"
_TREES = {"TreeEnsembleClassifier", "TreeEnsembleRegressor"}


def optimize_trees(model: ModelProto, *, tie_is_second: bool = False) -> None:
    """Rewrite a model's trees in place; a model without trees stays as it is.

    Args:
        model: the ONNX model.
        tie_is_second: the second of two equally probable classes is the label.
    """
    nodes = model.graph.node
    trees = next((node for node in nodes if node.op_type in _TREES), None)
    if trees is None:
        return
    attributes = {item.name: helper.get_attribute_value(item) for item in trees.attribute}
    if _has_one_score(trees, attributes):
        _write_as_regression(model, trees, attributes, tie_is_second=tie_is_second)
    helper.set_model_props(model, {SORT_BY: str(_most_common_root_feature(attributes))})


def _has_one_score(trees: NodeProto, attributes: dict[str, Any]) -> bool:
    """Return True for a two-class classifier whose leaves hold only the second class's score."""
    return (
        trees.op_type == "TreeEnsembleClassifier"
        and len(attributes["classlabels_int64s"]) == 2
        and set(attributes["class_ids"]) == {0}
        and attributes["post_transform"] == b"LOGISTIC"
    )


def _write_as_regression(
    model: ModelProto, trees: NodeProto, attributes: dict[str, Any], *, tie_is_second: bool
) -> None:
    graph = model.graph
    label, probabilities = trees.output
    kept = {
        name: value
        for name, value in attributes.items()
        if name.startswith("nodes_") or name == "base_values"
    }
    leaves = {f"target_{of}": attributes[f"class_{of}"] for of in ("nodeids", "treeids", "weights")}
    leaves["target_ids"] = [0] * len(attributes["class_ids"])
    # Both probabilities of a score s, [1 - s, s], are s times the slope plus the offset.
    written = [
        helper.make_node(
            "TreeEnsembleRegressor",
            trees.input,
            ["sums"],
            domain=_ML,
            n_targets=1,
            **kept,
            **leaves,
        ),
        helper.make_node("Sigmoid", ["sums"], ["score"]),
        helper.make_node("Gemm", ["score", "slope", "offset"], [probabilities]),
        helper.make_node(
            "ArgMax",
            [probabilities],
            [label],
            axis=1,
            keepdims=0,
            select_last_index=int(tie_is_second),
        ),
    ]
    nodes = list(graph.node)
    at = nodes.index(trees)
    nodes[at : at + 1] = written
    del graph.node[:]
    graph.node.extend(nodes)
    constants = {"slope": [[-1, 1]], "offset": [1, 0]}
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, np.float32), name)
        for name, value in constants.items()
    )


def _most_common_root_feature(attributes: dict[str, Any]) -> int:
    """Return the feature that the largest number of roots split on."""
    roots: dict[int, int] = {}
    for tree, feature in zip(
        attributes["nodes_treeids"], attributes["nodes_featureids"], strict=True
    ):
        roots.setdefault(tree, feature)  # a tree's first node is its root
    return Counter(roots.values()).most_common(1)[0][0]
