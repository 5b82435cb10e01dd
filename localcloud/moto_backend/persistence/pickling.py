"""One backend of moto to bytes and back.

The attributes of a backend are pickled, not the backend itself. A restore sets them on a new
backend, so that every reference to a backend leads to the one in use. Parts that are stored
elsewhere are left out: objects, log lines, metric data and AWS's own policies.

A state directory may come from somebody else, so the file is read as hostile input. A name in it
must be that of a type which its module defines itself, at the top level, and the module must be on
the allow-list: Python's plain types, moto's services, and two modules of ours. A name with a dot,
which would lead from an allowed module to whatever that module imports, is refused.
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
_OURS = frozenset({"localcloud.cloudwatch.metric_math", "localcloud.cloudwatch.alarm_history"})
# Folders of moto whose types are in the state; its servers and proxies are not among them.
_FOLDERS = frozenset(
    {
        *("awslambda", "budgets", "cloudwatch", "codebuild", "codecommit", "core", "ecr"),
        *("events", "iam", "kms", "logs", "s3", "secretsmanager", "sns", "sqs", "ssm", "sts"),
        *("utilities",),
    }
)
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
    loaded = _Unpickler(body, find).load()
    for name, value in loaded.items():
        # Before 0.2 such a dictionary was written without its factory.
        if isinstance(value, defaultdict) and value.default_factory is None:
            value.default_factory = getattr(vars(backend).get(name), "default_factory", None)
    vars(backend).update(loaded)


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
            made = (type(value), _factory(value.default_factory))
            return _blank, made, vars(value), None, iter(value.items())
        if isinstance(value, defaultdict) and _is_local(value.default_factory):
            factory = _factory(value.default_factory)
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
            if name in _NAMES.get(module, ()) or (
                isinstance(found, type) and found.__module__ == module
            ):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in the state")


def _allowed(module: str, name: str) -> bool:
    if "." in name:
        return False
    if name in _NAMES.get(module, ()) or module in _OURS:
        return True
    parts = module.split(".")
    return len(parts) > 2 and parts[0] == "moto" and parts[1] in _FOLDERS


# moto's folder of a service, if it differs from the service's name.
_SERVICE = {"awslambda": "lambda"}


def _is_local(factory: Any) -> bool:
    return "<locals>" in getattr(factory, "__qualname__", "")


def _factory(factory: Any) -> Any:
    """Return an importable factory that makes the same as one that may have no importable name."""
    if not _is_local(factory):
        return factory
    return dict if type(factory()) is dict else _dict_of_dicts


def _blank(kind: Any, factory: Any = None) -> Any:
    """Return an empty dictionary of a subclass of defaultdict, without calling its constructor."""
    if not issubclass(kind, defaultdict):
        raise pickle.UnpicklingError(f"{kind} is no defaultdict")
    value = kind.__new__(kind)
    value.default_factory = factory
    return value


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
