"""A backend to bytes and back: by an allow-list, over a fresh backend."""

from __future__ import annotations

import importlib
import os
import pickle
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from moto.core.base_backend import BaseBackend
from moto.core.common_models import BaseModel
from moto.s3.models import MultipartDict
from moto.s3.utils import _VersionedKeyStore
from moto.secretsmanager.models import SecretsStore
from moto.ssm.models import ParameterDict

from localcloud.moto_backend.persistence.pickling import (
    _FOLDERS,
    NotKept,
    _allowed,
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


def _stack_global(module: str, name: str) -> bytes:
    """Return a pickle that names something as protocol 4 does, and calls it."""

    def text(value: str) -> bytes:
        return b"\x8c" + bytes([len(value)]) + value.encode()

    return b"\x80\x04" + text(module) + text(name) + b"\x93" + text("true") + b"\x85R."


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
        _stack_global("moto.core.models", "botocore.credentials.subprocess.Popen"),
        _stack_global("moto.core.utils", "inspect.types.FunctionType"),
        _stack_global("moto.s3.models", "FakeBucket.__init__"),
        # Types that a module of moto has imported.
        _stack_global("moto.s3.models", "datetime"),
        _stack_global("moto.awslambda.models", "Path"),
        # Types of moto that have no place in the state.
        _stack_global("moto.server", "DomainDispatcherApplication"),
        _stack_global("moto.moto_proxy.proxy3", "CertificateCreator"),
        _stack_global("localcloud.cloudwatch.metric_math", "math.floor"),
        _stack_global("builtins", "object.__subclasses__"),
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


def test_a_subclass_of_defaultdict_keeps_its_factory() -> None:
    parameters = ParameterDict("000000000000", "us-east-1")
    parameters["kept"].append("a version")
    back: Any = _restored(parameters=parameters).parameters  # type: ignore[attr-defined]
    assert (ParameterDict, list, {"kept": ["a version"]}) == (
        type(back),
        back.default_factory,
        dict(back),
    )
    back["new"].append("another")


def test_a_dictionary_that_was_written_without_its_factory_gets_that_of_a_new_backend() -> None:
    parameters = ParameterDict("000000000000", "us-east-1")
    written = dump("kept", _Backend(parameters=parameters))
    old = ParameterDict("000000000000", "us-east-1")
    old.default_factory = None
    fresh: Any = _Backend(parameters=ParameterDict("000000000000", "us-east-1"))
    restore(dump("kept", _Backend(parameters=old)), fresh, _nothing)
    assert list is fresh.parameters.default_factory
    assert written == dump("kept", fresh)


# Types of moto that pickle does not rebuild from their attributes alone, each with an example that
# has something to lose.
SPECIAL: dict[str, Callable[[], Any]] = {
    "moto.ssm.models.ParameterDict": lambda: _filled(ParameterDict("1", "r"), "/a", ["x"]),
    "moto.s3.utils._VersionedKeyStore": lambda: _filled(_VersionedKeyStore(), "k", "v"),
    "moto.s3.models.MultipartDict": lambda: _filled(MultipartDict(), "k", "v"),
    "moto.secretsmanager.models.SecretsStore": lambda: _filled(SecretsStore(), "k", "v"),
}
# The others, and why they have none.
ELSEWHERE = {
    "moto.awslambda.models.LambdaFunction": "tests/api invokes a function after a restart",
    "moto.s3.models.FakeKey": "tests/api reads objects after a restart",
    "moto.awslambda.models._VolumeRefCount": "of Docker, which is never used",
    "moto.core.base_backend.InstanceTrackerMeta": "a metaclass",
    "moto.core.base_backend.AccountSpecificBackend": "holds backends, and is never written",
    "moto.core.base_backend.BackendDict": "holds backends, and is never written",
    "moto.s3.models.S3BackendDict": "holds backends, and is never written",
}


def _filled(value: Any, key: str, entry: Any) -> Any:
    value[key] = entry
    return value


def _kept_types() -> Iterator[type]:
    """Yield every type that a module of moto defines whose values may be in the state."""
    import moto

    for folder in sorted(_FOLDERS):
        for path in sorted((Path(moto.__file__).parent / folder).glob("*.py")):
            name = f"moto.{folder}.{path.stem}"
            if path.stem in ("__init__", "urls", "responses") or not _allowed(name, "X"):
                continue
            for value in vars(importlib.import_module(name)).values():
                if isinstance(value, type) and value.__module__ == name:
                    yield value


def _is_special(kind: type) -> bool:
    if issubclass(kind, (Enum, BaseException, BaseBackend)):
        return False
    if hasattr(kind, "__total__") or hasattr(kind, "_fields"):
        return False  # the values of a TypedDict are dictionaries; pickle knows named tuples
    containers = (dict, list, set, frozenset, str, bytes, int, float)
    hooks = {"__reduce__", "__reduce_ex__", "__getstate__", "__setstate__", "__slots__", "__new__"}
    # BaseModel only keeps track of its instances.
    theirs = [each for each in kind.__mro__ if each.__module__.startswith("moto.")]
    own = {name for each in theirs if each is not BaseModel for name in vars(each)}
    return issubclass(kind, containers) or bool(own & hooks)


def test_every_special_type_of_moto_is_known() -> None:
    found = {
        f"{kind.__module__}.{kind.__qualname__}" for kind in _kept_types() if _is_special(kind)
    }
    assert {*SPECIAL, *ELSEWHERE} == found, "a new one needs an example in SPECIAL"


@pytest.mark.parametrize("make", SPECIAL.values(), ids=SPECIAL)
def test_a_special_type_comes_back_the_same(make: Callable[[], Any]) -> None:
    value = make()
    back: Any = _restored(value=value).value  # type: ignore[attr-defined]
    assert (type(value), dict(value), vars(value)) == (type(back), dict(back), vars(back))
    assert getattr(value, "default_factory", None) is getattr(back, "default_factory", None)


def test_every_enumeration_of_moto_comes_back_as_the_same_member() -> None:
    members = [m for kind in _kept_types() if issubclass(kind, Enum) for m in kind]
    assert len(members) > 20
    for member in members:
        assert member is load_values(dump_values(member), _nothing)
