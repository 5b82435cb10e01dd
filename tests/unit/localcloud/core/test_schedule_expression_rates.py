"""rate(…): the times that a whole number of periods after its creation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.core.schedule_expression import ScheduleError, next_due

# "Rate expressions start when you create the scheduled event rule."
pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rate-expressions.html"
)

CREATED = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
UNITS = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}


def due(expression: str, after_seconds: float) -> float:
    """Return the next time, both in seconds from the creation."""
    found = next_due(expression, "UTC", CREATED, CREATED + timedelta(seconds=after_seconds))
    assert found is not None
    return (found - CREATED).total_seconds()


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (-86_400, 300),  # asked before it was made: one period after that, and not at it
        (-300, 300),
        (-1, 300),
        (0, 300),
        (299, 300),
        (300, 600),  # due now: the next one is a period later
        (301, 600),
        (1_000_000, 1_000_200),
    ],
)
def test_a_rate_is_due_every_period_after_its_creation(after: int, expected: int) -> None:
    assert expected == due("rate(5 minutes)", after)


@given(st.integers(1, 500), st.sampled_from(list(UNITS)), st.integers(-(10**7), 10**7))
def test_a_rate_is_due_a_whole_number_of_periods_after_its_creation(
    number: int, unit: str, after: int
) -> None:
    period = (number * UNITS[unit]).total_seconds()
    found = due(f"rate({number} {unit}s)", after)
    assert found % period == 0
    # The first one that is later, and never that of the creation itself.
    assert found - period <= max(after, 0) < found


@pytest.mark.parametrize(
    "rate",
    [
        "",
        "5",
        "0 minutes",
        "-1 minutes",
        "1.5 hours",
        "5 weeks",
        "5  minutes",
        "05 minutes",
    ],
)
def test_a_rate_that_cannot_be_read_is_named(rate: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        due(f"rate({rate} )" if not rate else f"rate({rate})", 0)
    assert str(caught.value).endswith("is not rate(NUMBER minutes|hours|days)")
