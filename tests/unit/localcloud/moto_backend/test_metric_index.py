"""The index of distinct metrics: it follows the data, and reads each datum once."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.moto_backend.patches.metric_index import distinct

pytestmark = pytest.mark.emulator_only


class Owner:
    """A backend."""


def datum(name: str, *values: str) -> Any:
    dimensions = [SimpleNamespace(name=f"d{n}", value=value) for n, value in enumerate(values)]
    return SimpleNamespace(namespace="N", name=name, dimensions=dimensions)


def names(metrics: dict[Any, Any]) -> list[tuple[str, list[str]]]:
    return sorted((name, sorted(v for _, v in pairs)) for _, name, pairs in metrics)


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz")), max_size=6), max_size=6
    )
)
def test_the_index_follows_data_that_grow(parts: list[list[tuple[str, str]]]) -> None:
    owner, data = Owner(), []
    for part in parts:
        data += [datum(name, value) for name, value in part]
        expected = sorted({(d.name, d.dimensions[0].value) for d in data})
        assert [(n, v) for n, (v,) in names(distinct(owner, data))] == expected


def test_data_that_were_replaced_are_indexed_again() -> None:
    owner = Owner()
    assert names(distinct(owner, [datum("a", "x"), datum("b", "x")])) == [
        ("a", ["x"]),
        ("b", ["x"]),
    ]
    assert names(distinct(owner, [datum("c", "x"), datum("d", "x")])) == [
        ("c", ["x"]),
        ("d", ["x"]),
    ]
    assert names(distinct(owner, [])) == []


def test_a_metric_without_dimensions_is_listed_once() -> None:
    assert names(distinct(Owner(), [datum("a"), datum("a"), datum("a", "x")])) == [
        ("a", []),
        ("a", ["x"]),
    ]


def test_each_datum_is_read_once() -> None:
    reads = []

    class Counted(SimpleNamespace):
        @property
        def dimensions(self) -> Iterator[Any]:
            reads.append(self.name)
            return iter(())

    owner = Owner()
    data: list[Any] = [Counted(namespace="N", name=str(n)) for n in range(50)]
    for _ in range(3):
        distinct(owner, data)
    data.append(Counted(namespace="N", name="new"))
    distinct(owner, data)
    assert reads == [*map(str, range(50)), "new"]
