"""The alarms, dashboard, budget and cost estimate of an endpoint."""

import json
from datetime import date, timedelta
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator

from components import costs, endpoint_alarms, endpoint_dashboard, prices
from components.naming import Names
from components.settings import (
    AlarmSettings,
    EndpointSettings,
    Environment,
    MonitorSettings,
    ScalingSettings,
)
from tests.unit.components.recording import ACCOUNT, REGION, record, recorded
from tests.unit.components.values import MINIMAL, parse

NAME = "iris-model-production"
PLAIN = EndpointSettings("ml.m5.large")
SCALED = EndpointSettings(
    "ml.m5.large",
    2,
    ScalingSettings(),
    alarms=AlarmSettings(latency_p99_milliseconds=250, no_invocations_minutes=60),
)
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"


def alarm(endpoint: EndpointSettings, purpose: str) -> dict[str, Any]:
    (found,) = [a for a in endpoint_alarms.render(NAME, endpoint) if a.purpose == purpose]
    return found.arguments


def test_every_environment_has_an_endpoint_name() -> None:
    names = Names("iris-model", ACCOUNT, REGION)
    endpoints = [names.endpoint(environment.value) for environment in Environment]
    assert len(set(endpoints)) == len(Environment)


def test_every_endpoint_has_alarms_for_errors_and_latency() -> None:
    purposes = [a.purpose for a in endpoint_alarms.render(NAME, PLAIN)]
    assert purposes == ["server-errors", "latency-p99"]
    assert [a.name for a in endpoint_alarms.render(NAME, PLAIN)] == (
        endpoint_alarms.rollback_alarm_names(NAME)
    )


def test_a_scaled_endpoint_also_has_alarms_for_no_invocations_and_its_limit() -> None:
    purposes = [a.purpose for a in endpoint_alarms.render(NAME, SCALED)]
    assert purposes == ["server-errors", "latency-p99", "no-invocations", "at-max-capacity"]


MONITORED = EndpointSettings(
    "ml.m5.large",
    data_capture_percent=10,
    monitor=MonitorSettings(alarm_runs=3, minimum_live_accuracy=0.9),
)


def test_a_monitored_endpoint_also_has_alarms_for_drift_accuracy_and_failed_runs() -> None:
    alarms = {a.purpose: a for a in endpoint_alarms.render(NAME, MONITORED)}
    assert list(alarms)[2:] == ["drift", "live-accuracy", "monitor-failed"]
    shown = {
        purpose: (found.arguments["metric_name"], found.arguments["threshold"])
        for purpose, found in alarms.items()
        if "metric_name" in found.arguments
    }
    assert shown["drift"] == ("ConsecutiveDrifts", 3)
    assert shown["live-accuracy"] == ("LiveAccuracy", 0.9)
    assert shown["monitor-failed"] == ("Failed", 1)
    # Between two runs there is no data.
    assert {alarms[p].arguments["treat_missing_data"] for p in list(alarms)[2:]} == {"ignore"}
    assert alarms["drift"].description.startswith("Each of the last 3 runs of the monitor")


def test_the_alarms_of_the_monitor_are_settings() -> None:
    off = EndpointSettings(
        "ml.m5.large", data_capture_percent=10, monitor=MonitorSettings(alarm_runs=0)
    )
    assert [a.purpose for a in endpoint_alarms.render(NAME, off)][2:] == ["monitor-failed"]
    never = EndpointSettings(
        "ml.m5.large", data_capture_percent=10, monitor=MonitorSettings(schedule="never")
    )
    assert len(endpoint_alarms.render(NAME, never)) == 2


def test_the_dashboard_of_a_monitored_endpoint_plots_the_monitors_metrics() -> None:
    body = json.loads(endpoint_dashboard.render(NAME, REGION, MONITORED, []))
    metrics = [
        metric
        for widget in body["widgets"][1:]
        for metric in widget["properties"]["metrics"]
        if metric[0] == "MlopsLab/Monitor"
    ]
    assert {metric[1] for metric in metrics} >= {"MaximumPsi", "LiveAccuracy", "Rows", "Failed"}
    assert {tuple(metric[2:6]) for metric in metrics} == {
        ("Endpoint", NAME, "Variant", "AllTraffic")
    }
    assert "MlopsLab/Monitor" not in endpoint_dashboard.render(NAME, REGION, PLAIN, [])


def test_the_latency_threshold_is_in_microseconds_as_in_cloudwatch() -> None:
    assert alarm(SCALED, "latency-p99")["threshold"] == 250_000
    assert alarm(SCALED, "latency-p99")["extended_statistic"] == "p99"


def test_missing_data_breaches_only_the_no_invocations_alarm() -> None:
    missing = {
        a.purpose: a.arguments["treat_missing_data"] for a in endpoint_alarms.render(NAME, SCALED)
    }
    assert missing.pop("no-invocations") == "breaching"
    assert set(missing.values()) == {"notBreaching"}


def test_instances_are_requests_over_requests_per_instance() -> None:
    queries = {q["id"]: q for q in alarm(SCALED, "at-max-capacity")["metric_queries"]}
    assert queries["instances"]["expression"] == "requests / per_instance"
    assert queries["requests"]["metric"]["metric_name"] == "Invocations"
    assert queries["per_instance"]["metric"]["metric_name"] == "InvocationsPerInstance"
    assert alarm(SCALED, "at-max-capacity")["threshold"] == 9.5


def test_an_evaluation_never_looks_back_more_than_a_day() -> None:
    day = EndpointSettings("ml.m5.large", alarms=AlarmSettings(no_invocations_minutes=1_440))
    silence = alarm(day, "no-invocations")
    assert silence["period"] * silence["evaluation_periods"] == 86_400


@pytest.mark.parametrize("stack", ["dev", "prd"])
def test_the_alarms_notify_the_stacks_topic(stack: str) -> None:
    topic = f"arn:aws:sns:{REGION}:{ACCOUNT}:iris-model-notifications-{stack}"
    for registered in recorded(stack).of(ALARM):
        assert registered.inputs["alarmActions"] == [topic]
        assert registered.inputs["okActions"] == [topic]
    assert recorded(stack).exports["notificationTopicArn"] == topic


def test_the_rollback_alarms_of_an_update_exist() -> None:
    names = {r.inputs["name"] for r in recorded("prd").of(ALARM)}
    assert set(endpoint_alarms.rollback_alarm_names(NAME)) <= names


@pytest.mark.parametrize("stack", ["dev", "prd"])
def test_cloudwatch_accepts_every_alarm(stack: str) -> None:
    session = botocore.session.get_session()
    shape = session.get_service_model("cloudwatch").operation_model("PutMetricAlarm").input_shape
    for registered in recorded(stack).of(ALARM):
        report = ParamValidator().validate(_as_sent(registered.inputs), shape).generate_report()
        assert report == "", registered.label


def _as_sent(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return Pulumi's inputs as the API's parameters."""
    renamed = {"name": "AlarmName", "metricQueries": "Metrics", "alarmActions": "AlarmActions"}
    sent: dict[str, Any] = {}
    for key, value in inputs.items():
        if key == "dimensions":
            value = [{"Name": k, "Value": v} for k, v in value.items()]
        elif key == "metricQueries":
            value = [_query(query) for query in value]
        elif key == "tags":
            value = [{"Key": k, "Value": v} for k, v in value.items()]
        elif key in ("period", "evaluationPeriods", "datapointsToAlarm"):
            value = int(value)
        sent[renamed.get(key, key.replace("okActions", "OKActions")[0].upper() + key[1:])] = value
    if "OkActions" in sent:
        sent["OKActions"] = sent.pop("OkActions")
    return sent


def _query(query: dict[str, Any]) -> dict[str, Any]:
    if "metric" not in query:
        return {"Id": query["id"], "Expression": query["expression"], "ReturnData": True}
    metric = query["metric"]
    return {
        "Id": query["id"],
        "MetricStat": {
            "Metric": {
                "Namespace": metric["namespace"],
                "MetricName": metric["metricName"],
                "Dimensions": [{"Name": k, "Value": v} for k, v in metric["dimensions"].items()],
            },
            "Period": int(metric["period"]),
            "Stat": metric["stat"],
        },
    }


def body(endpoint: EndpointSettings) -> dict[str, Any]:
    text = endpoint_dashboard.render(NAME, REGION, endpoint, ["arn:alarm"])
    found: dict[str, Any] = json.loads(text)
    return found


def test_the_dashboard_shows_alarms_first_and_no_widgets_overlap() -> None:
    widgets = body(SCALED)["widgets"]
    assert widgets[0]["properties"]["alarms"] == ["arn:alarm"]
    cells = [
        (x, y)
        for w in widgets
        for x in range(w["x"], w["x"] + w["width"])
        for y in range(w["y"], w["y"] + w["height"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


def test_target_and_limits_are_lines_of_the_plots() -> None:
    lines = {
        w["properties"]["title"]: [
            line["value"] for line in w["properties"]["annotations"]["horizontal"]
        ]
        for w in body(SCALED)["widgets"]
        if "annotations" in w["properties"]
    }
    assert lines["Requests per instance and minute"] == [120]
    assert lines["Instances"] == [10, 2]
    assert lines["Model latency (µs)"] == [250_000]
    plain = [w["properties"]["title"] for w in body(PLAIN)["widgets"] if "annotations" in str(w)]
    assert plain == ["Model latency (µs)"]


def test_a_budget_notifies_at_80_percent_spent_and_at_100_percent_forecast() -> None:
    assert recorded("dev").of("aws:budgets/budget:Budget") == []
    budget = (
        record("dev", {"monthlyBudgetUsd": "200", "notificationEmail": "ops@example.com"})
        .one("aws:budgets/budget:Budget")
        .inputs
    )
    assert budget["limitAmount"] == "200"
    assert budget["costFilters"] == [{"name": "TagKeyValue", "values": ["user:stack$dev"]}]
    assert [(n["notificationType"], n["threshold"]) for n in budget["notifications"]] == [
        ("ACTUAL", 80),
        ("FORECASTED", 100),
    ]


PRICED = date.fromisoformat(prices.PRICE_DATE)


def estimated(values: dict[str, str], today: date = PRICED) -> dict[str, Any]:
    return costs.estimate(parse(values), today)


def test_an_estimate_warns_of_old_prices() -> None:
    assert estimated(MINIMAL)["warning"] == ""
    assert prices.PRICE_DATE in estimated(MINIMAL, PRICED + timedelta(days=181))["warning"]


def test_an_estimate_is_the_sum_of_its_items_and_has_a_date() -> None:
    estimate = recorded("prd").exports["monthlyCostEstimate"]
    assert estimate["priceDate"] == prices.PRICE_DATE
    assert estimate["total"] == pytest.approx(sum(i["monthly"] for i in estimate["items"]))
    endpoint = estimate["items"][0]
    # Two ml.m5.large all month.
    hourly = prices.INSTANCE_HOUR["ml.m5.large"]
    assert endpoint["monthly"] == pytest.approx(2 * 730 * hourly)
    assert (
        endpoint["note"] == "with the minimum number of instances; up to 5 times as much under load"
    )


def test_an_instance_type_without_a_price_is_excluded_with_a_note() -> None:
    estimate = estimated({**MINIMAL, "instanceType": "ml.g5.xlarge"})
    endpoint = estimate["items"][0]
    assert endpoint["monthly"] is None
    assert endpoint["note"] == "not included: the table has no price for ml.g5.xlarge"
    assert estimate["total"] == pytest.approx(
        sum(item["monthly"] or 0 for item in estimate["items"])
    )


def test_alarm_metrics_are_counted_as_they_are_billed() -> None:
    items = {i["what"]: i for i in estimated(MINIMAL)["items"]}
    assert items["alarms"]["quantity"] == 2
    scaled = {**MINIMAL, "instanceType": "ml.m5.large", "scaling": "true"}
    scaled["initialInstanceCount"] = "2"
    items = {i["what"]: i for i in estimated(scaled)["items"]}
    # One metric for each of two alarms, and two metrics of the metric math expression.
    assert items["alarms"]["quantity"] == 4


def test_captures_and_the_monitor_are_part_of_the_estimate() -> None:
    captured = {**MINIMAL, "dataCapturePercent": "10"}
    items = {i["what"]: i for i in estimated(captured)["items"]}
    # A tenth of 2,628,000 requests of 1 kB in a month, of which 90 days are kept.
    assert items["captured requests"]["quantity"] == pytest.approx(0.2628 * 90 * 24 / 730, abs=1e-3)
    # Five minutes in each of 730 hours.
    assert items["monitor, ml.m5.large"]["quantity"] == pytest.approx(730 * 5 / 60, abs=0.01)
    assert items["monitor's metrics"]["monthly"] == pytest.approx(20 * 0.3)
    often = {**captured, "monitorSchedule": "rate(30 minutes)", "monitorInstanceCount": "4"}
    items = {i["what"]: i for i in estimated(often)["items"]}
    assert items["monitor, ml.m5.large"]["quantity"] == pytest.approx(1460 * 5 * 5 / 60, abs=0.01)
    never = {i["what"] for i in estimated({**captured, "monitorSchedule": "never"})["items"]}
    assert never - {i["what"] for i in estimated(MINIMAL)["items"]} == {"captured requests"}


def test_an_image_for_arm64_doubles_the_builds() -> None:
    minutes = {
        value: next(
            item["quantity"]
            for item in estimated({**MINIMAL, "arm64Image": value})["items"]
            if item["what"] == "image build"
        )
        for value in ("false", "true")
    }
    assert minutes == {"false": 100, "true": 200}


def test_a_kms_key_is_part_of_the_estimate() -> None:
    with_key = estimated({**MINIMAL, "encryption": "aws:kms"})
    assert with_key["total"] - estimated(MINIMAL)["total"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("settings", "jobs"),
    [
        ({}, 60),
        ({"promotionGate": "off"}, 30),
        ({"productionStack": "organization/mlops-lab/prd"}, 90),
        ({"productionStack": "organization/mlops-lab/prd", "rehearsal": "false"}, 60),
        (
            {
                "productionStack": "organization/mlops-lab/prd",
                "productionAccount": "222222222222",
                "encryption": "aws:kms",
            },
            60,
        ),
    ],
)
def test_each_processing_job_of_an_execution_is_part_of_the_estimate(
    settings: dict[str, str], jobs: int
) -> None:
    items = estimated({**MINIMAL, **settings})["items"]
    (found,) = [item for item in items if item["what"].startswith("processing, ")]
    assert found["note"] == f"{jobs} jobs of 5 minutes"
    assert found["quantity"] == pytest.approx(jobs * 5 / 60)


def test_errors_are_a_share_of_the_requests() -> None:
    found = alarm(PLAIN, "server-errors")
    assert (found["statistic"], found["threshold"]) == ("Average", 0.01)
    strict = EndpointSettings("ml.m5.large", alarms=AlarmSettings(error_rate_percent=0))
    assert alarm(strict, "server-errors")["threshold"] == 0
