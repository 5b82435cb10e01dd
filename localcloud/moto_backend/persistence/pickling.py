"""One backend of moto to bytes and back.

The attributes of a backend are pickled, not the backend itself. A restore sets them on a new
backend, so that every reference to a backend leads to the one in use. Parts that are stored
elsewhere are left out: objects, log lines, metric data and AWS's own policies. Only types of an
allow-list are loaded.
"""

from __future__ import annotations

import io
import pickle
import threading
import weakref
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import BuiltinFunctionType, FunctionType
from typing import Any

# Attributes that `append_only` stores, by service.
LEFT_OUT = {"cloudwatch": frozenset({"metric_data", "paged_metric_data"})}

# What pickle writes as a name of a module.
_NAMED = (type, FunctionType, BuiltinFunctionType)
# Types that belong to a running process; a restore makes new ones.
_NEW: dict[Any, Any] = {
    type(threading.RLock()): threading.RLock,
    type(threading.Lock()): threading.Lock,
    threading.Condition: threading.Condition,
    threading.Event: threading.Event,
}
_MODULES = ("moto.", "localcloud.cloudwatch.metric_math", "localcloud.cloudwatch.alarm_history")
_NAMES = {
    "builtins": {
        *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list"),
        *("object", "range", "set", "slice", "str", "tuple"),
    },
    "collections": {"OrderedDict", "defaultdict", "deque", "Counter"},
    "copyreg": {"_reconstructor", "__newobj__"},
    "datetime": {"datetime", "date", "time", "timedelta", "timezone"},
    "decimal": {"Decimal"},
    "re": {"_compile"},
    "threading": {"RLock", "Condition", "Event"},
    "_thread": {"RLock", "allocate_lock", "lock"},
    "uuid": {"UUID", "SafeUUID"},
    "weakref": {"WeakValueDictionary"},
    "zoneinfo": {"ZoneInfo"},
    "requests.structures": {"CaseInsensitiveDict"},
    __name__: {"_blank", "_dict_of_dicts", "_private_key"},
}
# Today's module of a name in states that were written before 0.2.
_RENAMED = {
    "localcloud.alarm_history": "localcloud.cloudwatch.alarm_history",
    "localcloud.datapoints": "localcloud.cloudwatch.metric_math",
    "localcloud.passive_state.pickling": __name__,
}


class NotKept(Exception):
    """A backend holds something that cannot be pickled."""


def dump(service: str, backend: Any) -> bytes:
    """Return a backend's state as bytes.

    Raises:
        NotKept: it holds something that cannot be pickled.
    """
    left_out = LEFT_OUT.get(service, frozenset())
    state = {name: value for name, value in vars(backend).items() if name not in left_out}
    target = io.BytesIO()
    try:
        _Pickler(target).dump(state)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise NotKept(f"{service}: {error}") from error
    return target.getvalue()


def restore(body: bytes, backend: Any, find: Callable[..., Any]) -> None:
    """Restore a state into a new backend.

    Args:
        body: the bytes that `dump` returned.
        backend: a new backend.
        find: returns the backend of a service, an account and a region.

    Raises:
        pickle.UnpicklingError: the bytes name a type that is not allowed.
    """
    vars(backend).update(_Unpickler(body, find).load())


def dump_values(values: Any) -> bytes:
    """Return plain values of moto (objects, lines, data) as bytes."""
    target = io.BytesIO()
    _Pickler(target).dump(values)
    return target.getvalue()


def load_values(body: bytes, find: Callable[..., Any]) -> Any:
    """Return the values of bytes that `dump_values` returned."""
    return _Unpickler(body, find).load()


@dataclass(frozen=True, slots=True)
class _Types:
    """Types of moto that are pickled in a special way."""

    backend: Any
    aws_policy: Any
    bucket: Any
    log_stream: Any
    private_key: Any


@cache
def _types() -> _Types:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from moto.core.base_backend import BaseBackend
    from moto.iam.models import AWSManagedPolicy
    from moto.logs.models import LogStream
    from moto.s3.models import FakeBucket

    return _Types(BaseBackend, AWSManagedPolicy, FakeBucket, LogStream, PrivateKeyTypes)


class _Pickler(pickle.Pickler):
    def __init__(self, target: io.BytesIO) -> None:
        super().__init__(target, protocol=5)
        self._types = _types()

    def persistent_id(self, value: Any) -> Any:
        """Return a name for backends and AWS's own policies, which are not pickled."""
        if isinstance(value, self._types.backend):
            service = type(value).__module__.split(".")[1]
            return ("backend", _SERVICE.get(service, service), value.account_id, value.region_name)
        if isinstance(value, self._types.aws_policy):
            return ("policy", value.account_id, value.arn, value.attachment_count)
        return None

    def reducer_override(self, value: Any) -> Any:
        """Pickle types that Python cannot, and leave out parts that are stored elsewhere.

        Raises:
            pickle.PicklingError: the value has a type that could not be loaded.
        """
        if isinstance(value, _NAMED) and not _allowed(str(value.__module__), value.__qualname__):
            raise pickle.PicklingError(f"{value.__module__}.{value.__qualname__}")
        if isinstance(value, self._types.bucket):
            # The objects have their own rows. Incomplete multipart uploads are lost.
            kept = vars(value) | {
                "keys": type(value.keys)(),
                "multiparts": type(value.multiparts)(),
            }
            return (*value.__reduce_ex__(5)[:2], kept)
        if isinstance(value, self._types.log_stream):
            return (*value.__reduce_ex__(5)[:2], vars(value) | {"events": []})
        if isinstance(value, defaultdict) and type(value) is not defaultdict:
            # A subclass of moto's, whose constructor takes other arguments than Python's.
            return _blank, (type(value),), vars(value), None, iter(value.items())
        if isinstance(value, defaultdict) and _is_local(value.default_factory):
            # The factory has no importable name, but what it makes does.
            made = value.default_factory() if value.default_factory else {}
            factory = dict if type(made) is dict else _dict_of_dicts
            return defaultdict, (factory,), None, None, iter(value.items())
        if isinstance(value, tuple(_NEW)):
            return _NEW[type(value)], ()
        if isinstance(value, weakref.WeakValueDictionary):
            return weakref.WeakValueDictionary, (dict(value),)
        if isinstance(value, self._types.private_key):
            return _private_key, (_pem(value),)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def __init__(self, body: bytes, find: Callable[..., Any]) -> None:
        super().__init__(io.BytesIO(body))
        self._find = find

    def persistent_load(self, pid: Any) -> Any:
        """Return the object that a name of `persistent_id` stands for."""
        match pid:
            case ("backend", service, account, region):
                return self._find(service, account, region)
            case ("policy", account, arn, attachments):
                policy = self._find("iam", account, "aws").managed_policies[arn]
                policy.attachment_count = attachments
                return policy
        raise pickle.UnpicklingError(f"unknown name {pid!r}")

    def find_class(self, module: str, name: str) -> Any:
        """Return a type of the allow-list.

        Raises:
            pickle.UnpicklingError: the type is not on the list.
        """
        module = _RENAMED.get(module, module)
        if _allowed(module, name):
            found = super().find_class(module, name)
            if isinstance(found, type) or not module.startswith(_MODULES):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in the state")


def _allowed(module: str, name: str) -> bool:
    return module.startswith(_MODULES) or name in _NAMES.get(module, ())


# moto's folder of a service, if it differs from the service's name.
_SERVICE = {"awslambda": "lambda"}


def _is_local(factory: Any) -> bool:
    return "<locals>" in getattr(factory, "__qualname__", "")


def _blank(kind: Any) -> Any:
    return kind.__new__(kind)


def _dict_of_dicts() -> defaultdict[Any, dict[Any, Any]]:
    return defaultdict(dict)


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    pem: bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem


def _private_key(pem: bytes) -> Any:
    from cryptography.hazmat.primitives import serialization

    return serialization.load_pem_private_key(pem, None)
