"""The model of the demo is named after its data, by the rule of the setting modelName."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.cli.demo_options import DemoOptions

pytestmark = pytest.mark.emulator_only


def named(table: str = "iris", csv: Path | None = None) -> str:
    return DemoOptions(
        table=table,
        csv=csv,
        of_csv=("--csv", str(csv), "--label", "label") if csv else (),
        regression=False,
        config=(),
        approve=True,
        keep=False,
        speed=60,
        duration="30s",
        users=None,
        report_dir=Path("build/demo"),
        short=True,
    ).model_name


@pytest.mark.parametrize(
    ("table", "csv", "name"),
    [
        ("iris", None, "iris-model"),
        ("breast_cancer", None, "breast-cancer"),
        ("iris", "Häuser 2026 (new).csv", "h-user-2026-new"),
        ("iris", "2026.csv", "model-2026"),
        ("iris", "_.csv", "model"),
        ("iris", "a-very-long-name-of-a-file.csv", "a-very-long-name"),
    ],
)
def test_the_model_is_named_after_its_data(table: str, csv: str | None, name: str) -> None:
    assert named(table, Path(csv) if csv else None) == name


@given(stem=st.text(min_size=1, max_size=40).filter(lambda text: "/" not in text))
def test_any_file_gives_a_name_that_the_setting_allows(stem: str) -> None:
    assert re.fullmatch(r"[a-z](-?[a-z0-9]){1,15}", named(csv=Path(f"x/{stem}.csv")))
