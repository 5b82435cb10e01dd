"""What a stack costs a month, from a small table of list prices with a date.

Pure: settings in, estimate out. An estimate, not a bill: on-demand prices in US dollars, without
free tiers, data transfer, requests and taxes; what it leaves out it says.
Source: https://aws.amazon.com/sagemaker/ai/pricing/ and the price pages of each service.
"""

from typing import Any

from components import endpoint_alarms
from components.settings import Encryption, EndpointSettings, Environment, StackSettings

# What the list prices are taken to have been then. They were not read from AWS's price list when
# this was written, and they change: look them up before you decide on them.
PRICE_DATE = "2024-10-01"
PRICE_REGION = "us-east-1"
HOURS_A_MONTH = 730

# US dollars an hour of real-time hosting, and, alike, of training.
INSTANCE_HOUR = {
    "ml.t2.medium": 0.056,
    "ml.t2.large": 0.111,
    "ml.t2.xlarge": 0.223,
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.m5.2xlarge": 0.461,
    "ml.m5.4xlarge": 0.922,
    "ml.c5.large": 0.102,
    "ml.c5.xlarge": 0.204,
    "ml.c5.2xlarge": 0.408,
    "ml.r5.large": 0.151,
}
KEY_MONTH = 1.00
ALARM_METRIC_MONTH = 0.10
DASHBOARD_MONTH = 3.00
PIPELINE_ACTION_MINUTE = 0.002
BUILD_MINUTE = 0.005
STORAGE_GB_MONTH = 0.023

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
