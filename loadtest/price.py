"""What an instance costs an hour: as given, or from the program's own dated table.

The table is the program's (`components.prices`), which this package never imports: a child process
writes it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from loadtest.errors import UsageError

_ROOT = Path(__file__).resolve().parent.parent
_TABLE_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Price:
    """A price, and where it is from.

    Attributes:
        hourly: US dollars an instance hour.
        source: in words.
    """

    hourly: float
    source: str


@dataclass(frozen=True, slots=True)
class PriceTable:
    """List prices of instances, US dollars an hour, of a date and a region."""

    date: str
    region: str
    instance_hour: dict[str, float]

    def priced(self, instance_type: str) -> Price:
        """Return the price of a type.

        Raises:
            UsageError: the table does not have it.
        """
        hourly = self.instance_hour.get(instance_type)
        if hourly is None:
            raise UsageError(
                f"the prices of {self.date} have no instance type '{instance_type}'; they have "
                f"{', '.join(self.instance_hour)}. Give its price with --price"
            )
        source = f"{instance_type} at {hourly:g} US dollars an hour"
        return Price(hourly, f"{source}, prices of {self.date}, {self.region}")


def read_table() -> PriceTable:
    """Return the program's table.

    Raises:
        UsageError: it cannot be read here.
    """
    answer = subprocess.run(
        [sys.executable, "-m", "components.prices"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=_TABLE_SECONDS,
        check=False,
    )
    if answer.returncode != 0:
        raise UsageError(
            f"the program's price table (components/prices.py) is not in {_ROOT}; give the price "
            "with --price"
        )
    document = json.loads(answer.stdout)
    return PriceTable(document["priceDate"], document["priceRegion"], document["instanceHour"])


def find(given: float | None, instance_type: str | None) -> Price | None:
    """Return the price that was given, or else that of the type that was; None without either.

    Raises:
        UsageError: the price is none, or the type has none.
    """
    if given is not None:
        if not given > 0:
            raise UsageError(f"--price is {given:g}; it must be over 0 US dollars an hour")
        return Price(given, f"{given:g} US dollars an hour, as given")
    return read_table().priced(instance_type) if instance_type is not None else None
