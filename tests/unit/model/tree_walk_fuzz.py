"""Scores by damaged tables of trees: each is refused, or scores without leaving its memory.

    python -m tests.unit.model.tree_walk_fuzz EXTENSION COUNT SEED

The test runs it under AddressSanitizer, so the models are made without scikit-learn, which would
take minutes to load there.
"""

from __future__ import annotations

import importlib.util
import struct
import sys
from types import ModuleType

import numpy as np

HEADER = struct.Struct("<8s32s12I4d")
WIDTH = 5
# A split on categories has this bit beside its number.
CATEGORIES = 1 << 31


def table(chance: np.random.Generator) -> bytes:
    """Return a valid table of random trees."""
    classes = int(chance.choice([0, 2, 2, 3, 7]))
    outputs = classes if classes > 2 else 1
    is_forest = bool(chance.integers(2))
    link = 3 if is_forest else 2 if classes > 2 else 1
    vector = is_forest and classes > 2
    nodes: list[tuple[int, int, int]] = []
    roots, targets, values = [], [], 0
    for tree in range(int(chance.integers(1, 20))):
        roots.append(12 * len(nodes))
        targets.append(0xFFFFFFFF if vector else tree % outputs)
        waiting = [len(nodes)]
        nodes.append((0, 0, 0))
        most = len(nodes) + 60
        while waiting:
            at = waiting.pop(0)
            if len(nodes) > most or chance.random() < 0.3:
                nodes[at] = (values, 4 * WIDTH, 12 * at)
                values += outputs if vector else 1
                continue
            negated = int(chance.integers(2))
            feature = 4 * (int(chance.integers(WIDTH)) + negated * (WIDTH + 1))
            threshold = int(np.float32(chance.normal()).view(np.uint32))
            if chance.random() < 0.3:
                threshold, feature = int(chance.integers(3)), 4 * (at % WIDTH) | CATEGORIES
            nodes[at] = (threshold, feature, 12 * len(nodes))
            waiting += [len(nodes), len(nodes) + 1]
            nodes += [(0, 0, 0), (0, 0, 0)]
    points = np.sort(chance.random((4, 2)), axis=0) if classes == 2 and link == 1 else np.empty(0)
    flags = int(chance.choice([0, 1, 2, 4, 6])) if classes == 2 and not points.size else 0
    head = HEADER.pack(
        b"TREES\0\0\1",
        b"",
        *(WIDTH, outputs, classes, link if classes else 0, flags, int(chance.integers(2))),
        *(len(roots), len(nodes), values, 3, points.size // 2, 0),
        *(max(1.0, float(len(roots))) if is_forest else 1.0, -1.5, 0.2, 0.4),
    )
    parts = (
        chance.normal(size=outputs),
        chance.random(values),
        points,
        np.array(roots, np.uint32),
        np.array(targets, np.uint32),
        chance.integers(0, 1 << 32, 24, np.uint64).astype(np.uint32),
        np.array(nodes, np.uint32),
    )
    return head + b"".join(part.tobytes() for part in parts)


def damage(chance: np.random.Generator, whole: bytes) -> bytes:
    """Return a table with some of its numbers replaced, or with another length."""
    content = bytearray(whole)
    for _ in range(int(chance.integers(1, 4))):
        at = 4 * int(chance.integers(len(content) // 4))
        if chance.random() < 0.3:
            at = 4 * int(chance.integers(30))
        near = int.from_bytes(content[at : at + 4], "little") + int(chance.integers(-3, 4))
        odd = (0, 1, 12, 0x7FC00000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, near, near * 3)
        word = int(odd[chance.integers(len(odd))]) % (1 << 32)
        content[at : at + 4] = word.to_bytes(4, "little")
    if chance.random() < 0.1:
        del content[int(chance.integers(len(content))) :]
    return bytes(content)


def score(module: ModuleType, content: bytes, rows: np.ndarray) -> bool:
    """Score rows by a table; return whether it is taken."""
    try:
        trees = module.Trees(content)
    except ValueError:
        return False
    width, _, classes = struct.unpack_from("<3I", content, 40)
    most = rows.size // width
    for count in {0, 1, 7, 8, 70}:
        taken = min(count, most)
        numbers = np.full(taken + 1, -7, np.int64)
        values = np.full((taken + 1) * max(1, classes), -7.0, np.float32)
        trees.score(taken, rows, numbers, values)
        assert numbers[taken] == -7
        assert ((numbers[:taken] >= 0) & (numbers[:taken] < max(1, classes))).all()
        if taken < most:
            try:
                trees.score(taken + 2, rows, numbers, values)
            except ValueError:
                continue
            raise AssertionError("buffers that are too small were taken")
    return True


def main(extension: str, count: int, seed: int) -> int:
    """Score by damaged tables; print how many were taken and how many refused."""
    spec = importlib.util.spec_from_file_location("tree_walk", extension)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    chance = np.random.default_rng(seed)
    rows = chance.normal(size=(70, WIDTH)).astype(np.float32)
    rows.flat[::7] = chance.choice([np.nan, np.inf, -np.inf, 0, 255, 256, 3, 1e38], 50)
    taken = 0
    for _ in range(count):
        whole = table(chance)
        assert score(module, whole, rows)
        taken += score(module, damage(chance, whole), rows)
    sys.stdout.write(f"taken {taken}, refused {count - taken}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
