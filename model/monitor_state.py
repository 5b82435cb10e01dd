"""The monitor's state: the files that were counted, and the predictions that wait for labels.

    {"version": 1, "runs": 3, "watermark": "2026/01/30/11",
     "hours": {"2026/01/31/23": {"HASH OF THE NAME": SIZE, …}, …},
     "kept": {…}, "confidence": {…} or null, "model": "…", "trend": [{…}, …]}

A file is counted once: by its hour and name, as `yyyy/mm/dd/hh/NAME`. Files of the newest 48 hours
are remembered; the watermark is the oldest of these hours, and a file of an earlier hour is late.
The state is written whole, after the report; a run that fails leaves everything to the next one.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from model.captures import Note
from model.errors import MonitorError
from model.kept_predictions import KeptPredictions
from model.monitor_statistics import Statistics, hash_of
from model.monitor_trend import MOST_RUNS

VERSION = 1
REMEMBERED_HOURS = 48
# Files without an hour in their path that are remembered.
MOST_FILES_WITHOUT_HOUR = 10_000
_HOUR = "%Y/%m/%d/%H"
_PLACE = re.compile(r"(?:.*/)?((?:19|20)\d\d/\d\d/\d\d/\d\d)/[^/]+")


@dataclass(frozen=True, slots=True)
class CaptureFile:
    """A capture file.

    Attributes:
        path: its path on this machine.
        name: its path under the directory of the captures.
        hour: yyyy/mm/dd/hh, or empty if the path has no hour.
        key: hash of the hour and the name, 16 hexadecimal digits.
        size: bytes.
    """

    path: Path
    name: str
    hour: str
    key: str
    size: int

    @property
    def source(self) -> tuple[str, ...]:
        """Return the parts of the path before the hour, such as (endpoint, variant)."""
        parts = self.name.split("/")
        return tuple(parts[:-5] if self.hour else parts[:-1])


@dataclass(slots=True)
class MonitorState:
    """The state between two runs.

    Attributes:
        runs: number of runs that counted.
        watermark: files of earlier hours are late; empty before the first run.
        hours: size by file key, by hour; the key of files without an hour is empty.
        kept: the predictions of earlier runs.
        confidence: the statistics that later confidences are compared with, as JSON.
        model: what identifies the model of the run before; empty before the first run.
        trend: what `monitor_trend` remembers of the newest runs, the oldest first.
    """

    runs: int = 0
    watermark: str = ""
    hours: dict[str, dict[str, int]] = field(default_factory=dict)
    kept: KeptPredictions = field(default_factory=KeptPredictions)
    confidence: dict[str, Any] | None = None
    model: str = ""
    trend: list[dict[str, Any]] = field(default_factory=list)

    def use(self, model: str) -> None:
        """Forget what the model before answered, if this is another one.

        Its confidence and its accuracy say nothing about this one.

        Args:
            model: what identifies the model whose captures are counted.
        """
        if self.model not in ("", model):
            self.confidence, self.kept = None, KeptPredictions()
        self.model = model

    def remember(self, entry: dict[str, Any]) -> None:
        """Add a run to the trend, which forgets the oldest one beyond its limit."""
        self.trend = [*self.trend, entry][-MOST_RUNS:]

    def choose(self, files: list[CaptureFile], statistics: Statistics) -> list[CaptureFile]:
        """Return the files that were not counted yet, and note the others.

        Args:
            files: the capture files that are there.
            statistics: receives the notes.
        """
        chosen = []
        room = MOST_FILES_WITHOUT_HOUR - len(self.hours.get("", {}))
        for file in files:
            size = self.hours.get(file.hour, {}).get(file.key)
            if size is not None:
                if size != file.size:
                    statistics.note(Note.CHANGED_FILE, file.name)
            elif file.hour and file.hour < self.watermark:
                statistics.note(Note.LATE_FILE, file.name)
            elif not file.hour and not room:
                statistics.note(Note.TOO_MANY_FILES, file.name)
            else:
                room -= not file.hour
                chosen.append(file)
        return chosen

    def count(self, files: Mapping[str, Mapping[str, int]]) -> None:
        """Remember files as counted, and forget those of old hours.

        Args:
            files: size by file key, by hour.
        """
        self.runs += 1
        for hour, sizes in files.items():
            self.hours.setdefault(hour, {}).update(sizes)
        named = [hour for hour in self.hours if hour]
        if named:
            oldest = datetime.strptime(max(named), _HOUR) - timedelta(hours=REMEMBERED_HOURS - 1)
            self.watermark = max(self.watermark, oldest.strftime(_HOUR))
        self.hours = {
            hour: sizes for hour, sizes in self.hours.items() if not hour or hour >= self.watermark
        }

    def as_json(self) -> dict[str, Any]:
        """Return the document that state.json holds."""
        return {
            "version": VERSION,
            "runs": self.runs,
            "watermark": self.watermark,
            "hours": self.hours,
            "kept": self.kept.as_json(),
            "confidence": self.confidence,
            "model": self.model,
            "trend": self.trend,
        }


def read_state(path: Path) -> MonitorState:
    """Return the state of a file; a new one if the file does not exist.

    Raises:
        MonitorError: the file is cut off, of another version, or not a state.
    """
    advice = "restore an earlier version of it, or delete it to count all captures again"
    try:
        document = json.loads(path.read_bytes())
        if document["version"] != VERSION:
            raise MonitorError(
                f"{path.name} has version {document['version']!r}; this monitor reads version "
                f"{VERSION}: {advice}"
            )
        hours = {
            hour: {key: int(size) for key, size in sizes.items()}
            for hour, sizes in document["hours"].items()
        }
        for hour in hours:
            if hour:
                datetime.strptime(hour, _HOUR)
        kept = KeptPredictions.from_json(document["kept"])
        state = MonitorState(
            int(document["runs"]),
            str(document["watermark"]),
            hours,
            kept,
            document["confidence"],
            # States of earlier releases have neither.
            str(document.get("model", "")),
            [dict(entry) for entry in document.get("trend", [])],
        )
    except FileNotFoundError:
        return MonitorState()
    except OSError as error:
        raise MonitorError(f"cannot read {path} ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MonitorError(
            f"{path.name} is cut off, or is not the monitor's state ({error}); {advice}"
        ) from None
    return state


def capture_files(directory: Path, statistics: Statistics) -> list[CaptureFile]:
    """Return the capture files under a directory, in order of their names.

    Args:
        directory: the captures; it may be missing.
        statistics: receives a note for each file that is not a capture file.
    """
    found = []
    for path in _files(directory):
        name = path.relative_to(directory).as_posix()
        if path.suffix != ".jsonl":
            statistics.note(Note.OTHER_FILE, name)
            continue
        hour = hour_of(name)
        try:
            size = path.stat().st_size
        except OSError:
            statistics.note(Note.UNREADABLE_FILE, name)
            continue
        key = f"{hash_of(f'{hour}/{path.name}' if hour else name):016x}"
        found.append(CaptureFile(path, name, hour, key, size))
    return found


def hour_of(name: str) -> str:
    """Return the hour, as yyyy/mm/dd/hh, in a capture file's path; empty if it has none."""
    match = _PLACE.fullmatch(name)
    if match is None:
        return ""
    try:
        datetime.strptime(match[1], _HOUR)
    except ValueError:
        return ""
    return match[1]


def empty_hours(hours: Mapping[str, int]) -> list[str]:
    """Return the hours without a capture between the first and the last of at most a year.

    Args:
        hours: captures by hour.
    """
    times = sorted(
        datetime.strptime(hour, _HOUR) for hour, captures in hours.items() if hour and captures
    )
    found: list[str] = []
    for before, after in itertools.pairwise(times):
        gap = min(int((after - before) / timedelta(hours=1)), 366 * 24)
        found += [(before + timedelta(hours=at)).strftime(_HOUR) for at in range(1, gap)]
    return found


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in sorted(directory.rglob("*")) if path.is_file())
