"""Invocation metrics: counted per request, written to CloudWatch as one datum per flush.

Each request adds 1/instances to InvocationsPerInstance, so that the Sum over a minute is the value
that target tracking reads. For example, 600 requests in a minute on 2 instances add up to 300. A
variant without traffic emits zeros, so that it can scale in. ConcurrentRequestsPerModel is the most
requests at once of each instance in ten clock seconds.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from localcloud.aws.routing import Scope, scope_of_arn
from localcloud.cloudwatch.metric_math import Distribution, percentile
from localcloud.core.clock import Clock
from localcloud.moto_backend.dispatcher import MotoBackend, backend

log = logging.getLogger("localcloud.cloudwatch.invocation_metrics")

NAMESPACE = "AWS/SageMaker"
_FLUSH_CLOCK_SECONDS = 10.0
# The newest flushes with invocations that are remembered for each variant: a quarter of an hour.
_REMEMBERED = 90
_FORGOTTEN_AFTER = timedelta(hours=1)


@dataclass(slots=True)
class _Latency:
    """A statistic set, in microseconds."""

    count: int = 0
    total: float = 0.0
    minimum: float = math.inf
    maximum: float = 0.0
    distribution: Distribution = field(default_factory=Distribution)

    def add(self, microseconds: float) -> None:
        self.distribution.add(microseconds)
        self.count += 1
        self.total += microseconds
        if microseconds < self.minimum:
            self.minimum = microseconds
        if microseconds > self.maximum:
            self.maximum = microseconds


@dataclass(slots=True)
class _Window:
    """The counts of one variant since the last flush."""

    invocations: int = 0
    per_instance: float = 0.0
    errors_4xx: int = 0
    errors_5xx: int = 0
    concurrent: list[int] = field(default_factory=list)
    model: _Latency = field(default_factory=_Latency)
    overhead: _Latency = field(default_factory=_Latency)


@dataclass(frozen=True, slots=True)
class Flush:
    """The invocations of one variant between two flushes.

    Attributes:
        at: the AWS time of its end.
        seconds: its length, in clock seconds.
        per_instance: invocations per instance.
        p50, p99: percentiles of the model's latency, in milliseconds.
    """

    at: datetime
    seconds: float
    invocations: int
    per_instance: float
    errors_4xx: int
    errors_5xx: int
    p50: float
    p99: float


# Returns (endpoint ARN, endpoint name, variant name) of every variant in service, with the most
# requests at once of each of its instances since the last call.
InService = Callable[[], Iterable[tuple[tuple[str, str, str], list[int]]]]


class InvocationMeter:
    """Counts invocations and writes them to moto's CloudWatch.

    Attributes:
        recent: (endpoint ARN, variant) → its newest flushes with invocations, oldest first.
        on_flush: called after a flush with invocations.
    """

    def __init__(self, moto: MotoBackend, clock: Clock) -> None:
        self._moto = moto
        self._clock = clock
        self._windows: dict[tuple[str, str, str], _Window] = {}
        self.recent: dict[tuple[str, str], deque[Flush]] = {}
        self.on_flush: Callable[[], None] = _ignore

    def record(
        self,
        arn: str,
        name: str,
        variant: str,
        *,
        instances: int,
        status: int,
        model_seconds: float,
        overhead_seconds: float,
    ) -> None:
        """Count one invocation."""
        window = self._windows.get((arn, name, variant))
        if window is None:
            window = self._windows[arn, name, variant] = _Window()
        window.invocations += 1
        window.per_instance += 1 / instances
        if status >= 500:
            window.errors_5xx += 1
        elif status >= 400:
            window.errors_4xx += 1
        window.model.add(model_seconds * 1e6)
        window.overhead.add(overhead_seconds * 1e6)

    async def run(self, in_service: InService) -> None:
        """Write the counts every ten clock seconds, until cancelled."""
        while True:
            began = self._clock.now()
            await self._clock.pace(_FLUSH_CLOCK_SECONDS)
            windows, self._windows = self._windows, {}
            try:
                self._remember(windows, began)
                for key, concurrent in in_service():
                    windows.setdefault(key, _Window()).concurrent = concurrent
                if windows:
                    await self._moto.call(_write, windows, began)
            except Exception:
                log.exception("could not write metrics")

    def _remember(self, windows: dict[tuple[str, str, str], _Window], began: datetime) -> None:
        now = self._clock.now()
        seconds = max((now - began).total_seconds(), 0.001)
        for (arn, _, variant), window in windows.items():
            kept = self.recent.setdefault((arn, variant), deque(maxlen=_REMEMBERED))
            kept.append(
                Flush(
                    now,
                    seconds,
                    window.invocations,
                    window.per_instance,
                    window.errors_4xx,
                    window.errors_5xx,
                    _milliseconds(window.model, 50),
                    _milliseconds(window.model, 99),
                )
            )
        for key in [k for k, kept in self.recent.items() if now - kept[-1].at > _FORGOTTEN_AFTER]:
            del self.recent[key]
        if windows:
            self.on_flush()


def _ignore() -> None:
    """Do nothing: nobody watches the metrics."""


def _milliseconds(latency: _Latency, percent: float) -> float:
    return (percentile([latency.distribution], percent) or 0.0) / 1000


def _write(windows: dict[tuple[str, str, str], _Window], timestamp: datetime) -> None:
    by_scope: dict[Scope, list[dict[str, Any]]] = {}
    for (arn, name, variant), window in windows.items():
        by_scope.setdefault(scope_of_arn(arn), []).extend(_data(name, variant, window, timestamp))
    for scope, data in by_scope.items():
        try:
            _put(scope, data)
        except Exception:  # one region must not cost the metrics of the others
            log.exception("could not write the metrics of %s in %s", scope.account, scope.region)


def _put(scope: Scope, data: list[dict[str, Any]]) -> None:
    cloudwatch = backend("cloudwatch", scope)
    cloudwatch.put_metric_data(NAMESPACE, data)
    # A statistic set of moto has no percentiles, so the distribution is stored beside it.
    for datum, sent in zip(cloudwatch.metric_data[-len(data) :], data, strict=True):
        if "Distribution" in sent:
            datum.distribution = sent["Distribution"]


def _data(name: str, variant: str, window: _Window, timestamp: datetime) -> list[dict[str, Any]]:
    dimensions = [
        {"Name": "EndpointName", "Value": name},
        {"Name": "VariantName", "Value": variant},
    ]
    naive = timestamp.astimezone(UTC).replace(tzinfo=None)
    base = {"Dimensions": dimensions, "Timestamp": naive}
    count = window.invocations
    data: list[dict[str, Any]] = []
    for metric, total, peak in (
        ("Invocations", float(count), 1.0),
        ("InvocationsPerInstance", window.per_instance, window.per_instance / max(count, 1)),
        ("Invocation4XXErrors", float(window.errors_4xx), 1.0 if window.errors_4xx else 0.0),
        ("Invocation5XXErrors", float(window.errors_5xx), 1.0 if window.errors_5xx else 0.0),
        (
            "InvocationModelErrors",
            float(window.errors_4xx + window.errors_5xx),
            1.0 if window.errors_4xx + window.errors_5xx else 0.0,
        ),
    ):
        statistics = {"SampleCount": max(count, 1), "Sum": total, "Minimum": 0.0, "Maximum": peak}
        data.append({**base, "MetricName": metric, "Unit": "None", "StatisticValues": statistics})
    if window.concurrent:
        statistics = {
            "SampleCount": len(window.concurrent),
            "Sum": float(sum(window.concurrent)),
            "Minimum": float(min(window.concurrent)),
            "Maximum": float(max(window.concurrent)),
        }
        metric = "ConcurrentRequestsPerModel"
        data.append({**base, "MetricName": metric, "Unit": "None", "StatisticValues": statistics})
    for metric, latency in (("ModelLatency", window.model), ("OverheadLatency", window.overhead)):
        if latency.count:
            statistics = {
                "SampleCount": latency.count,
                "Sum": latency.total,
                "Minimum": latency.minimum,
                "Maximum": latency.maximum,
            }
            data.append(
                {
                    **base,
                    "MetricName": metric,
                    "Unit": "Microseconds",
                    "StatisticValues": statistics,
                    "Distribution": latency.distribution,
                }
            )
    return data
