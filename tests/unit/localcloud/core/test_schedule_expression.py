"""The next time at which a schedule is due."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import example, given
from hypothesis import strategies as st

from localcloud.core.schedule_expression import ScheduleError, next_due

pytestmark = pytest.mark.aws_documented(
    "https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-using-cron-expressions.html"
)

# A Tuesday.
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


def due(expression: str, timezone: str = "UTC", after: datetime = NOW) -> datetime | None:
    return next_due(expression, timezone, NOW, after)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("at(2026-12-01T08:00:00)", datetime(2026, 12, 1, 8, tzinfo=UTC)),
        ("rate(5 minutes)", NOW + timedelta(minutes=5)),
        ("rate(1 hour)", NOW + timedelta(hours=1)),
        ("rate(2 days)", NOW + timedelta(days=2)),
        ("cron(0 7 * * ? *)", datetime(2026, 11, 25, 7, tzinfo=UTC)),
        ("cron(45 9 * * ? *)", datetime(2026, 11, 24, 9, 45, tzinfo=UTC)),
        ("cron(0 7 ? * MON-FRI *)", datetime(2026, 11, 25, 7, tzinfo=UTC)),
        # AWS counts Sunday as 1, so 7 is a Saturday.
        ("cron(0 7 ? * 7 *)", datetime(2026, 11, 28, 7, tzinfo=UTC)),
        ("cron(0 7 ? * 1 *)", datetime(2026, 11, 29, 7, tzinfo=UTC)),
        # The first Friday of a month.
        ("cron(0 7 ? * 6#1 *)", datetime(2026, 12, 4, 7, tzinfo=UTC)),
        ("cron(0 0 L * ? *)", datetime(2026, 11, 30, tzinfo=UTC)),
        ("cron(0/15 9 * * ? *)", datetime(2026, 11, 24, 9, 45, tzinfo=UTC)),
        ("cron(0 7 1 1 ? 2028-2030)", datetime(2028, 1, 1, 7, tzinfo=UTC)),
        ("cron(0 7 1 1 ? 2027,2030)", datetime(2027, 1, 1, 7, tzinfo=UTC)),
        ("cron(0 7 1 1 ? 2026,2029,2028)", datetime(2028, 1, 1, 7, tzinfo=UTC)),
        ("cron(0 7 1 1 ? 2199)", datetime(2199, 1, 1, 7, tzinfo=UTC)),
        ("cron(0 10 24 11 ? 2026)", datetime(2026, 11, 24, 10, tzinfo=UTC)),
        ("cron(0 7 1 1 ? 2026-2026,2029)", datetime(2029, 1, 1, 7, tzinfo=UTC)),
        # The years before it are not looked at minute by minute.
        ("cron(* * * * ? 2199)", datetime(2199, 1, 1, tzinfo=UTC)),
        ("cron(0/1 0/1 1/1 1/1 ? 2100,2150)", datetime(2100, 1, 1, tzinfo=UTC)),
        ("cron(0 0 29 2 ? 2027-2030)", datetime(2028, 2, 29, tzinfo=UTC)),
        ("cron(0 0 1 1 ? 2027/3)", datetime(2027, 1, 1, tzinfo=UTC)),
        # The weekday nearest to the 28th, a Saturday, and to the 1st of May 2027, one too.
        ("cron(0 0 28W * ? *)", datetime(2026, 11, 27, tzinfo=UTC)),
        ("cron(0 0 1W 5 ? *)", datetime(2027, 5, 3, tzinfo=UTC)),
        ("cron(0 0 LW 2 ? *)", datetime(2027, 2, 26, tzinfo=UTC)),
        ("cron(0 0 L-2 * ? *)", datetime(2026, 11, 28, tzinfo=UTC)),
        ("cron(0 8 ? * 6L *)", datetime(2026, 11, 27, 8, tzinfo=UTC)),
        ("cron(0 8 ? * L *)", datetime(2026, 11, 28, 8, tzinfo=UTC)),
        ("cron(0 8 ? * fri#1 *)", datetime(2026, 12, 4, 8, tzinfo=UTC)),
        ("cron(0 8 ? * FRI-MON *)", datetime(2026, 11, 27, 8, tzinfo=UTC)),
        ("cron(0-15/1 8-8 ? * 2,3,4,5,6,7 *)", datetime(2026, 11, 25, 8, tzinfo=UTC)),
        ("cron(1-31/30 1-1 ? * 1,7 *)", datetime(2026, 11, 28, 1, 1, tzinfo=UTC)),
        ("cron(0/5, 9-18, ?, *, MON-FRI, *)", datetime(2026, 11, 24, 9, 35, tzinfo=UTC)),
    ],
)
def test_each_kind_of_schedule_has_its_next_time(expression: str, expected: datetime) -> None:
    assert due(expression) == expected


def test_at_and_cron_are_in_their_time_zone_through_a_change_of_the_clocks() -> None:
    assert due("cron(0 7 * * ? *)", "Europe/Berlin") == datetime(2026, 11, 25, 6, tzinfo=UTC)
    summer = datetime(2027, 6, 1, tzinfo=UTC)
    assert due("cron(0 7 * * ? *)", "Europe/Berlin", summer) == datetime(2027, 6, 1, 5, tzinfo=UTC)
    assert due("at(2027-01-01T00:00:00)", "Asia/Tokyo") == datetime(2026, 12, 31, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    "expression",
    [
        "at(2026-11-24T09:30:00)",
        "at(2020-01-01T00:00:00)",
        "cron(0 7 * * ? 2020)",
        "cron(0 7 1 1 ? 2026)",
        "cron(0 7 1 1 ? 2024-2026)",
        "cron(0 0 31 4 ? *)",  # 31 April
        "cron(0 0 30,31 FEB ? *)",
        "cron(0 0 30W 2 ? *)",
        "cron(* * 29 2 ? 2027,2029,2030,2199)",  # no leap year
        "cron(0 0 ? 2 2#5 2199)",  # February 2199 has four Mondays
    ],
)
def test_what_is_over_never_comes_again(expression: str) -> None:
    assert due(expression) is None


@pytest.mark.parametrize(
    ("weekday", "expected"),
    [
        ("2/2", [0, 2, 4]),  # Monday, Wednesday, Friday
        ("*/2", [6, 1, 3, 5]),  # from Sunday on
        ("3/1", [1, 2, 3, 4, 5]),
        ("MON/3", [0, 3]),
        ("2-5/2", [0, 2]),
        ("7/2", [5]),
        ("FRI-MON", [4, 5, 6, 0]),
        ("1,TUE-WED", [6, 1, 2]),
    ],
)
def test_a_step_of_a_day_of_the_week_is_a_number_of_days(weekday: str, expected: list[int]) -> None:
    after, found = NOW, set()
    for _ in range(14):
        when = due(f"cron(23 4 ? * {weekday} *)", after=after)
        assert when is not None
        found.add(when.weekday())
        after = when
    assert set(expected) == found


@pytest.mark.parametrize(
    "expression", ["at(2027-01-01T00:00:00)", "cron(0 7 * * ? *)", "rate(1 day)"]
)
def test_a_time_is_in_utc_in_every_local_zone(expression: str) -> None:
    tokyo = timezone(timedelta(hours=9))
    found = next_due(expression, "Asia/Tokyo", NOW, NOW.astimezone(tokyo))
    assert found == due(expression, "Asia/Tokyo")
    assert found is not None
    assert found.tzinfo is UTC


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("daily", " is not at(…), rate(…) or cron(…)"),
        ("rate()", " is not at(…), rate(…) or cron(…)"),
        ("at(tomorrow)", " is not at(yyyy-mm-ddThh:mm:ss)"),
        ("rate(0 minutes)", " is not rate(NUMBER minutes|hours|days)"),
        ("rate(5 weeks)", " is not rate(NUMBER minutes|hours|days)"),
        ("cron(0 7 * * *)", ": it has 5 fields; it needs 6, the last a year"),
        ("cron(0 7 * * * *)", ": one of day-of-month and day-of-week must be ?"),
        ("cron(0 7 ? * ? *)", ": one of day-of-month and day-of-week must be ?"),
        ("cron(61 7 * * ? *)", ": '61' is not a minute"),
        ("cron(71 8 1 * ? *)", ": '71' is not a minute"),
        ("cron(0 24 * * ? *)", ": '24' is not a hour"),
        ("cron(0 7 0 * ? *)", ": '0' is not a day of the month"),
        ("cron(0 7 32W * ? *)", ": '32' is not a day of the month"),
        ("cron(0 7 3W,4 * ? *)", ": '3W' is not a day of the month"),
        ("cron(0 7 L-31 * ? *)", ": 'L-31' is not a day of the month"),
        ("cron(0 7 ? 13 MON *)", ": '13' is not a month"),
        ("cron(0 7 ? * 0 *)", ": '0' is not a day of the week"),
        ("cron(15 12 ? * -1 *)", ": '' is not a day of the week"),
        ("cron(0 7 ? * 3#1,6#3 *)", ": '3#1' is not a day of the week"),
        ("cron(0 7 ? * 3#6 *)", ": '3#6' is not a day of the week"),
        ("cron(*/0 7 * * ? *)", ": '*/0' has a step that is not one of a minute"),
        ("cron(0/60 7 * * ? *)", ": '0/60' has a step that is not one of a minute"),
        ("cron(, 7 * * ? *)", ": ',' is not a minute"),
        ("cron(0 ? * * ? *)", ": '?' is not a hour"),
        ("cron(0 7 * * ? ?)", ": '?' is not a year"),
        ("cron(0 7 * * ? next)", ": 'NEXT' is not a year"),
        ("cron(0 7 * * ? 26)", ": '26' is not a year"),
        ("cron(0 7 * * ? 1969)", ": '1969' is not a year"),
        ("cron(0 7 * * ? 2030-2028)", ": '2030-2028' is a range that ends before it begins"),
    ],
)
def test_a_schedule_that_cannot_be_read_is_named(expression: str, reason: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        due(expression)
    assert str(caught.value) == f"'{expression}'{reason}"


@pytest.mark.parametrize(
    "name", ["Mars/Olympus", "America", "", ".", "../etc", "A" * 5000, "a\0b", "Zürich", "/etc"]
)
def test_a_time_zone_that_is_none_is_named(name: str) -> None:
    with pytest.raises(ScheduleError, match="is not a time zone of the IANA database") as caught:
        due("rate(1 day)", name)
    assert name[:200] in str(caught.value)


@pytest.mark.parametrize(
    "expression",
    [
        "rate(99999999 days)",
        "rate(9999999999 days)",
        "at(9999-12-31T23:59:59)",
        "at(0001-01-01T00:00:00)",
    ],
)
@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_a_time_out_of_range_is_none_or_refused(expression: str, zone: str) -> None:
    try:
        found = due(expression, zone)
    except ScheduleError as error:
        assert "is due before year 1 or after 9999" in str(error)  # noqa: PT017 - may be valid
    else:
        assert expression.startswith("at(")
        assert found is None or found > NOW


@pytest.mark.parametrize("expression", ["cron(" + "9" * 900 + " * * * ? *)", "rate(" + "9" * 9000])
def test_a_long_expression_is_refused(expression: str) -> None:
    with pytest.raises(ScheduleError) as caught:
        due(expression)
    assert len(str(caught.value)) < 1700


def stepped(fields: str, years: range, after: datetime) -> datetime | None:
    """Return the next time by trying each time of the fields in order."""
    for found in CronSim(fields, after):
        if found.year >= years.stop:
            return None
        if found.year in years:
            return found.astimezone(UTC)
    return None


@given(
    st.sampled_from(["0", "7,30", "0/15", "*"]),
    st.sampled_from(["0", "3", "0/6", "*"]),
    st.sampled_from([("L", "*"), ("29-31", "*"), ("*", "MON"), ("*", "1#5"), ("1,15", "*")]),
    st.sampled_from(["*", "2", "2,11", "12"]),
    st.integers(2026, 2030),
    st.integers(0, 2),
    st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]),
    st.integers(0, 4 * 366 * 24 * 60),
)
@example("*", "*", ("*", "*"), "*", 2028, 0, "UTC", 0)
@example("30", "2", ("*", "*"), "3", 2027, 0, "Europe/Berlin", 0)
def test_jumping_over_years_finds_what_stepping_finds(
    minute: str,
    hour: str,
    days: tuple[str, str],
    month: str,
    first: int,
    more: int,
    zone: str,
    minutes: int,
) -> None:
    day, weekday = days
    after = NOW + timedelta(minutes=minutes)
    # AWS counts Sunday as 1 and writes ? for the field that does not count.
    aws_day = "?" if day == "*" and weekday != "*" else day
    aws_weekday = {"*": "?", "1#5": "2#5"}.get(weekday, weekday)
    expression = f"cron({minute} {hour} {aws_day} {month} {aws_weekday} {first}-{first + more})"
    fields = f"{minute} {hour} {day} {month} {weekday}"
    expected = stepped(fields, range(first, first + more + 1), after.astimezone(ZoneInfo(zone)))
    assert due(expression, zone, after) == expected


@given(
    st.sampled_from(
        ["rate(7 minutes)", "rate(1 day)", "cron(0/20 * * * ? *)", "cron(0 7 L * ? *)"]
    ),
    st.integers(0, 10_000_000),
)
def test_the_next_time_is_later_and_none_is_left_out_between(expression: str, seconds: int) -> None:
    after = NOW + timedelta(seconds=seconds)
    first = due(expression, after=after)
    assert first is not None
    assert first > after
    # Asked again just before it, the answer is the same.
    assert due(expression, after=first - timedelta(seconds=1)) == first
