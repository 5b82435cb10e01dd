"""Pure: a day's traffic as requests per minute, from a CSV file or a synthetic wave."""

from __future__ import annotations

import csv
import io
import math
import random
import re

from loadtest.errors import UsageError

MAX_MINUTES = 7 * 1440
_WAVE = re.compile(r"(\d+(?:\.\d+)?):(\d+(?:\.\d+)?)")
# Relative random deviation of a minute, share of minutes with a burst, and factor of a burst.
_JITTER, _BURST_SHARE, _BURST_FACTOR = 0.1, 0.005, 1.5


def read_csv(text: str, name: str) -> list[float]:
    """Return the requests of each minute, from the last column of each row.

    Args:
        text: the content of the file; its first line may be a header.
        name: the file's name, for messages.

    Raises:
        UsageError: a row has no number of requests, or there are no rows or too many.
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
            raise UsageError(
                f"{name} row {number}: '{row[-1]}' is not a number of requests"
            ) from None
        if not (math.isfinite(requests) and requests >= 0):
            raise UsageError(f"{name} row {number}: {row[-1]} must be a finite number, 0 or more")
        minutes.append(requests)
    if not minutes or len(minutes) > MAX_MINUTES:
        raise UsageError(f"{name} has {len(minutes)} minutes; it must have 1 to {MAX_MINUTES}")
    return minutes


def wave(text: str, peak_hour: float = 14.0, seed: int = 0) -> list[float]:
    """Return a synthetic day as requests per minute, with random deviations and short bursts.

    Args:
        text: `TROUGH:PEAK`, in requests/s.
        peak_hour: hour of the peak, 0 to 24.
        seed: seed of the deviations and bursts.

    Raises:
        UsageError: the text is not of that form.
    """
    match = _WAVE.fullmatch(text)
    trough, peak = (float(match[1]), float(match[2])) if match else (1.0, 0.0)
    if not 0 <= trough <= peak or peak == 0:
        raise UsageError(f"--wave is '{text}'; it must be TROUGH:PEAK in requests/s, such as 5:100")
    generator = random.Random(seed)  # noqa: S311 - no cryptography
    minutes = []
    for minute in range(1440):
        swing = math.cos(2 * math.pi * (minute / 60 - peak_hour) / 24)
        rate = (peak + trough) / 2 + (peak - trough) / 2 * swing
        rate *= generator.uniform(1 - _JITTER, 1 + _JITTER)
        if generator.random() < _BURST_SHARE:
            rate *= _BURST_FACTOR
        minutes.append(60 * rate)
    return minutes
