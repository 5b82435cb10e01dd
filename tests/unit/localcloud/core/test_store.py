"""Records that survive a restart, and a kill."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from localcloud.core.state_directory import StateDirectoryError
from localcloud.core.store import Collection, Database, UnreadableRecord
from tests.examples import steps

pytestmark = pytest.mark.emulator_only

ROOT = Path(__file__).resolve().parents[4]


class Colour(StrEnum):
    RED = "red"


@dataclass(slots=True)
class Record:
    text: str
    when: datetime
    colour: Colour = Colour.RED
    nested: dict[str, list[Any]] = field(default_factory=dict)
    maybe: datetime | None = None


RECORD = Record("é", datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), nested={"a": [1, None, "x"]})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "state.sqlite"


def reopened(path: Path, name: str = "records") -> dict[str, Record]:
    database = Database(path)
    try:
        return dict(Collection(database, name, Record).items())
    finally:
        database.close()


def test_records_survive_reopening_with_their_types(path: Path) -> None:
    database = Database(path)
    Collection(database, "records", Record).put("k", RECORD)
    database.close()
    assert {"k": RECORD} == reopened(path)


def test_the_last_write_of_a_key_stays_and_a_deleted_one_is_gone(path: Path) -> None:
    database = Database(path)
    records = Collection(database, "records", Record)
    records.put("a", RECORD)
    records.put("b", RECORD)
    changed = Record("changed", RECORD.when)
    records.put("a", changed)
    records.delete("b")
    records.delete("never there")
    database.close()
    assert {"a": changed} == reopened(path)


def test_collections_of_one_file_do_not_mix(path: Path) -> None:
    database = Database(path)
    one, other = (Collection(database, name, Record) for name in ("one", "other"))
    one.put("k", RECORD)
    assert ([], 0, False) == (other.values(), len(other), "k" in other)
    database.close()
    assert {} == reopened(path, "other")


def test_a_write_is_visible_to_another_reader_at_once(path: Path) -> None:
    database = Database(path)
    Collection(database, "records", Record).put("k", RECORD)
    assert {"k": RECORD} == reopened(path)
    database.close()


def test_a_killed_process_loses_no_finished_put(path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from localcloud.core.store import Collection, Database
records = Collection(Database(Path(sys.argv[1])), "numbers", int)
for number in range(50):
    records.put(str(number), number)
os.kill(os.getpid(), signal.SIGKILL)
"""
    ended = subprocess.run([sys.executable, "-c", program, str(path)], cwd=ROOT, check=False)
    assert -9 == ended.returncode
    database = Database(path)
    numbers = Collection(database, "numbers", int)
    assert {str(number): number for number in range(50)} == dict(numbers.items())
    database.close()


def test_a_collection_may_change_while_it_is_iterated() -> None:
    database = Database(None)
    records = Collection(database, "records", Record)
    records.put("a", RECORD)
    records.put("b", RECORD)
    for key in records:
        records.delete(key)
    for key, _ in records.items():
        records.delete(key)
    assert 0 == len(records)
    assert records.get("a") is None
    database.close()


@dataclass(slots=True)
class Measured:
    value: float


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_never_gets_into_the_file(path: Path, value: float) -> None:
    database = Database(path)
    records = Collection(database, "measured", Measured)
    records.put("k", Measured(1.0))
    with pytest.raises(UnreadableRecord, match="the record 'k' of measured"):
        records.put("k", Measured(value))
    assert Measured(1.0) == records.get("k")
    database.close()
    database = Database(path)
    assert {"k": Measured(1.0)} == dict(Collection(database, "measured", Measured).items())
    database.close()


@pytest.mark.parametrize("body", [b"", b"null", b"[1]", b'{"text": 1}', b"\xff", b"[" * 5000])
def test_a_record_that_cannot_be_read_is_set_aside_and_the_others_are_loaded(
    path: Path, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(path)
    Collection(database, "records", Record).put("good", RECORD)
    database.write("records", "bad", body)
    database.close()
    database = Database(path)
    records = Collection(database, "records", Record)
    assert ({"good": RECORD}, 1) == (dict(records.items()), database.set_aside)
    assert "The record 'bad' of records cannot be read" in caplog.text
    database.close()
    with closing(sqlite3.connect(path)) as connection:
        kept = connection.execute("SELECT collection, key, body FROM set_aside").fetchall()
    assert [("records", "bad", body)] == kept
    caplog.clear()
    assert {"good": RECORD} == reopened(path)
    assert "" == caplog.text


def test_a_write_that_the_disk_refuses_is_postponed_until_there_is_room(path: Path) -> None:
    database = Database(path)
    records = Collection(database, "records", Record)
    records.put("deleted", RECORD)
    assert database.flush()
    database.limit_growth(True)
    many = {str(n): Record("x" * 3000, RECORD.when) for n in range(20)}
    for key, record in many.items():
        records.put(key, record)
    records.put("0", RECORD)
    records.delete("1")
    records.delete("deleted")
    assert not database.flush()
    expected = many | {"0": RECORD}
    del expected["1"]
    assert expected == dict(records.items())  # work goes on with what is in memory
    assert len(reopened(path)) < len(expected)
    database.limit_growth(False)
    assert database.flush()
    assert expected == reopened(path)
    database.close()


def test_what_is_postponed_is_written_at_the_end_if_there_is_room_then(path: Path) -> None:
    database = Database(path)
    records = Collection(database, "records", Record)
    database.limit_growth(True)
    records.put("k", Record("x" * 30_000, RECORD.when))
    assert {} == reopened(path)
    database.limit_growth(False)
    database.close()
    assert ["k"] == list(reopened(path))


def test_a_damaged_file_is_one_sentence_and_stays_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    before = path.read_bytes()
    with pytest.raises(
        StateDirectoryError, match="it is damaged: file is not a database"
    ) as caught:
        Database(path)
    assert "reset" not in str(caught.value)
    assert before == path.read_bytes()


def test_a_file_that_cannot_be_opened_is_one_sentence(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StateDirectoryError, match=r"the state file .* cannot be used"):
        Database(path)


def test_the_file_is_for_its_owner_only(path: Path) -> None:
    path.parent.mkdir()
    path.touch(mode=0o644)
    Database(path).close()
    assert 0o600 == path.stat().st_mode & 0o777


class CollectionMachine(RuleBasedStateMachine):
    """A collection against a dictionary; a second one reads the same database again."""

    def __init__(self) -> None:
        super().__init__()
        self.database = Database(None)
        self.records = Collection(self.database, "numbers", int)
        self.expected: dict[str, int] = {}

    @rule(key=st.text(max_size=2), value=st.integers(0, 9))
    def put(self, key: str, value: int) -> None:
        self.records.put(key, value)
        self.expected[key] = value

    @rule(key=st.text(max_size=2))
    def delete(self, key: str) -> None:
        self.records.delete(key)
        self.expected.pop(key, None)

    @invariant()
    def memory_and_database_agree(self) -> None:
        assert self.expected == dict(self.records.items())
        assert self.expected == dict(Collection(self.database, "numbers", int).items())

    def teardown(self) -> None:
        self.database.close()


TestCollection = CollectionMachine.TestCase
TestCollection.settings = settings(stateful_step_count=steps(20))
