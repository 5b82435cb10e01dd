"""Estimates the monthly cost of a stack from the list prices in `components.prices`.

Pure: settings in, estimate out. It is an estimate, not a bill: it uses on-demand prices in US
dollars and excludes free tiers, data transfer, requests and taxes. The notes of its items list what
else it assumes or excludes.
"""

import re
from datetime import date
from typing import Any

from components import endpoint_alarms, prices
from components.naming import CAPTURE_DAYS
from components.prices import (
    ALARM_METRIC_MONTH,
    BUILD_MINUTE,
    CUSTOM_METRIC_MONTH,
    DASHBOARD_MONTH,
    HOURS_PER_MONTH,
    INSTANCE_HOUR,
    KEY_MONTH,
    PIPELINE_ACTION_MINUTE,
    PRICE_DATE,
    PRICE_REGION,
    STORAGE_GB_MONTH,
)
from components.settings import (
    Encryption,
    EndpointSettings,
    Environment,
    PromotionGate,
    StackSettings,
)

# The assumed monthly usage of the lab's dev stack.
TRAININGS_PER_MONTH, TRAINING_MINUTES = 30, 10
# Of CheckData, Evaluate and Rehearse, most of which is the start of the instance.
PROCESSING_MINUTES = 5
PIPELINE_MINUTES, BUILDS_PER_MONTH, BUILD_MINUTES, STORED_GB = 20, 20, 5, 10
# Of a run of the monitor on each instance, most of which is its start.
MONITOR_MINUTES = 5
# The metrics that the monitor publishes of the whole endpoint and of each column, and the columns.
ENDPOINT_METRICS, COLUMN_METRICS, COLUMNS = 12, 2, 4
# What an endpoint is asked: requests per second, and bytes of a request with its answer.
REQUESTS_PER_SECOND, CAPTURE_BYTES = 1, 1_000

Item = dict[str, Any]


def estimate(settings: StackSettings, today: date) -> dict[str, Any]:
    """Return the estimate of a stack's monthly cost.

    Args:
        settings: the stack's settings.
        today: the day of the estimate, on which the prices have their age.

    Returns: ``warning``, which is empty unless prices are too old; ``total`` in US dollars, and the
        ``items`` that it sums up, each with ``quantity`` × ``unitPrice`` = ``monthly``. For an
        instance type that is not in the table, ``unitPrice`` and ``monthly`` are None, and
        ``total`` excludes the item. ``instanceMonth`` has the price of an instance of each type.
    """
    items = [
        _endpoint(settings.endpoint),
        _item("alarms", _alarm_metrics(settings.endpoint), "metric", ALARM_METRIC_MONTH),
        _item("dashboard", 1, "dashboard", DASHBOARD_MONTH),
    ]
    items += _captures(settings.endpoint)
    if settings.safety.encryption is Encryption.KMS:
        items.append(_item("KMS key", 1, "key", KEY_MONTH))
    if settings.environment is Environment.DEV:
        items += _delivery(settings)
    return {
        "priceDate": PRICE_DATE,
        "priceRegion": PRICE_REGION,
        "warning": prices.warning(today),
        "region": settings.region,
        "currency": "USD",
        "total": round(sum(item["monthly"] or 0 for item in items), 2),
        "items": items,
        # For whoever compares endpoints of other types or sizes with this one.
        "instanceMonth": {
            name: round(hour * HOURS_PER_MONTH, 2) for name, hour in INSTANCE_HOUR.items()
        },
    }


def _alarm_metrics(endpoint: EndpointSettings) -> int:
    """Return the number of billed metrics; each metric of a metric math expression counts."""
    alarms = endpoint_alarms.render("endpoint", endpoint)
    queries = [alarm.arguments.get("metric_queries", [{"metric": {}}]) for alarm in alarms]
    return sum(1 for alarm in queries for query in alarm if "metric" in query)


def _endpoint(endpoint: EndpointSettings) -> Item:
    price = INSTANCE_HOUR.get(endpoint.instance_type)
    name = f"endpoint, {endpoint.instance_type}"
    count = endpoint.initial_instance_count
    note = ""
    if endpoint.scaling is not None:
        count = endpoint.scaling.min_instance_count
        factor = endpoint.scaling.max_instance_count / count
        note = f"with the minimum number of instances; up to {factor:g} times as much under load"
    if price is None:
        missing = f"not included: the table has no price for {endpoint.instance_type}"
        note = f"{missing}; {note}".rstrip("; ")
    return _item(name, count * HOURS_PER_MONTH, "instance hour", price, note)


def _captures(endpoint: EndpointSettings) -> list[Item]:
    """Return the cost of captured data, and of the monitor's jobs and metrics."""
    percent = endpoint.data_capture_percent
    if not percent:
        return []
    seconds = HOURS_PER_MONTH * 3600
    stored_months = CAPTURE_DAYS * 24 / HOURS_PER_MONTH
    month_gb = REQUESTS_PER_SECOND * seconds * CAPTURE_BYTES * percent / 100 / 1e9
    found = [
        _item(
            "captured requests",
            round(month_gb * stored_months, 3),
            "GB",
            STORAGE_GB_MONTH,
            f"{percent} % of {REQUESTS_PER_SECOND} request/s of {CAPTURE_BYTES} bytes, kept for "
            f"{CAPTURE_DAYS} days",
        )
    ]
    if endpoint.monitored:
        monitor = endpoint.monitor
        runs = _runs_per_month(monitor.schedule)
        # The partials of several instances are merged by another one.
        jobs = monitor.instance_count + (monitor.instance_count > 1)
        found += [
            _item(
                f"monitor, {monitor.instance_type}",
                round(runs * jobs * MONITOR_MINUTES / 60, 2),
                "instance hour",
                INSTANCE_HOUR.get(monitor.instance_type),
                f"{runs:g} runs of {jobs} × {MONITOR_MINUTES} minutes ({monitor.schedule})",
            ),
            _item(
                "monitor's metrics",
                ENDPOINT_METRICS + COLUMN_METRICS * COLUMNS,
                "metric",
                CUSTOM_METRIC_MONTH,
                f"of a model with {COLUMNS} columns; {COLUMN_METRICS} for each column",
            ),
        ]
    return found


def _runs_per_month(schedule: str) -> float:
    """Return how often a schedule is due in a month; for cron(…), as if it were hourly."""
    found = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", schedule)
    if found is None:
        return HOURS_PER_MONTH
    hours = int(found[1]) * {"minute": 1 / 60, "hour": 1, "day": 24}[found[2]]
    return round(HOURS_PER_MONTH / hours, 2)


def _delivery(settings: StackSettings) -> list[Item]:
    training = settings.delivery.training.instance_type
    hours = TRAININGS_PER_MONTH * TRAINING_MINUTES / 60
    minutes = TRAININGS_PER_MONTH * PIPELINE_MINUTES
    delivery = settings.delivery
    evaluated = delivery.promotion_gate is not PromotionGate.OFF
    jobs = TRAININGS_PER_MONTH * (1 + evaluated + delivery.rehearses)
    builds = BUILDS_PER_MONTH * (2 if delivery.arm64_image else 1)
    return [
        _item(
            f"training, {training}",
            hours,
            "instance hour",
            INSTANCE_HOUR.get(training),
            f"{TRAININGS_PER_MONTH} jobs of {TRAINING_MINUTES} minutes",
        ),
        _item(
            f"processing, {training}",
            jobs * PROCESSING_MINUTES / 60,
            "instance hour",
            INSTANCE_HOUR.get(training),
            f"{jobs} jobs of {PROCESSING_MINUTES} minutes",
        ),
        _item("pipeline", minutes, "action minute", PIPELINE_ACTION_MINUTE),
        _item(
            "image build",
            builds * BUILD_MINUTES,
            "build minute",
            BUILD_MINUTE,
            f"{builds} builds of {BUILD_MINUTES} minutes",
        ),
        _item("datasets, models and images", STORED_GB, "GB", STORAGE_GB_MONTH),
    ]


def _item(name: str, quantity: float, unit: str, unit_price: float | None, note: str = "") -> Item:
    monthly = None if unit_price is None else round(quantity * unit_price, 2)
    return {
        "what": name,
        "quantity": quantity,
        "unit": unit,
        "unitPrice": unit_price,
        "monthly": monthly,
        "note": note,
    }
