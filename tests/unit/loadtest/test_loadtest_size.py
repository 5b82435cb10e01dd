"""The capacity planner: traffic, capacity, and the resulting settings."""

from __future__ import annotations

import io
import json
import re
import shlex
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from loadtest.__main__ import main
from loadtest.calibration import Calibration, calibrate
from loadtest.capacity import LoadStep, capacity, measure_steps
from loadtest.errors import LoadTestError, UsageError
from loadtest.observer import EndpointState
from loadtest.price import Price, PriceTable, find_price, read_table
from loadtest.run import RunSettings
from loadtest.shapes import Load
from loadtest.size import endpoint_price, mean_instances, measure_capacity, pulumi_lines, simulate
from loadtest.size_metrics import CONCURRENT_REQUESTS, METRICS, latency_of
from loadtest.size_types import compare, parse_types, show
from loadtest.traffic import read_csv, wave
from tests.unit.loadtest.local_endpoint import LocalEndpoint
from tests.unit.loadtest.test_loadtest_run import command, dataset, environment

__all__ = ["dataset"]  # the fixture of the other file


def _step(users: int, rps: float, p99: float | None = 10.0, failed: float = 0.0) -> LoadStep:
    return LoadStep(users, rps, p99, failed)


def test_the_steps_end_when_the_objective_is_missed() -> None:
    p99 = {1: 5.0, 2: 6.0, 4: 9.0, 8: 60.0}
    steps = measure_steps(lambda users: _step(users, 100.0 * users, p99[users]), 50.0)
    assert [1, 2, 4, 8] == [step.users for step in steps]
    assert capacity(steps, 50.0) == 400.0


def test_the_steps_end_when_more_users_no_longer_raise_the_rate() -> None:
    steps = measure_steps(lambda users: _step(users, min(100.0 * users, 210.0)), 50.0)
    assert [1, 2, 4, 8] == [step.users for step in steps]
    assert capacity(steps, 50.0) == 210.0


def test_steps_with_failures_or_without_answers_miss_the_objective() -> None:
    assert capacity([_step(1, 100.0, failed=0.01), _step(2, 100.0, None)], 50.0) is None


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_a_csv_gives_its_numbers_with_and_without_a_header(minutes: list[float]) -> None:
    lines = [f"{number},{value!r}" for number, value in enumerate(minutes)]
    assert minutes == read_csv("\n".join(lines), "t.csv")
    assert minutes == read_csv("minute,requests\n" + "\n".join(lines) + "\n", "t.csv")


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "has 0 minutes"),
        ("requests\n", "has 0 minutes"),
        ("1\nmany\n", "row 2: 'many'"),
        ("1\n-3\n", "row 2: -3 must be"),
        ("1\nnan\n", "row 2: nan must be"),
    ],
)
def test_an_invalid_traffic_file_is_refused_with_the_row(text: str, word: str) -> None:
    with pytest.raises(UsageError, match=word):
        read_csv(text, "t.csv")


def test_a_wave_has_its_peak_in_the_afternoon_and_is_reproducible() -> None:
    minutes = wave("5:100")
    assert len(minutes) == 1440
    assert minutes == wave("5:100")
    afternoon, night = sum(minutes[810:870]) / 3600, sum(minutes[90:150]) / 3600
    assert 90 < afternoon < 115
    assert 4 < night < 8


@pytest.mark.parametrize("text", ["", "5", "100:5", "a:b", "0:0", "-1:5"])
def test_an_invalid_wave_is_refused_with_the_expected_form(text: str) -> None:
    with pytest.raises(UsageError, match="TROUGH:PEAK"):
        wave(text)


def test_the_instances_of_a_run_are_the_mean_of_its_samples(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    counts = (None, 1, 3)
    path.write_text("".join(json.dumps({"current_instances": c}) + "\n" for c in counts))
    assert mean_instances(path) == 2.0


def test_the_result_is_printed_as_the_stacks_configuration() -> None:
    found = {
        "target_value": 960.0,
        "minimum": 2,
        "maximum": 8,
        "scale_out_cooldown_seconds": 60.0,
        "scale_in_cooldown_seconds": 300.0,
    }
    assert pulumi_lines(20.0, found) == [
        "mlops-lab:scaling: true",
        "mlops-lab:minInstanceCount: 2",
        "mlops-lab:maxInstanceCount: 8",
        'mlops-lab:maxRequestsPerSecond: "20"',
        'mlops-lab:safetyFactor: "0.8"',
        "mlops-lab:scaleInCooldownSeconds: 300",
        "mlops-lab:scaleOutCooldownSeconds: 60",
    ]


def test_a_plan_by_concurrent_requests_is_printed_with_its_own_settings() -> None:
    found = {
        "target_value": 1.6,
        "minimum": 1,
        "maximum": 8,
        "scale_out_cooldown_seconds": 60.0,
        "scale_in_cooldown_seconds": 300.0,
        "metric": METRICS[CONCURRENT_REQUESTS],
    }
    assert pulumi_lines(20.0, found, 0.1) == [
        "mlops-lab:scaling: true",
        "mlops-lab:minInstanceCount: 1",
        "mlops-lab:maxInstanceCount: 8",
        "mlops-lab:scalingMetric: concurrent-requests",
        'mlops-lab:maxConcurrentRequests: "2"',
        'mlops-lab:safetyFactor: "0.8"',
        "mlops-lab:scaleInCooldownSeconds: 300",
        "mlops-lab:scaleOutCooldownSeconds: 60",
    ]


def test_the_latency_is_that_of_a_single_user_who_never_waits_for_another() -> None:
    assert latency_of([_step(1, 20.0), _step(2, 40.0), _step(4, 41.0)]) == 0.05
    assert latency_of([_step(1, 0.0, None)]) is None
    assert latency_of([]) is None


def test_a_day_is_planned_by_both_metrics_and_each_row_can_be_reproduced(tmp_path: Path) -> None:
    traffic = tmp_path / "traffic.csv"
    traffic.write_text("\n".join(str(600 + 40 * minute) for minute in range(60)))
    given = ("--capacity", "20", "--latency", "100", "--traffic", str(traffic))
    done = command(
        *("size", *given, "--price", "0.5", "--startup-minutes", "1", "--objective", "0.01"),
        *("--out", str(tmp_path)),
    )
    assert done.returncode == 0, done.stderr
    whole = json.loads((tmp_path / "size.json").read_text())
    rows = {row["metric"]: row for row in whole["metrics"]}
    assert list(rows) == ["invocations", "concurrent-requests"]
    assert rows["invocations"]["settings"] == whole["settings"]
    assert rows["invocations"]["settings"]["target_value"] > 20
    assert rows["concurrent-requests"]["settings"]["target_value"] <= 2
    lines = [line for line in done.stdout.splitlines() if line.startswith("python -m loadtest")]
    assert len(lines) == 2
    for line, row in zip(lines, rows.values(), strict=True):
        out = tmp_path / row["metric"]
        again = command(*shlex.split(line)[3:], "--out", str(out))
        assert again.returncode == 0, again.stderr
        assert (out / "size.png").stat().st_size > 10_000
        repeated = json.loads((out / "size.json").read_text())
        assert repeated["settings"] == row["settings"]
        assert repeated["metrics"] == whole["metrics"]
        assert repeated["price"]["hourly"] == 0.5
        said = "scalingMetric: concurrent-requests" in again.stdout
        assert said == (row["metric"] == "concurrent-requests")


def test_a_model_that_answers_at_once_is_not_planned_by_concurrent_requests(
    tmp_path: Path,
) -> None:
    given = ("size", "--capacity", "20", "--latency", "5", "--wave", "1:20")
    done = command(*given, "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    reason = "an instance at its capacity has 0.1 requests at once"
    assert f"concurrent-requests: {reason}" in done.stdout
    refused = command(*given, "--metric", "concurrent-requests", "--out", str(tmp_path))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: {reason}")


def test_users_are_per_instance_and_so_is_the_measured_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[int] = []

    def fake_run(settings: Any, console: Console) -> Any:
        loads.append(settings.load.users)
        settings.out.mkdir(parents=True, exist_ok=True)
        (settings.out / "samples.jsonl").write_text('{"current_instances": 3}\n')
        p99 = 10.0 if settings.load.users <= 6 else 90.0
        requests = 600 * settings.load.users
        return SimpleNamespace(requests=requests, load_seconds=6.0, failures=0, p99_ms=p99)

    monkeypatch.setattr("loadtest.run.run", fake_run)
    monkeypatch.setattr("loadtest.observer.Observer.state", lambda _: EndpointState("ok", 3, 3))
    load = Load("constant", 1, 1.0, 1.0)
    base = RunSettings("iris", tmp_path, load, "us-east-1", "http://local", 0, 0, tmp_path)
    monkeypatch.setattr("loadtest.calibration.calibrate", lambda *_: Calibration(1001.0, 5.0, 1))
    said = io.StringIO()
    rate, steps = measure_capacity(base, 50.0, Console(file=said, width=200))
    assert loads == [3, 6, 12]
    assert [step.users for step in steps] == [1, 2, 4]
    assert rate == 200.0
    assert "the instances share this machine" in said.getvalue()
    assert "can send 1,001 requests/s" in said.getvalue()
    monkeypatch.setattr("loadtest.calibration.calibrate", lambda *_: Calibration(999.0, 5.0, 1))
    with pytest.raises(LoadTestError, match="was not measured: 600 requests/s are over 60%"):
        measure_capacity(base, 50.0, Console(quiet=True))


def test_the_generator_is_measured_by_a_server_that_answers_at_once(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    load = Load("constant", 1, 1.0, 1.0)
    base = RunSettings("iris", dataset, load, "us-east-1", None, 0, 0, tmp_path)
    found = calibrate(base, 1)
    assert found.rps > 50
    assert found.usable_rps == pytest.approx(0.6 * found.rps)
    assert found.p99_ms is not None


def test_sizing_a_day_prints_settings_and_writes_a_plot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    traffic = tmp_path / "traffic.csv"
    traffic.write_text("".join(f"{600 + 10 * minute}\n" for minute in range(120)))
    out = tmp_path / "out"
    code = main(
        [
            *("size", "--capacity", "10", "--traffic", str(traffic)),
            *("--price", "0.115", "--out", str(out)),
        ]
    )
    shown = capsys.readouterr().out
    assert code == 0
    assert "mlops-lab:minInstanceCount:" in shown
    assert "US dollars per month" in shown
    assert (out / "size.png").read_bytes().startswith(b"\x89PNG")
    kept = json.loads((out / "size.json").read_text())
    assert len(kept["minutes"]) == 120


def _sized(out: Path, *options: str) -> int:
    return main(["size", "--capacity", "10", "--wave", "1:20", "--out", str(out), *options])


def test_the_cost_uses_the_programs_dated_prices_or_a_given_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = read_table()
    assert date.fromisoformat(table.date) < date.today()
    assert 0 == _sized(tmp_path, "--instance-type", "ml.t2.medium")
    shown = capsys.readouterr().out
    hourly = table.instance_hour["ml.t2.medium"]
    said = f"ml.t2.medium at {hourly:g} US dollars per hour, prices of {table.date}, {table.region}"
    if table.warning:
        said += f". {table.warning}"
    assert f"cost: {said}\n" in shown
    kept = json.loads((tmp_path / "size.json").read_text())
    assert {"hourly": hourly, "source": said} == kept["price"]
    monthly = round(kept["instance_hours"] * hourly * 730 / 24)
    assert re.search(rf"US dollars per month +│ +{monthly:,} ", shown)
    assert Price(0.2, "0.2 US dollars per hour, from --price") == find_price(0.2, "ml.t2.medium")
    assert find_price(None, None) is None


def test_the_price_of_a_measured_endpoint_is_that_of_its_instance_type() -> None:
    said = io.StringIO()
    with LocalEndpoint(lambda body, number: (200, ""), instance_type="ml.m5.large") as endpoint:
        price = _endpoint_price(endpoint, said)
    assert price is not None
    assert read_table().price_of("ml.m5.large") == price
    with LocalEndpoint(lambda body, number: (200, ""), instance_type="ml.big") as endpoint:
        assert _endpoint_price(endpoint, said) is None
    assert "no cost: the prices of" in said.getvalue()
    assert "have no instance type 'ml.big'" in said.getvalue()


def _endpoint_price(endpoint: LocalEndpoint, said: io.StringIO) -> Price | None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(endpoint.url).items():
            patch.setenv(name, value)
        return endpoint_price("iris", "us-east-1", Console(file=said, width=500))


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--instance-type", "ml.t3.medium"), "have no instance type 'ml.t3.medium'; they have ml"),
        (("--instance-type", ""), "have no instance type ''"),
        (("--price", "0"), "--price is 0; it must be over 0 US dollars per hour"),
        (("--price", "nan"), "--price is nan"),
    ],
)
def test_an_invalid_price_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], word: str
) -> None:
    assert 1 == _sized(tmp_path, *options)
    error = capsys.readouterr().err
    assert word in error
    assert 1 == len(error.splitlines())
    assert "price" in error


def test_invalid_sizing_options_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, word in (
        (["--wave", "1:2"], "--endpoint and --dataset are needed"),
        (["--wave", "1:2", "--capacity", "0"], "--capacity is 0"),
        (["--wave", "1:2", "--capacity", "1", "--p99", "0"], "--p99 is 0"),
        (["--wave", "1:2", "--capacity", "1", "--objective", "2"], "--objective is 2"),
        (["--traffic", str(tmp_path / "none.csv"), "--capacity", "1"], "there is no file"),
    ):
        assert main(["size", *arguments, "--out", str(tmp_path)]) == 1
        assert word in capsys.readouterr().err


def test_an_error_of_the_simulator_is_passed_on() -> None:
    with pytest.raises(LoadTestError, match="the capacity is -1"):
        simulate({"requests_per_minute": [1.0], "capacity_rps": -1, "objective": 0.1})


def test_an_objective_that_a_single_user_misses_is_an_error_with_advice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from loadtest import size

    monkeypatch.setattr("loadtest.observer.Observer.state", lambda _: EndpointState())
    monkeypatch.setattr(size, "measure_steps", lambda load, p99: [_step(1, 10.0, 500.0)])

    class Base:
        endpoint, region, endpoint_url = "slow", "us-east-1", None
        out = tmp_path

    monkeypatch.setattr("loadtest.calibration.calibrate", lambda *_: Calibration(1e6, 5.0, 1))
    with pytest.raises(LoadTestError, match=r"p99 of 500\.0 ms, over the objective of 100 ms"):
        size.measure_capacity(Base(), 100.0, Console(quiet=True))


def test_types_are_compared_by_the_cost_of_the_same_day(tmp_path: Path) -> None:
    traffic = tmp_path / "traffic.csv"
    traffic.write_text("\n".join(str(600 + 40 * minute) for minute in range(60)))
    given = ("--capacity", "20", "--traffic", str(traffic), "--instance-type", "ml.m5.large")
    done = command(
        *("size", *given, "--compare", "ml.c5.large=1.2, ml.m5.xlarge=1.9,ml.m5.large=1"),
        *("--out", str(tmp_path)),
    )
    assert done.returncode == 0, done.stderr
    plans = json.loads((tmp_path / "size.json").read_text())["types"]
    assert [plan["monthly"] for plan in plans] == sorted(plan["monthly"] for plan in plans)
    (own,) = [plan for plan in plans if plan["instance_type"] == "ml.m5.large"]
    lines = [line for line in done.stdout.splitlines() if line.startswith("python -m loadtest")]
    assert len(lines) == 3
    again = command(*shlex.split(lines[0])[3:], "--out", str(tmp_path / "again"))
    assert again.returncode == 0, again.stderr
    first = json.loads((tmp_path / "again/size.json").read_text())
    assert first["settings"] == plans[0]["settings"]
    whole = json.loads((tmp_path / "size.json").read_text())
    assert own["hours"] == pytest.approx(24 * whole["instance_hours"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ml.c5.large", "write TYPE=SPEED"),
        ("ml.c5.large=0", "write TYPE=SPEED"),
        ("ml.c5.large=fast", "write TYPE=SPEED"),
        ("c5.large=1", "write TYPE=SPEED"),
        (",".join(f"ml.c{n}.large=1" for n in range(11)), "has 11 types; at most 10"),
    ],
)
def test_types_that_cannot_be_compared_are_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_types(text)


def test_a_type_that_cannot_meet_the_objective_comes_last_with_the_reason() -> None:
    def simulate(capacity: float) -> dict[str, Any]:
        if capacity < 10:
            raise LoadTestError("no settings keep it")
        return {"instance_hours": 48.0, "settings": {"minimum": 1, "maximum": 3}}

    prices = PriceTable("2026-01-01", "us-east-1", {"ml.a.large": 1.0, "ml.b.large": 0.1})
    plans = compare({"ml.a.large": 2.0, "ml.b.large": 0.1}, 10.0, prices, 2.0, simulate)
    assert [(plan.instance_type, plan.hours) for plan in plans] == [
        ("ml.a.large", 24.0),
        ("ml.b.large", 0.0),
    ]
    text = io.StringIO()
    show(plans, "--wave 1:2", Console(file=text, width=120))
    assert "ml.b.large: no settings keep it" in text.getvalue()
    with pytest.raises(UsageError, match=r"no instance type 'ml\.c\.large'"):
        compare({"ml.c.large": 1.0}, 10.0, prices, 1.0, simulate)
