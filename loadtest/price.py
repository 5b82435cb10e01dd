"""The hourly price of an instance: from the command line, or from the program's dated table.

This package never imports the program's table (`components.prices`); a child process prints it.
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
    """A price and its source.

    Attributes:
        hourly: US dollars per instance hour.
        source: a description for the user.
    """

    hourly: float
    source: str


@dataclass(frozen=True, slots=True)
class PriceTable:
    """List prices of one date and one region.

    Attributes:
        date: ISO 8601 date of the prices.
        region: the AWS region.
        instance_hour: US dollars per hour, by instance type.
        warning: what the program says about prices that are too old; empty otherwise.
    """

    date: str
    region: str
    instance_hour: dict[str, float]
    warning: str = ""

    def price_of(self, instance_type: str) -> Price:
        """Return the price of an instance type.

        Raises:
            UsageError: the table does not have the type.
        """
        hourly = self.instance_hour.get(instance_type)
        if hourly is None:
            raise UsageError(
                f"the prices of {self.date} have no instance type '{instance_type}'; they have "
                f"{', '.join(self.instance_hour)}. Set its price with --price"
            )
        source = f"{instance_type} at {hourly:g} US dollars per hour"
        dated = f"{source}, prices of {self.date}, {self.region}"
        return Price(hourly, f"{dated}. {self.warning}" if self.warning else dated)


def read_table() -> PriceTable:
    """Return the program's price table.

    Raises:
        UsageError: the program is not installed beside this package.
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
            f"the program's price table (components/prices.json) is not in {_ROOT}; set the price "
            "with --price"
        )
    document = json.loads(answer.stdout)
    return PriceTable(
        document["priceDate"],
        document["priceRegion"],
        document["instanceHour"],
        document["warning"],
    )


def find_price(hourly: float | None, instance_type: str | None) -> Price | None:
    """Return the price from the options --price and --instance-type; None if neither is set.

    Args:
        hourly: US dollars per hour; has precedence over the type.
        instance_type: a type in the program's table.

    Raises:
        UsageError: the price is not a positive number, or the type is not in the table.
    """
    if hourly is not None:
        if not hourly > 0:
            raise UsageError(f"--price is {hourly:g}; it must be over 0 US dollars per hour")
        return Price(hourly, f"{hourly:g} US dollars per hour, from --price")
    return read_table().price_of(instance_type) if instance_type is not None else None
