"""Pure: a day's traffic as requests a minute, from a CSV or a built-in wave."""

from __future__ import annotations

import csv
import io
import math
import random
import re

from loadtest.errors import UsageError

MAX_MINUTES = 7 * 1440
_WAVE = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)")
# How much a minute's traffic strays from the wave, and how often it bursts.
_JITTER, _BURSTS, _BURST = 0.1, 0.005, 1.5


def read_csv(text: str, name: str) -> list[float]:
    """Return the requests of each minute; the last column of each row, a header may come first.

    Args:
        text: of the file.
        name: of the file, for messages.

    Raises:
        UsageError: a row is none, or there are too many or none.
    """
    minutes: list[float] = []
    for number, row in enumerate(csv.reader(io.StringIO(text)), 1):
        if not row:
            continue
        try:
            requests = float(row[-1])
        except ValueError:
            if number == 1:
                continue
            raise UsageError(f"{name} row {number}: '{row[-1]}' is no number of requests") from None
        if not (math.isfinite(requests) and requests >= 0):
            raise UsageError(f"{name} row {number}: {row[-1]} is no number of requests from 0 on")
        minutes.append(requests)
    if not minutes or len(minutes) > MAX_MINUTES:
        raise UsageError(f"{name} has {len(minutes)} minutes; it must have 1 to {MAX_MINUTES}")
    return minutes


def wave(text: str, peak_hour: float = 14.0, seed: int = 0) -> list[float]:
    """Return a day's wave from `TROUGH:PEAK` in requests/s, with jitter and short bursts.

    Raises:
        UsageError: it is none.
    """
    match = _WAVE.fullmatch(text)
    trough, peak = (float(match[1]), float(match[2])) if match else (1.0, 0.0)
    if not 0 <= trough <= peak or peak == 0:
        raise UsageError(f"--wave is '{text}'; it must be TROUGH:PEAK in requests/s, as 5:100")
    chance = random.Random(seed)  # noqa: S311 - no cryptography
    minutes = []
    for minute in range(1440):
        swing = math.cos(2 * math.pi * (minute / 60 - peak_hour) / 24)
        rate = (peak + trough) / 2 + (peak - trough) / 2 * swing
        rate *= chance.uniform(1 - _JITTER, 1 + _JITTER)
        if chance.random() < _BURSTS:
            rate *= _BURST
        minutes.append(60 * rate)
    return minutes
