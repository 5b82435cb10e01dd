"""Pure: the latency and the cost of models at the rate that was recorded, and at multiples of it.

The recorded requests of each minute are divided by the share that was captured, and multiplied.
Target tracking says how many instances serve each minute (`target_tracking`). At the busiest minute
of one instance, requests arrive at random (a Poisson process) and wait for one another, as they
would for one core; the time of each is drawn from the times that were measured.

Source: D. V. Lindley, The theory of queues with a single server (1952): the waiting time
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.cells import quote
from model.errors import HyperparameterError
from model.target_tracking import Tracking, instances_by_minute

FACTORS = (1, 10)
_DRAWN_REQUESTS = 20_000

Seconds = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Serving:
    """The configuration of production's endpoint.

    Attributes:
        instance_type: such as ml.m5.large.
        instances: their number without scaling, at least 1.
        tracking: the scaling; None without.
        capture_percent: share of the requests that are captured, in percent, above 0, up to 100.
        usd_per_hour: list price of an instance; None if it is not known.
    """

    instance_type: str
    instances: int
    tracking: Tracking | None
    capture_percent: float
    usd_per_hour: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the section of the report."""
        scaling = self.tracking
        return {
            "instance_type": self.instance_type,
            "instances": self.instances,
            "target": scaling and scaling.target,
            "minimum": scaling and scaling.minimum,
            "maximum": scaling and scaling.maximum,
            "capture_percent": self.capture_percent,
            "usd_per_hour": self.usd_per_hour,
        }


def parse_serving(text: str) -> Serving:
    """Return the endpoint that a JSON object describes.

        {"type": "ml.m5.large", "count": 2, "capture": 100, "price": 0.115,
         "target": 120, "min": 2, "max": 10, "out": 60, "in": 300}

    `price` and the last five, which are the scaling, may be missing.

    Raises:
        HyperparameterError: it is not such an object.
    """
    try:
        given = json.loads(text)
        tracking = None
        if "target" in given:
            tracking = Tracking(
                target=_positive(given["target"]),
                minimum=int(_positive(given["min"])),
                maximum=int(_positive(given["max"])),
                out_seconds=float(given["out"]),
                in_seconds=float(given["in"]),
            )
        price = None if given.get("price") is None else float(given["price"])
        percent = _positive(given["capture"])
        if percent > 100:
            raise ValueError(percent)
        return Serving(str(given["type"]), int(_positive(given["count"])), tracking, percent, price)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HyperparameterError(
            f"serving is {quote(text)}; it must be a JSON object that describes the endpoint "
            f"({error!r})"
        ) from None


def _positive(value: Any) -> float:
    number = float(value)
    if not 0 < number < float("inf"):
        raise ValueError(value)
    return number


def summary(seconds: Seconds) -> dict[str, float]:
    """Return the mean, the median and the 99th percentile of at least one time, in milliseconds."""
    middle, late = np.quantile(seconds, [0.5, 0.99])
    return {
        "mean_ms": float(seconds.mean() * 1e3),
        "p50_ms": float(middle * 1e3),
        "p99_ms": float(late * 1e3),
    }


def with_waiting(per_second: float, seconds: Seconds) -> Seconds | None:
    """Return times of requests with their waiting; None if more come than can be answered.

    Args:
        per_second: requests that arrive each second at random, above 0.
        seconds: the times of requests without waiting, at least one.
    """
    if per_second * float(seconds.mean()) >= 1:
        return None
    rng = np.random.default_rng(0)
    drawn = rng.choice(seconds, _DRAWN_REQUESTS)
    gaps = rng.exponential(1 / per_second, _DRAWN_REQUESTS)
    # The work that is left when a request comes: what came before, less the time since then.
    left = np.concatenate(([0.0], np.cumsum(drawn[:-1] - gaps[1:])))
    waiting = left - np.minimum.accumulate(left)
    found: Seconds = waiting + drawn
    return found


def under_load(
    minutes: Sequence[int], serving: Serving, seconds: Mapping[str, Seconds]
) -> list[dict[str, Any]]:
    """Return the load of each factor: what scaling does, and the latency and cost of each model.

    Args:
        minutes: captured requests of each minute, at least one of them above 0.
        serving: the endpoint.
        seconds: the measured times of each model's requests, by the model's name.
    """
    return [_load(factor, minutes, serving, seconds) for factor in FACTORS]


def _load(
    factor: int, minutes: Sequence[int], serving: Serving, seconds: Mapping[str, Seconds]
) -> dict[str, Any]:
    requests = np.array(minutes, np.float64) * factor * 100 / serving.capture_percent
    if serving.tracking is None:
        instances = np.full(len(requests), serving.instances)
    else:
        instances = np.array(instances_by_minute(requests.tolist(), serving.tracking))
    hours = float(instances.sum() / 60)
    # The busiest minute of one instance.
    per_second = float((requests / instances).max() / 60)
    price = serving.usd_per_hour
    return {
        "factor": factor,
        "mean_requests_per_second": float(requests.mean() / 60),
        "most_requests_per_second": float(requests.max() / 60),
        "most_requests_per_second_and_instance": per_second,
        "most_instances": int(instances.max()),
        "instances": instances.tolist(),
        "instance_hours": hours,
        "usd_per_hour": None if price is None else hours * price / (len(requests) / 60),
        "models": {
            name: _of_model(requests, per_second, price, times) for name, times in seconds.items()
        },
    }


def _of_model(
    requests: Seconds, per_second: float, price: float | None, times: Seconds
) -> dict[str, Any]:
    found = with_waiting(per_second, times)
    waited = {} if found is None else summary(found)
    mean = float(times.mean())
    # The time of one core of an instance that the requests take.
    busy_hours = float(requests.sum()) * mean / 3600
    hours = len(requests) / 60
    return {
        "p50_ms": waited.get("p50_ms"),
        "p99_ms": waited.get("p99_ms"),
        "busy": per_second * mean,
        "core_usd_per_hour": None if price is None else busy_hours * price / hours,
    }
