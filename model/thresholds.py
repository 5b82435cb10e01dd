"""Thresholds of trees: as 32-bit floats, and rows that lie on them.

A split sends a row to the left if its number is at most the threshold. scikit-learn stores the
threshold in 64 bits, mostly halfway between two numbers of the training rows; the ONNX model stores
it in 32 bits. A split on a set of categories has no threshold; rows of each category stand for it.
For a 32-bit number x and a threshold t, x <= t holds exactly if x <= f holds for the
largest 32-bit float f that is not above t. The nearest 32-bit float may be above t, and then a row
of just that number would go the other way.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)

from model.cells import FLOAT32_LIMIT

_HISTOGRAM = (HistGradientBoostingClassifier, HistGradientBoostingRegressor)
_OTHER_TREES = (
    *(RandomForestClassifier, RandomForestRegressor, ExtraTreesClassifier, ExtraTreesRegressor),
    *(GradientBoostingClassifier, GradientBoostingRegressor),
)
# Pairs of a threshold and a given row from which rows are made, at most so many for one threshold,
# and the numbers that the rows may hold together.
_MAX_PAIRS = 2000
_MAX_PAIRS_OF_ONE = 20
_MAX_NUMBERS = 8_000_000
# A row lies on a threshold, or this many 32-bit floats above or below it.
_STEPS = (-2, -1, 0, 1, 2)


def floor_32(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest 32-bit float that is not above each threshold.

    Args:
        thresholds: 64-bit thresholds within the range of 32-bit floats, or infinite.
    """
    floats = thresholds.astype(np.float32)
    above = floats > thresholds
    floats[above] = np.nextafter(floats[above], np.float32(-np.inf))
    return floats


def with_32_bit_thresholds(estimator: Any) -> Any:
    """Return an estimator whose thresholds lose nothing when they are stored in 32 bits.

    Only histogram boosting needs this, and is copied; skl2onnx rounds the thresholds of the other
    trees itself. The copy predicts the same for rows of 32-bit floats.

    Args:
        estimator: a fitted estimator; it is not changed.
    """
    if not isinstance(estimator, _HISTOGRAM):
        return estimator
    copied = copy.copy(estimator)
    copied._predictors = [
        [_with_32_bit_thresholds(tree) for tree in trees] for trees in estimator._predictors
    ]
    return copied


def _with_32_bit_thresholds(tree: Any) -> Any:
    copied = copy.copy(tree)
    copied.nodes = tree.nodes.copy()
    copied.nodes["num_threshold"] = floor_32(tree.nodes["num_threshold"])
    return copied


def rows_on_thresholds(estimator: Any, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows on the thresholds of an estimator's trees, and one and two 32-bit floats beside.

    Rows of each category follow those of thresholds.

    Each is a given row with one number replaced. The first row that a threshold gets is one whose
    own number is next to it, because it is likely to reach the split; up to 20 follow as long as
    there are at most 2,000 pairs of a threshold and a row (fewer if rows are wide). Of more
    thresholds than that, as many are taken evenly.

    Args:
        estimator: a fitted estimator.
        rows: encoded rows, shape (rows, width), at least one.

    Returns:
        Rows of shape (rows, width); none for an estimator without splits.
    """
    width = rows.shape[1]
    of_categories = rows_of_categories(estimator, rows)
    parts = [part for part in _splits(estimator) if len(part)]
    if not parts:
        return of_categories
    splits = np.unique(np.concatenate(parts))
    limit = max(1, min(_MAX_PAIRS, _MAX_NUMBERS // (width * len(_STEPS))))
    if len(splits) > limit:
        splits = splits[np.linspace(0, len(splits) - 1, limit).astype(np.int64)]
    pairs_of_one = min(limit // len(splits), _MAX_PAIRS_OF_ONE, len(rows))
    offsets = np.arange(pairs_of_one) * len(rows) // pairs_of_one
    made = np.empty((len(splits), pairs_of_one, len(_STEPS), width), np.float32)
    for feature in np.unique(splits["feature"]):
        at = np.flatnonzero(splits["feature"] == feature)
        thresholds = splits["threshold"][at]
        order = rows[:, feature].argsort()
        nearest = np.searchsorted(rows[order, feature], thresholds)
        chosen = order[(nearest[:, np.newaxis] + offsets) % len(rows)]
        made[at] = rows[chosen][:, :, np.newaxis, :]
        for number, steps in enumerate(_STEPS):
            made[at, :, number, feature] = _steps_beside(thresholds, steps)[:, np.newaxis]
    return np.concatenate([made.reshape(-1, width), of_categories])


def rows_of_categories(estimator: Any, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows with each category of each categorical column, missing and unknown ones included.

    Each is a given row with one number replaced.

    Args:
        estimator: a fitted estimator.
        rows: encoded rows, shape (rows, width), at least one.

    Returns:
        Rows of shape (rows, width); none for an estimator without categorical columns.
    """
    width = rows.shape[1]
    known = known_categories(estimator)
    asked = {feature: [*codes, np.nan] for feature, codes in known.items()}
    total = sum(map(len, asked.values()))
    if not total:
        return np.empty((0, width), np.float32)
    of_one = max(1, min(_MAX_PAIRS // total, _MAX_NUMBERS // (width * total), _MAX_PAIRS_OF_ONE))
    chosen = np.arange(of_one) * len(rows) // of_one
    parts = []
    for feature, codes in asked.items():
        made = np.repeat(rows[chosen], len(codes), axis=0)
        made[:, feature] = np.tile(np.array(codes, np.float32), len(chosen))
        parts.append(made)
    return np.concatenate(parts)


def original_features(boosting: Any) -> NDArray[np.int64]:
    """Return the place in a row of each feature of histogram boosting's trees.

    scikit-learn puts categorical features before the others.
    """
    categorical = boosting.is_categorical_
    if categorical is None:
        return np.arange(boosting.n_features_in_)
    return np.concatenate([np.flatnonzero(categorical), np.flatnonzero(~categorical)])


def categories_of_splits(boosting: Any) -> Iterator[NDArray[np.float64]]:
    """Yield the categories that go to the left, for each split on categories, tree by tree."""
    known, features = known_categories(boosting), original_features(boosting)
    for tree in chain.from_iterable(boosting._predictors):
        found = tree.nodes[(tree.nodes["is_leaf"] == 0) & (tree.nodes["is_categorical"] == 1)]
        sets = np.ascontiguousarray(tree.raw_left_cat_bitsets).view(np.uint8)
        bits = np.unpackbits(sets, axis=1, bitorder="little")
        for feature, at in zip(found["feature_idx"], found["bitset_idx"], strict=True):
            yield known[int(features[feature])][np.flatnonzero(bits[at])]


def known_categories(estimator: Any) -> dict[int, NDArray[np.float64]]:
    """Return the known categories of each categorical column, by its place in a row."""
    categorical = getattr(estimator, "is_categorical_", None)
    if categorical is None or not categorical.any():
        return {}
    found = estimator._preprocessor.named_transformers_["encoder"].categories_
    return {
        int(feature): codes[~np.isnan(codes)]
        for feature, codes in zip(np.flatnonzero(categorical), found, strict=True)
    }


def _steps_beside(numbers: NDArray[np.float32], steps: int) -> NDArray[np.float32]:
    towards = np.float32(np.copysign(FLOAT32_LIMIT, steps))
    for _ in range(abs(steps)):
        numbers = np.nextafter(numbers, towards)
    return numbers


def _splits(estimator: Any) -> Iterator[NDArray[Any]]:
    """Yield the splits of each tree, with the fields `feature` and `threshold` (in 32 bits)."""
    if isinstance(estimator, _HISTOGRAM):
        features = original_features(estimator)
        for trees in estimator._predictors:
            for tree in trees:
                nodes = tree.nodes
                # A split between missing and other numbers has an infinite threshold.
                split = (nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)
                found = nodes[split & np.isfinite(nodes["num_threshold"])]
                yield _split_array(features[found["feature_idx"]], found["num_threshold"])
    elif isinstance(estimator, _OTHER_TREES):
        for grown in np.ravel(estimator.estimators_):
            tree = grown.tree_
            inner = tree.children_left >= 0
            yield _split_array(tree.feature[inner], tree.threshold[inner])


def _split_array(features: NDArray[Any], thresholds: NDArray[np.float64]) -> NDArray[Any]:
    splits = np.empty(len(features), [("feature", np.int64), ("threshold", np.float32)])
    splits["feature"], splits["threshold"] = features, floor_32(thresholds)
    return splits
