"""The recorder decides when which part of moto's state is written.

The guarantee: once a client has the response to a change, the change is on disk.

    the service of a request      before the response is sent
    an object of a bucket         before the response is sent
    an event that matches a rule  before the response is sent, until it is delivered
    log lines, metric data        within a second
    effects on another service    within a second (SNS into a queue, an access log into a bucket)

An example in time. A client sends PutParameter. moto changes its SSM backend; `after` pickles that
backend, finds that its digest differs from the one written last, and commits it to SQLite; only
then is the response sent. `kill -9` one millisecond later loses nothing. A training job's lines, by
contrast, are appended to a log stream without a request. `sweep` writes them when it runs next, so
that the same kill loses the lines of the last second.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import sqlite3
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from localcloud.aws.protocol import READING, operation_name
from localcloud.aws.routing import Request
from localcloud.core.state_directory import StateDirectoryError, unreadable
from localcloud.core.store import limit_growth
from localcloud.moto_backend.persistence.append_only import AppendOnlyLists
from localcloud.moto_backend.persistence.file import File
from localcloud.moto_backend.persistence.objects import Objects
from localcloud.moto_backend.persistence.pickling import NotKept, dump, restore

log = logging.getLogger("localcloud.moto_backend")

_BY_METHOD = ("s3", "lambda")
_LINES = "lines/"
_DATA = "data/"


class Recorder:
    """Writes moto's backends to a file. Everything but its construction runs in moto's thread.

    Args:
        path: the SQLite file, which is created if it does not exist.
        services: the services whose state is written.

    Raises:
        StateDirectoryError: another version wrote the file, or it is no SQLite file.
    """

    def __init__(self, path: Path, services: tuple[str, ...]) -> None:
        self._services = services
        try:
            self._file = File(path)
        except (sqlite3.Error, OSError) as error:
            raise unreadable(path, error) from None
        self._objects = Objects(self._file)
        self._append_only = AppendOnlyLists(self._file)
        # The digest of what was last written, so that an unchanged backend is not written again.
        self._digests: dict[tuple[str, str, str], bytes] = {}
        self._refused: set[str] = set()
        # A state is not overwritten before it was restored.
        self._restored = False
        self._check_version(path)

    def _check_version(self, path: Path) -> None:
        ours, written = version("moto"), self._file.about("moto")
        if written is not None and written != ours:
            self._file.close()
            raise StateDirectoryError(
                f"{path.parent} was written with moto {written}, and this is moto {ours}: "
                "install that version, or leave the directory as it is and choose another one "
                "with --state-dir"
            )
        self._file.note("moto", ours)

    def restore(self) -> None:
        """Restore the state, before the first request."""
        rows = self._file.connection.execute(
            "SELECT service, account, region, body FROM backend ORDER BY service = 's3'"
        ).fetchall()
        complete = True
        for service, account, region, body in rows:
            try:
                restore(body, _find(service, account, region), _find)
            except Exception as error:  # a damaged row may raise anything
                complete = False
                what = f"the state of {service} in {account}, {region}"
                self._set_aside("backend", what, body, error, service, account, region)
                continue
            self._digests[service, account, region] = hashlib.sha256(body).digest()
        buckets = {bucket.name: bucket for bucket in _buckets()}
        for bucket in buckets.values():
            _accounts()[bucket.name] = (bucket.partition, bucket.account_id)
        self._objects.restore(buckets, _find, complete=complete)
        streams = {_name_of(stream): stream for stream in _streams()}
        for name in self._append_only.names(_LINES):
            if name in streams:
                streams[name].events = self._append_only.restore(name, _find)
            elif complete:
                self._append_only.forget(name)
        for name in self._append_only.names(_DATA):
            _, account, region = name.split("/")
            cloudwatch = _find("cloudwatch", account, region)
            cloudwatch.metric_data = self._append_only.restore(name, _find)
        self._restored = True

    def _set_aside(self, table: str, what: str, body: bytes, error: Exception, *key: str) -> None:
        """Move a row that cannot be read out of its table."""
        self._file.set_aside(what, body, f"{type(error).__name__}: {error}")
        with contextlib.suppress(sqlite3.Error):
            self._file.connection.execute(
                f"DELETE FROM {table} WHERE service = ? AND account = ? AND region = ?",  # noqa: S608
                key,
            )

    def remember(self, match: Any) -> int:
        """Store an event that matched a rule until it is delivered; return its number.

        Raises:
            sqlite3.Error: it cannot be stored.
        """
        cursor = self._file.connection.execute(
            "INSERT INTO undelivered (body) VALUES (?)", (json.dumps(match, default=str),)
        )
        return int(cursor.lastrowid or 0)

    def delivered(self, number: int) -> None:
        """Forget an event that was delivered."""
        with contextlib.suppress(sqlite3.Error):  # then it is delivered again after a restart
            self._file.connection.execute("DELETE FROM undelivered WHERE position = ?", (number,))

    def undelivered(self) -> list[tuple[int, Any]]:
        """Return the events that a restart kept from being delivered, the oldest first."""
        rows = self._file.connection.execute("SELECT position, body FROM undelivered").fetchall()
        return [(number, json.loads(body)) for number, body in rows]

    def after(self, request: Request) -> None:
        """Write what a request changed; called before its response is sent.

        Raises:
            sqlite3.Error: it could not be written, for example because the disk is full; moto has
                the state of before the request again.
        """
        if not self._restored or _reads(request):
            return
        try:
            with self._transaction():
                if request.service == "s3" and self._object(request):
                    return
                self._write_service(request.service, request.scope.account)
        except sqlite3.Error:
            self._read_again(request.service, request.scope.account)
            raise

    def _read_again(self, service: str, account: str) -> None:
        """Replace moto's state of a service by the one on disk, after a write that failed."""
        for name, owner, region, backend in list(_all((service,))):
            if owner != account and service != "s3":
                continue
            row = self._file.connection.execute(
                "SELECT body FROM backend WHERE service = ? AND account = ? AND region = ?",
                (name, owner, region),
            ).fetchone()
            if row is None:
                backend.reset()
            else:
                restore(row[0], backend, _find)
                self._digests[name, owner, region] = hashlib.sha256(row[0]).digest()
        if service == "s3":
            _accounts().clear()
            buckets = {bucket.name: bucket for bucket in _buckets()}
            for bucket in buckets.values():
                _accounts()[bucket.name] = (bucket.partition, bucket.account_id)
            self._objects.restore(buckets, _find, complete=False)
        if service == "logs":
            for stream in _streams():
                stream.events = self._append_only.restore(_name_of(stream), _find)

    def sweep(self) -> None:
        """Write every other change; called once a second."""
        with self._transaction():
            for service, account, region, backend in _all(self._services):
                self._write(service, account, region, backend)
            buckets = list(_buckets())
            for bucket in buckets:
                self._objects.sweep(bucket)
            self._objects.forget_others({bucket.name for bucket in buckets})
            names = set()
            for stream in _streams():
                names.add(_name_of(stream))
                self._append_only.write(_name_of(stream), stream.events)
            self._append_only.forget_others(_LINES, names)
            for _, account, region, cloudwatch in _all(("cloudwatch",)):
                self._append_only.write(f"{_DATA}{account}/{region}", cloudwatch.metric_data)

    @classmethod
    def copy(cls, path: Path, services: tuple[str, ...], undelivered: list[Any]) -> None:
        """Write moto's whole memory to a new file, and the events that are not delivered yet.

        Raises:
            sqlite3.Error: it cannot be written.
            StateDirectoryError: the file cannot be made.
        """
        copy = cls(path, services)
        try:
            copy.sweep()
            for match in undelivered:
                copy.remember(match)
        finally:
            copy._file.close()

    @classmethod
    def load(cls, path: Path, services: tuple[str, ...]) -> list[Any]:
        """Restore the state of a file and delete the file; return what was not delivered yet.

        Raises:
            StateDirectoryError: another version wrote the file, or it is no SQLite file.
        """
        loaded = cls(path, services)
        try:
            loaded.restore()
            matches = [match for _, match in loaded.undelivered()]
        finally:
            loaded.close()
        for file in path.parent.glob(f"{path.name}*"):
            file.unlink()
        return matches

    def limit_growth(self, limited: bool) -> None:
        """Let the file grow no more, as on a full disk, or let it grow again."""
        limit_growth(self._file.connection, limited)

    def close(self) -> None:
        """Write the last changes and close the file."""
        if self._restored:
            self.sweep()
        self._file.close()

    def _object(self, request: Request) -> bool:
        """Write the object of a request; return whether the request can have changed only that."""
        name, _, key = request.path.lstrip("/").partition("/")
        bucket = next((b for b in _buckets() if b.name == name), None)
        if bucket is None:
            return False
        if not key or not self._objects.holds(bucket, key):
            self._objects.sweep(bucket)
            return False
        query = dict(pair.partition("=")[::2] for pair in request.query.split("&"))
        self._objects.write(bucket, key, query.get("versionId"))
        # The tags of an object belong to the service, which stores them by ARN.
        return not (query.keys() - {"", "x-id", "versionId"}) and (
            "x-amz-tagging" not in request.headers
        )

    def _write_service(self, service: str, account: str) -> None:
        for found in _all((service,)):
            if found[1] == account or service == "s3":
                self._write(*found)

    def _write(self, service: str, account: str, region: str, backend: Any) -> None:
        try:
            body = dump(service, backend)
        except NotKept as error:
            if service not in self._refused:
                self._refused.add(service)
                log.warning(
                    "the state of this service cannot be written, and a restart will lose it: %s",
                    error,
                )
            return
        digest = hashlib.sha256(body).digest()
        if self._digests.get((service, account, region)) != digest:
            self._file.connection.execute(
                "INSERT OR REPLACE INTO backend VALUES (?, ?, ?, ?)",
                (service, account, region, body),
            )
            self._digests[service, account, region] = digest

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        connection = self._file.connection
        connection.execute("BEGIN")
        try:
            yield
        except BaseException:
            if connection.in_transaction:  # a full disk has rolled it back already
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")


def _reads(request: Request) -> bool:
    if request.service in _BY_METHOD:
        return request.method in ("GET", "HEAD", "OPTIONS")
    return operation_name(request).startswith(READING)


def _all(services: tuple[str, ...]) -> Iterator[tuple[str, str, str, Any]]:
    """Yield the backends in use; looking at the others would load their modules."""
    from moto.core.base_backend import BackendDict

    for by_account in list(BackendDict._instances):
        if by_account.service_name in services:
            for account, by_region in list(by_account.items()):
                for region, backend in list(by_region.items()):
                    yield by_account.service_name, account, region, backend


def _find(service: str, account: str, region: str) -> Any:
    from moto.backends import get_backend

    return get_backend(service)[account][region]  # type: ignore[call-overload, unused-ignore]


def _buckets() -> Iterator[Any]:
    for _, _, _, backend in _all(("s3",)):
        yield from list(backend.buckets.values())


def _accounts() -> dict[str, tuple[str, str]]:
    from moto.s3.models import s3_backends

    accounts: dict[str, tuple[str, str]] = s3_backends.bucket_accounts
    return accounts


def _streams() -> Iterator[Any]:
    for _, _, _, backend in _all(("logs",)):
        for group in list(backend.groups.values()):
            yield from list(group.streams.values())


def _name_of(stream: Any) -> str:
    group = stream.log_group.name
    return f"{_LINES}{stream.account_id}/{stream.region}/{group}//{stream.log_stream_name}"
