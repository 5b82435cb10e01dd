"""The list prices of ``prices.json``, each table with its date and its source.

On-demand prices in US dollars, without free tiers and taxes. The date of a table is the day on
which its prices were valid. Prices older than 180 days come with a warning.

    python -m components.prices                              write the instance prices as JSON
    python -m components.prices --refresh [--profile NAME]   replace them by AWS's price list
"""

import argparse
import json
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("prices.json")
MAX_AGE = timedelta(days=180)
HOURS_PER_MONTH = 730

_TABLES = json.loads(FILE.read_text())
_INSTANCES, _SERVICES = _TABLES["instances"], _TABLES["services"]

PRICE_REGION: str = _TABLES["region"]
# The date of the older table.
PRICE_DATE: str = min(_INSTANCES["date"], _SERVICES["date"])

# US dollars per hour, for real-time hosting; a training job is estimated at the same price.
INSTANCE_HOUR: dict[str, float] = _INSTANCES["hour"]
KEY_MONTH: float = _SERVICES["keyMonth"]
ALARM_METRIC_MONTH: float = _SERVICES["alarmMetricMonth"]
CUSTOM_METRIC_MONTH: float = _SERVICES["customMetricMonth"]
DASHBOARD_MONTH: float = _SERVICES["dashboardMonth"]
PIPELINE_ACTION_MINUTE: float = _SERVICES["pipelineActionMinute"]
BUILD_MINUTE: float = _SERVICES["buildMinute"]
STORAGE_GB_MONTH: float = _SERVICES["storageGbMonth"]


def warning(
    today: date, instances: str = _INSTANCES["date"], services: str = _SERVICES["date"]
) -> str:
    """Return the warning about prices that are too old; empty if none are.

    Args:
        today: the day of the estimate.
        instances: date of the instance prices, ISO 8601.
        services: date of the other prices, ISO 8601.
    """
    refreshing = {
        f"instances of {instances}": (instances, "run python -m components.prices --refresh"),
        f"other services of {services}": (services, "correct components/prices.json by hand"),
    }
    old = {
        name: advice
        for name, (found, advice) in refreshing.items()
        if today - date.fromisoformat(found) > MAX_AGE
    }
    if not old:
        return ""
    return (
        f"The estimate uses prices that are more than {MAX_AGE.days} days old, "
        f"{' and '.join(old)}: {', and '.join(old.values())}"
    )


def document(today: date) -> dict[str, Any]:
    """Return the instance prices, for programs that must not import this one."""
    return {
        "priceDate": _INSTANCES["date"],
        "priceRegion": PRICE_REGION,
        "currency": _TABLES["currency"],
        "instanceHour": INSTANCE_HOUR,
        "warning": warning(today, services=today.isoformat()),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write the instance prices to standard output, or refresh them."""
    parser = argparse.ArgumentParser("python -m components.prices", description=__doc__)
    parser.add_argument("--refresh", action="store_true", help="read AWS's price list")
    parser.add_argument(
        "--profile", help="the AWS profile that reads it; the default one if absent"
    )
    options = parser.parse_args(arguments)
    if not options.refresh:
        sys.stdout.write(json.dumps(document(date.today())) + "\n")
        return 0
    from components import price_list

    try:
        hours = price_list.read(price_list.client(options.profile), PRICE_REGION)
    except price_list.PriceListError as error:
        sys.stderr.write(f"{error}; {FILE.name} is unchanged\n")
        return 1
    FILE.write_text(json.dumps(price_list.refreshed(_TABLES, hours, date.today()), indent=2) + "\n")
    sys.stdout.write(f"{len(hours)} instance prices of today are in {FILE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
