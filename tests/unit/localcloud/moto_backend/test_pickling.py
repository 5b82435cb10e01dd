"""A backend to bytes and back: by an allow-list, over a fresh backend."""

from __future__ import annotations

import os
import pickle
import threading
from collections import defaultdict
from typing import Any

import pytest

from localcloud.moto_backend.persistence.pickling import (
    NotKept,
    dump,
    dump_values,
    load_values,
    restore,
)

pytestmark = pytest.mark.emulator_only


class _Backend:
    """A backend with an attribute of each awkward kind."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class _Hostile:
    def __reduce__(self) -> Any:
        return os.system, ("exit 1",)


def _nothing(*names: str) -> Any:
    raise AssertionError(f"{names} was asked for")


def _restored(**attributes: Any) -> _Backend:
    fresh = _Backend(**dict.fromkeys(attributes))
    restore(dump("kept", _Backend(**attributes)), fresh, _nothing)
    return fresh


@pytest.mark.parametrize(
    "hostile",
    [
        pickle.dumps(_Hostile()),
        b"cbuiltins\neval\n(V1\ntR.",
        b"csubprocess\nPopen\n(Vtrue\ntR.",
        b"cmoto.core.utils\nutcnow\n(tR.",  # a function of moto, which is no type
        b"cmoto.s3.models\nos.system\n(Vtrue\ntR.",
    ],
)
def test_a_name_that_does_not_belong_is_refused_before_it_is_called(hostile: bytes) -> None:
    with pytest.raises((pickle.UnpicklingError, AttributeError)):
        load_values(hostile, _nothing)


def test_what_could_not_come_back_is_refused_when_it_is_written() -> None:
    with pytest.raises(NotKept, match="system"):
        dump("kept", _Backend(hostile=_Hostile()))


def test_locks_and_conditions_come_back_new() -> None:
    back = _restored(lock=threading.RLock(), condition=threading.Condition())
    assert back.lock.acquire(blocking=False)  # type: ignore[attr-defined]
    assert isinstance(back.condition, threading.Condition)  # type: ignore[attr-defined]


def test_a_factory_without_a_name_makes_the_same_things_after_the_way_back() -> None:
    plain: Any = defaultdict(lambda: {})  # noqa: PIE807 - the name is the point
    nested: Any = defaultdict(lambda: defaultdict(dict))
    nested["a"]["b"]["c"] = 1
    back: Any = _restored(plain=plain, nested=nested)
    assert {} == back.plain["new"]
    assert {"a": {"b": {"c": 1}}} == back.nested
    assert {} == back.nested["new"]["new"]


def test_attributes_that_have_rows_of_their_own_are_left_as_they_are() -> None:
    backend = _Backend(metric_data=[1, 2], alarms={"a": 1})
    fresh = _Backend(metric_data=[], alarms={})
    restore(dump("cloudwatch", backend), fresh, _nothing)
    assert ({"a": 1}, []) == (fresh.alarms, fresh.metric_data)  # type: ignore[attr-defined]


def test_plain_values_come_back_equal() -> None:
    values = [{"a": (1, 2.5, "c", b"d", None, True)}, {1, 2}]
    assert values == load_values(dump_values(values), _nothing)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b"clocalcloud.datapoints\nDistribution\n.", "localcloud.cloudwatch.metric_math"),
        (b"clocalcloud.alarm_history\nHistory\n.", "localcloud.cloudwatch.alarm_history"),
    ],
)
def test_a_type_is_found_by_the_name_that_its_module_had_before(
    written: bytes, expected: str
) -> None:
    assert expected == load_values(written, _nothing).__module__


def test_the_old_names_open_no_other_module() -> None:
    with pytest.raises(pickle.UnpicklingError):
        load_values(b"clocalcloud.passive_state.pickling\ndump\n.", _nothing)
