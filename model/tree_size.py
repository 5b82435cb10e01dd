"""The size of a model of trees, and its limit.

The export to ONNX takes 0.4 KB (many classes) to 0.9 KB (two classes) of memory for each node or
score. A model beyond the limit would take all memory of most instance types, and be killed.
"""

from __future__ import annotations

from typing import Any

from model.errors import HyperparameterError

# Nodes of all trees, and scores in their leaves. The export of so many takes 4 to 9 GB.
MAX_TREE_SIZE = 10_000_000


class TreeSize:
    """The size of a model of trees while it grows: its nodes, and the scores in its leaves.

    Args:
        limit: the largest size allowed.

    Attributes:
        size: nodes and scores so far.
    """

    def __init__(self, limit: int = MAX_TREE_SIZE) -> None:
        self.size = 0
        self._limit = limit

    def add(self, tree: Any, scores: int = 1) -> None:
        """Add one of scikit-learn's trees.

        Args:
            tree: a `sklearn.tree` tree, or a predictor of histogram boosting.
            scores: scores in each leaf.
        """
        if hasattr(tree, "tree_"):
            nodes, leaves = tree.tree_.node_count, tree.tree_.n_leaves
        else:
            nodes, leaves = len(tree.nodes), tree.get_n_leaf_nodes()
        self.size += int(nodes) + int(leaves) * scores

    def check(self, grown: int, trees: int) -> None:
        """Check the size that the model will have.

        Args:
            grown: trees that were added.
            trees: trees of the whole model, of about the same size.

        Raises:
            HyperparameterError: it is above the limit.
        """
        expected = self.size * trees // grown
        if expected > self._limit:
            raise HyperparameterError(
                f"the model is too large: its trees would have about {expected:,} nodes and scores "
                f"in leaves; at most {self._limit:,} are allowed. Set a lower number of trees, a "
                "lower max_depth or a higher min_samples_leaf, or train on fewer classes"
            )
