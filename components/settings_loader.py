"""Loads a stack's settings from its configuration, and reports every error in one message.

The only reader of ``pulumi.Config``. It goes by the declarations in ``settings.py``. Must not: know
a setting by its name, or a resource.

    load() -> StackSettings                 the running stack's settings
    parse(values, stack) -> StackSettings   pure; raises SettingsError with every problem
"""

import dataclasses
import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_args, get_type_hints

import pulumi
from pulumi.runtime import config as pulumi_config

from components.setting_kinds import Problem, Setting, SettingsError, setting_of
from components.settings import REGION_KEY, Environment, StackSettings
from components.settings_rules import problems_between

_T = TypeVar("_T")


def load() -> StackSettings:
    """Load the running stack's settings.

    Raises: pulumi.RunError, naming every problem: Pulumi shows its text without a traceback.
    """
    # pulumi.Config looks up single keys; unknown ones show only in the whole mapping.
    everything = {**pulumi_config.get_config_env(), **pulumi_config.CONFIG.get()}
    prefix = f"{pulumi.get_project()}:"
    values = {
        key.removeprefix(prefix): value if isinstance(value, str) else json.dumps(value)
        for key, value in everything.items()
        if key.startswith(prefix)
    }
    region = pulumi.Config("aws").get("region")
    if region is not None:
        values[REGION_KEY] = region
    try:
        return parse(values, pulumi.get_stack())
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from None


def parse(values: Mapping[str, str], stack: str) -> StackSettings:
    """Turn configuration values into settings.

    Args:
        values: strings by key, without the project's prefix, as Pulumi hands them over: numbers
            and booleans as strings, structures as JSON; the region as ``aws:region``. An empty
            string is an absent value.
        stack: the stack's name.

    Raises: SettingsError, naming every problem.
    """
    problems = list(_unknown(values))
    settings: StackSettings = _build(StackSettings, values, problems, stack=stack)
    protect = settings.environment is Environment.PRD
    safety = dataclasses.replace(settings.safety, protect=protect)
    settings = dataclasses.replace(settings, safety=safety)
    problems += problems_between(settings)
    if problems:
        raise SettingsError(map(str, problems))
    return settings


def declared(kind: type = StackSettings) -> Iterator[Setting]:
    """Yield the declarations of all settings in a dataclass and those inside it, in order."""
    hints = get_type_hints(kind)
    for item in dataclasses.fields(kind):
        setting = setting_of(item.metadata)
        if setting is not None:
            yield setting
        inner = _dataclass_in(hints[item.name])
        if inner is not None:
            yield from declared(inner)


def _dataclass_in(hint: Any) -> type | None:
    """Return the dataclass that a field's type is, or may be, if it holds settings."""
    for candidate in (hint, *get_args(hint)):
        if dataclasses.is_dataclass(candidate) and isinstance(candidate, type):
            has_settings = any(
                setting_of(item.metadata) is not None for item in dataclasses.fields(candidate)
            )
            if has_settings:
                return candidate
    return None


KEYS = tuple(setting.key for setting in declared() if setting.key != REGION_KEY)


def _unknown(values: Mapping[str, str]) -> Iterator[Problem]:
    known = (*KEYS, REGION_KEY)
    for key in sorted(set(values) - set(known)):
        near = difflib.get_close_matches(key, known, n=1)
        fix = f"did you mean {near[0]}?" if near else "remove it"
        what = f"unknown key, with the value {values[key]!r}"
        yield Problem(key, "", f"one of {', '.join(known)}", fix, what=what)


def _build(kind: type[_T], values: Mapping[str, str], problems: list[Problem], **given: Any) -> _T:
    """Return an instance of a settings dataclass; problems go into the list."""
    hints = get_type_hints(kind)
    for item in dataclasses.fields(kind):  # type: ignore[arg-type]
        setting, inner = setting_of(item.metadata), _dataclass_in(hints[item.name])
        value = None if setting is None else _value(setting, values, problems)
        if inner is not None:
            nested: Any = _build(inner, values, problems)
            # A flag beside nested settings turns them on; they are checked either way.
            given[item.name] = nested if setting is None or value else None
        elif setting is not None:
            given[item.name] = value
    return kind(**given)


def _value(setting: Setting, values: Mapping[str, str], problems: list[Problem]) -> Any:
    raw = values.get(setting.key, "").strip()
    if not raw:
        if setting.default is None:
            problems.append(setting.missing())
            # Something usable, so that the rules between settings still run.
            return setting.parse(setting.example)[0]
        if setting.default == "":
            return None
        raw = setting.default_string
    value, wrong = setting.parse(raw)
    problems += wrong
    return value
