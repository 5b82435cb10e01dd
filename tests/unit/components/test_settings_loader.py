"""The loading of settings: by the declarations, from values and from Pulumi's configuration."""

import contextvars
import json
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pytest
from pulumi.runtime import set_all_config

from components import settings_loader
from components.setting_kinds import SettingsError, flag, string, switch, whole_number
from components.settings import (
    DeliverySettings,
    EndpointSettings,
    Environment,
    OwnershipSettings,
    SafetySettings,
    ScalingSettings,
    StackSettings,
    TrainingSettings,
    UpdateSettings,
)
from tests.unit.components.values import MINIMAL

DEV = StackSettings(
    stack="lab",
    environment=Environment.DEV,
    region="us-east-1",
    ownership=OwnershipSettings("ml-platform", "research"),
    safety=SafetySettings(),
    endpoint=EndpointSettings("ml.t2.medium"),
    delivery=DeliverySettings(),
)


def problems_of(values: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        settings_loader.parse(values, "lab")
    return caught.value.problems


def load(config: dict[str, Any]) -> StackSettings:
    """Load the settings from a configuration that no other test sees."""

    def run() -> StackSettings:
        set_all_config(config)
        return settings_loader.load()

    return contextvars.copy_context().run(run)


def test_the_required_values_make_the_defaults_of_everything_else() -> None:
    assert settings_loader.parse(MINIMAL, "lab") == DEV


def test_each_value_goes_to_the_setting_that_declares_its_key() -> None:
    values = {
        **MINIMAL,
        "instanceType": "ml.m5.large",
        "initialInstanceCount": "4",
        "scaling": "true",
        "minInstanceCount": "3",
        "bakeSeconds": "300",
        "hyperparameters": '{"max_depth": "2"}',
        "accessLogs": "true",
    }
    settings = settings_loader.parse(values, "lab")
    assert settings.endpoint == EndpointSettings(
        "ml.m5.large", 4, ScalingSettings(3), UpdateSettings(bake_seconds=300)
    )
    assert settings.delivery.training == TrainingSettings(hyperparameters={"max_depth": "2"})
    assert settings.safety == SafetySettings(access_logs=True)


def test_production_is_protected() -> None:
    assert not settings_loader.parse(MINIMAL, "lab").safety.protect
    assert settings_loader.parse({**MINIMAL, "environment": "prd"}, "lab").safety.protect


def test_an_empty_value_is_an_absent_one_and_blanks_around_it_do_not_count() -> None:
    values = {**MINIMAL, "owner": " ml-platform\n", "bakeSeconds": "", "approvalEmail": "  "}
    assert settings_loader.parse(values, "lab") == DEV


def test_settings_that_a_switch_turns_off_are_checked_but_left_out() -> None:
    values = {**MINIMAL, "minInstanceCount": "3"}
    assert settings_loader.parse(values, "lab").endpoint.scaling is None
    (problem,) = problems_of({**values, "minInstanceCount": "0"})
    assert problem.startswith("minInstanceCount: bad value '0'; ")


def test_single_settings_and_rules_between_them_are_reported_together() -> None:
    values = {"environment": "dev", "monthlyBudgetUsd": "5", "bakeSeconds": "x", "size": "1"}
    assert [problem.partition("; ")[0] for problem in problems_of(values)] == [
        "size: unknown key, with the value '1'",
        "aws:region: missing value",
        "owner: missing value",
        "costCentre: missing value",
        "instanceType: missing value",
        "bakeSeconds: bad value 'x'",
        "monthlyBudgetUsd: bad value 5",
    ]


def test_a_missing_value_does_not_stop_the_rules_between_settings() -> None:
    values = {key: value for key, value in MINIMAL.items() if key != "instanceType"}
    missing, rule = problems_of({**values, "scaling": "true"})
    assert missing.startswith("instanceType: missing value; ")
    assert rule.startswith("initialInstanceCount: bad value 1; allowed: 2 to 10 ")


def test_unknown_keys_come_in_order_each_with_the_nearest_known_one() -> None:
    found = problems_of({**MINIMAL, "zzz": "1", "aws:regoin": "2", "Owner": "3"})
    allowed = f"allowed: one of {', '.join(settings_loader.KEYS)}, aws:region"
    assert found == (
        f"Owner: unknown key, with the value '3'; {allowed}; fix: did you mean owner?",
        f"aws:regoin: unknown key, with the value '2'; {allowed}; fix: did you mean aws:region?",
        f"zzz: unknown key, with the value '1'; {allowed}; fix: remove it",
    )


@dataclass(frozen=True)
class Inner:
    length: int = whole_number("length", 1, low=0, high=9, description="A length.")


@dataclass(frozen=True)
class Other:
    number: int = 7


@dataclass(frozen=True)
class Outer:
    name: str = string(
        "name", "x", pattern=".", allowed="a letter", example="x", description="A name."
    )
    on: bool = flag("on", False, description="On.")
    inner: Inner | None = switch("inner", description="On.")  # noqa: RUF009 - makes a field
    second: Inner = field(default_factory=Inner)
    # Neither is a setting, nor holds any.
    other: Other = field(default_factory=Other)
    count: int = 3


def test_declarations_are_in_order_those_of_a_switch_after_it() -> None:
    keys = [setting.key for setting in settings_loader.declared(Outer)]
    assert keys == ["name", "on", "inner", "length", "length"]
    assert list(settings_loader.declared(Other)) == []
    every = [setting.key for setting in settings_loader.declared()]
    assert every[:3] == ["modelName", "environment", "aws:region"]


def test_pulumis_configuration_is_read_without_the_projects_prefix() -> None:
    prefix = pulumi.get_project()
    config = {f"{prefix}:{k}" if k != "aws:region" else k: v for k, v in MINIMAL.items()}
    settings = load({**config, "aws:profile": "me", "other:owner": "nobody"})
    assert settings == settings_loader.parse(MINIMAL, pulumi.get_stack())
    # A structure arrives as a value, not as a string.
    given = {**config, f"{prefix}:hyperparameters": {"max_depth": "2"}}
    assert load(given).delivery.training.hyperparameters == {"max_depth": "2"}


def test_the_configuration_of_the_environment_yields_to_the_programs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prefix = pulumi.get_project()
    config = {f"{prefix}:{k}" if k != "aws:region" else k: v for k, v in MINIMAL.items()}
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps({**config, f"{prefix}:costCentre": "other"}))
    assert load({f"{prefix}:owner": "me"}).ownership == OwnershipSettings("me", "other")


def test_pulumi_shows_every_problem_without_a_traceback() -> None:
    prefix = pulumi.get_project()
    with pytest.raises(pulumi.RunError) as caught:
        load({f"{prefix}:owner": "me", f"{prefix}:environment": "qa"})
    problems = problems_of({"owner": "me", "environment": "qa"})
    assert str(caught.value) == str(SettingsError(problems))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
