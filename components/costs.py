"""What a stack costs a month, from the list prices of `components.prices`.

Pure: settings in, estimate out. An estimate, not a bill: on-demand prices in US dollars, without
free tiers, data transfer, requests and taxes; what it leaves out it says.
"""

from typing import Any

from components import endpoint_alarms
from components.prices import (
    ALARM_METRIC_MONTH,
    BUILD_MINUTE,
    DASHBOARD_MONTH,
    HOURS_A_MONTH,
    INSTANCE_HOUR,
    KEY_MONTH,
    PIPELINE_ACTION_MINUTE,
    PRICE_DATE,
    PRICE_REGION,
    STORAGE_GB_MONTH,
)
from components.settings import Encryption, EndpointSettings, Environment, StackSettings

# What a month of the lab's dev stack is taken to be.
TRAININGS_A_MONTH, TRAINING_MINUTES = 30, 10
PIPELINE_MINUTES, BUILDS_A_MONTH, BUILD_MINUTES, STORED_GB = 20, 20, 5, 10

Item = dict[str, Any]


def estimate(settings: StackSettings) -> dict[str, Any]:
    """Return a stack's monthly cost.

    Args:
        settings: of the stack.

    Returns: ``total`` in US dollars and the ``items`` that it is the sum of, each ``quantity`` ×
        ``unitPrice`` = ``monthly``. An instance type that is not in the table has a price and
        sum of None, and ``total`` is then without it.
    """
    items = [
        _endpoint(settings.endpoint),
        _item("alarms", _alarm_metrics(settings.endpoint), "metric", ALARM_METRIC_MONTH),
        _item("dashboard", 1, "dashboard", DASHBOARD_MONTH),
    ]
    if settings.safety.encryption is Encryption.KMS:
        items.append(_item("KMS key", 1, "key", KEY_MONTH))
    if settings.environment is Environment.DEV:
        items += _delivery(settings)
    return {
        "priceDate": PRICE_DATE,
        "priceRegion": PRICE_REGION,
        "region": settings.region,
        "currency": "USD",
        "total": round(sum(item["monthly"] or 0 for item in items), 2),
        "items": items,
    }


def _alarm_metrics(endpoint: EndpointSettings) -> int:
    """Return what is billed: each metric of an alarm's metric math counts."""
    alarms = endpoint_alarms.render("endpoint", endpoint)
    queries = [alarm.arguments.get("metric_queries", [{"metric": {}}]) for alarm in alarms]
    return sum(1 for alarm in queries for query in alarm if "metric" in query)


def _endpoint(endpoint: EndpointSettings) -> Item:
    price = INSTANCE_HOUR.get(endpoint.instance_type)
    what = f"endpoint, {endpoint.instance_type}"
    count = endpoint.initial_instance_count
    note = ""
    if endpoint.scaling is not None:
        count = endpoint.scaling.min_instance_count
        most = endpoint.scaling.max_instance_count
        note = f"at its least instances; up to {most / count:g} times as much under load"
    if price is None:
        note = f"no price of {endpoint.instance_type} in the table; {note}".rstrip("; ")
    return _item(what, count * HOURS_A_MONTH, "instance hour", price, note)


def _delivery(settings: StackSettings) -> list[Item]:
    training = settings.delivery.training.instance_type
    hours = TRAININGS_A_MONTH * TRAINING_MINUTES / 60
    minutes = TRAININGS_A_MONTH * PIPELINE_MINUTES
    return [
        _item(
            f"training, {training}",
            hours,
            "instance hour",
            INSTANCE_HOUR.get(training),
            f"{TRAININGS_A_MONTH} jobs of {TRAINING_MINUTES} minutes",
        ),
        _item("pipeline", minutes, "action minute", PIPELINE_ACTION_MINUTE),
        _item(
            "image build",
            BUILDS_A_MONTH * BUILD_MINUTES,
            "build minute",
            BUILD_MINUTE,
            f"{BUILDS_A_MONTH} builds of {BUILD_MINUTES} minutes",
        ),
        _item("datasets, models and images", STORED_GB, "GB", STORAGE_GB_MONTH),
    ]


def _item(what: str, quantity: float, unit: str, unit_price: float | None, note: str = "") -> Item:
    monthly = None if unit_price is None else round(quantity * unit_price, 2)
    return {
        "what": what,
        "quantity": quantity,
        "unit": unit,
        "unitPrice": unit_price,
        "monthly": monthly,
        "note": note,
    }
