"""Writes the trees of an estimator as a table, by which a server scores without ONNX Runtime.

The table is derived from the same estimator as the ONNX model, carries its SHA-256, and gives the
same answers; `tree_walk/tree_walk.c` reads it. It is a file of numbers in this order, of which
each part begins where the one before ends:

    header    magic, SHA-256 of the ONNX model, counts and settings (`_HEADER`), 120 bytes
    base      float64, one for each output: what the sum over the trees begins with
    values    float64: what a leaf adds, one number or one for each output
    points    float64, (points, 2): the isotonic calibration
    roots     uint32, one for each tree: its first node
    targets   uint32, one for each tree: the output it adds to; all ones: it adds to all of them
    sets      uint32, (sets, 8): the categories that go to the second child, a bit each
    nodes     12 bytes each: threshold (float32), number of the row (uint32), child (uint32)

A number above the threshold goes to the second child, which is the node behind the first one; all
else goes to the first one, NaN included. Where a missing number has to go to the right, the right
child is the first one and the number is compared negated: a row is followed by NaN and by its
negated numbers. Children lie behind their parents, in the order of a breadth-first search, so that
one look at a table proves that every walk ends. A leaf compares the NaN behind a row, and leads to
itself; its threshold's bits are the place of its value. Numbers and children are counted in bytes.

Example, for rows of three numbers: a split of the last one at 0.5 with two leaves is the nodes
(0.5, 8, 12), (place of the value, 12, 12) and (place of the value, 12, 24).
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)

from model.decision import Decision
from model.forest_export import FORESTS, votes
from model.predictor import MAX_TABLE_BYTES
from model.thresholds import (
    categories_of_splits,
    floor_32,
    known_categories,
    original_features,
)

_MAGIC = b"TREES\0\0\1"
_HEADER = struct.Struct("<8s32s12I4d")
_NODE = np.dtype([("threshold", "<u4"), ("feature", "<u4"), ("child", "<u4")])
_IDENTITY, _SIGMOID, _SOFTMAX, _SHARE = range(4)
_TIE_IS_SECOND, _CALIBRATED, _THRESHOLD = 1, 2, 4
_CATEGORIES, _VECTOR = 1 << 31, (1 << 32) - 1
# scikit-learn's categories of histogram boosting are places up to 255.
_SET_BITS = 256


@dataclass(frozen=True, slots=True)
class _Trees:
    """The nodes of all trees, one tree after the other.

    Attributes:
        sizes: nodes of each tree.
        first, second: children within the tree, 0 for a leaf.
        leaf: which nodes are leaves.
        threshold: float32; of a split on categories, the bits of the number of its set.
        feature: places in a row, with the flags of the table.
        values: what the leaves add, in the order of the nodes, shape (leaves, numbers).
        targets: the output of each tree.
    """

    sizes: NDArray[np.int64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    leaf: NDArray[np.bool_]
    threshold: NDArray[np.uint32]
    feature: NDArray[np.int64]
    values: NDArray[np.float64]
    targets: NDArray[np.uint32]
    sets: NDArray[np.uint32]


def tree_table(
    estimator: Any,
    width: int,
    onnx_bytes: bytes,
    decision: Decision | None = None,
) -> bytes | None:
    """Return the table of an estimator, or None if it has no trees or its table is too large.

    Args:
        estimator: a fitted estimator.
        width: numbers per row.
        onnx_bytes: the ONNX model of the same estimator.
        decision: the calibration and the threshold of two classes, or None.
    """
    classes = len(getattr(estimator, "classes_", ()))
    outputs = classes if classes > 2 else 1
    flags, divisor = 0, 1.0
    base = np.zeros(outputs)
    link = (_SOFTMAX if classes > 2 else _SIGMOID) if classes else _IDENTITY
    if isinstance(estimator, FORESTS):
        divisor = float(len(estimator.estimators_))
        link = _SHARE if classes else _IDENTITY
    elif isinstance(estimator, GradientBoostingClassifier | GradientBoostingRegressor):
        base = estimator._raw_predict_init(np.zeros((1, width), np.float32))[0]
        flags |= _TIE_IS_SECOND if classes == 2 else 0
    elif isinstance(estimator, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
        base = np.ravel(estimator._baseline_prediction)
    else:
        return None
    if _bytes_of(estimator, outputs) > MAX_TABLE_BYTES:
        return None
    trees = _trees_of(estimator, width, classes)
    nodes, roots = _nodes(trees, width)
    points = np.empty((0, 2))
    slope = offset = threshold = 0.0
    positive = 0
    if decision is not None:
        positive = decision.positive
        if decision.slope is not None:
            flags |= _CALIBRATED
            slope, offset = decision.slope, decision.offset
        elif decision.points is not None:
            # A function of one point is the same everywhere.
            points = decision.points if len(decision.points) > 1 else _constant(decision.points)
        if decision.threshold is not None:
            flags |= _THRESHOLD
            threshold = decision.threshold
    header = _HEADER.pack(
        _MAGIC,
        hashlib.sha256(onnx_bytes).digest(),
        *(width, outputs, classes, link, flags, positive),
        *(len(roots), len(nodes), trees.values.size, len(trees.sets), len(points), 0),
        *(divisor, slope, offset, threshold),
    )
    parts = (
        *(base.astype("<f8"), trees.values.astype("<f8"), points.astype("<f8")),
        *(roots.astype("<u4"), trees.targets.astype("<u4"), trees.sets.astype("<u4"), nodes),
    )
    return header + b"".join(part.tobytes() for part in parts)


def _constant(points: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([[0.0, points[0, 1]], [1.0, points[0, 1]]])


def _bytes_of(estimator: Any, outputs: int) -> int:
    """Return about how many bytes a table takes, before it is made."""
    if hasattr(estimator, "_predictors"):
        return sum(len(t.nodes) for t in chain.from_iterable(estimator._predictors)) * 20
    trees = [grown.tree_ for grown in np.ravel(estimator.estimators_)]
    of_leaf = 8 * outputs if isinstance(estimator, FORESTS) else 8
    return sum(12 * tree.node_count + of_leaf * tree.n_leaves for tree in trees)


def _trees_of(estimator: Any, width: int, classes: int) -> _Trees:
    if hasattr(estimator, "_predictors"):
        return _of_histograms(estimator, width)
    trees = [grown.tree_ for grown in np.ravel(estimator.estimators_)]

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(tree, name) for tree in trees])

    left, right = joined("children_left"), joined("children_right")
    leaf = left < 0
    values = np.concatenate([tree.value[tree.children_left < 0, 0, :] for tree in trees])
    targets = np.zeros(len(trees), np.uint32)
    if isinstance(estimator, FORESTS):
        if classes == 2:
            values = votes(values[:, 1:2])
        elif classes > 2:
            targets[:] = _VECTOR
    else:
        values = values * estimator.learning_rate
        targets = np.arange(len(trees), dtype=np.uint32) % np.shape(estimator.estimators_)[1]
    return _Trees(
        np.array([tree.node_count for tree in trees]),
        np.where(leaf, 0, left),
        np.where(leaf, 0, right),
        leaf,
        floor_32(np.where(leaf, 0.0, joined("threshold"))).view(np.uint32),
        np.where(leaf, 0, 4 * joined("feature")),
        values,
        targets,
        np.empty((0, _SET_BITS // 32), np.uint32),
    )


def _of_histograms(boosting: Any, width: int) -> _Trees:
    trees = list(chain.from_iterable(boosting._predictors))
    nodes = np.concatenate([tree.nodes for tree in trees])
    leaf = nodes["is_leaf"].astype(bool)
    categorical = nodes["is_categorical"].astype(bool) & ~leaf
    feature = original_features(boosting)[np.where(leaf, 0, nodes["feature_idx"])]
    missing_left = nodes["missing_go_to_left"].astype(bool) | leaf
    known = known_categories(boosting)
    # What is in no set goes where a missing category goes, an unknown category included.
    sets = [
        np.setdiff1d(known[at], to_left) if is_left else to_left
        for at, is_left, to_left in zip(
            feature[categorical].tolist(),
            missing_left[categorical].tolist(),
            categories_of_splits(boosting),
            strict=True,
        )
    ]
    in_sets = np.zeros((len(sets), _SET_BITS), bool)
    for place, of_second in enumerate(sets):
        in_sets[place, of_second.astype(np.int64)] = True
    threshold = floor_32(np.where(leaf | categorical, 0.0, nodes["num_threshold"]))
    # x <= t exactly if -x is above the next 32-bit float after t, negated.
    above = -np.nextafter(threshold, np.float32(np.inf))
    bits_of = np.where(missing_left, threshold, above).view(np.uint32)
    bits_of[categorical] = np.arange(len(in_sets))
    negated = ~missing_left & ~categorical
    left, right = (np.where(leaf, 0, nodes[side]).astype(np.int64) for side in ("left", "right"))
    return _Trees(
        np.array([len(tree.nodes) for tree in trees]),
        np.where(missing_left, left, right),
        np.where(missing_left, right, left),
        leaf,
        bits_of,
        4 * (feature + (width + 1) * negated) | categorical * _CATEGORIES,
        nodes["value"][leaf][:, np.newaxis],
        np.arange(len(trees), dtype=np.uint32) % len(boosting._predictors[0]),
        np.packbits(in_sets, axis=1, bitorder="little").view("<u4"),
    )


def _nodes(trees: _Trees, width: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return the nodes of the table, and each tree's root.

    All trees are searched at once, a level at a time. Sorted by tree, the nodes of one keep their
    order: children behind their parents, and the two of a parent next to each other.
    """
    starts = np.cumsum(trees.sizes) - trees.sizes
    tree_of = np.repeat(np.arange(len(trees.sizes)), trees.sizes)
    first, second = trees.first + starts[tree_of], trees.second + starts[tree_of]
    level = starts
    levels = []
    while len(level):
        levels.append(level)
        inner = level[~trees.leaf[level]]
        level = np.column_stack([first[inner], second[inner]]).ravel()
    order = np.concatenate(levels)
    order = order[np.argsort(tree_of[order], kind="stable")]
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    leaf = trees.leaf[order]
    value = (np.cumsum(trees.leaf) - 1) * trees.values.shape[1]
    nodes = np.empty(len(order), _NODE)
    nodes["threshold"] = np.where(leaf, value[order], trees.threshold[order])
    nodes["feature"] = np.where(leaf, 4 * width, trees.feature[order])
    nodes["child"] = np.where(leaf, np.arange(len(order)), place[first[order]]) * _NODE.itemsize
    return nodes, place[starts] * _NODE.itemsize
