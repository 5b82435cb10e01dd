"""Dates are read in one way everywhere, and become the same numbers in training and serving."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model.archive import Dataset, read_archive, write_archive
from model.cells import NotANumberError
from model.columns import Column, Columns, DateEncoding, learn_columns
from model.dataset import main as make_dataset
from model.dates import (
    DateSurvey,
    NotADateError,
    Order,
    clipped,
    dates_of,
    is_date,
    parse_date,
    part_names,
    parts_of,
    show_date,
    show_day,
)
from model.errors import BadPayloadError, DatasetError, HyperparameterError
from model.hyperparameters import parse_hyperparameters
from model.payload import decode
from model.rows import AUTO, ReadOptions
from model.table import parse_table

EPOCH = datetime(1970, 1, 1)
YEAR, DAY, MONTH = Order
DATES = st.dates()
TIMES = st.times().map(lambda time: time.replace(microsecond=0))
# Offsets as people have them; Python's datetime reads those with seconds, too.
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timedelta(minutes=minutes))


def seconds_of(moment: datetime) -> float:
    return (moment - EPOCH) // timedelta(seconds=1)


@st.composite
def written(draw: st.DrawFn) -> tuple[str, Order, datetime]:
    """Return a date in any form, the order of its column, and what it is in UTC, naively."""
    day = draw(st.dates(date(1, 1, 3), date(9999, 12, 29)))
    order = draw(st.sampled_from(Order))
    mark = draw(st.sampled_from("-/."))
    padded = draw(st.booleans())
    shown = (lambda number: f"{number:02}") if padded else str
    parts = [f"{day.year:04}", shown(day.month), shown(day.day)]
    if order is not YEAR and draw(st.booleans()):
        parts = [parts[1], parts[2], parts[0]] if order is MONTH else parts[::-1]
    text, moment = mark.join(parts), datetime(day.year, day.month, day.day)
    if draw(st.booleans()):
        if draw(st.booleans()) and padded and parts[0] == f"{day.year:04}":
            text = "".join(parts)
        return text, order, moment
    time = draw(TIMES)
    seconds = draw(st.booleans())
    time = time if seconds else time.replace(second=0)
    moment = datetime.combine(day, time)
    half = draw(st.booleans())
    hour = (time.hour % 12 or 12) if half else time.hour
    text += draw(st.sampled_from(["T", "t", " ", "  "])) + f"{hour:02}:{time.minute:02}"
    if seconds:
        text += f":{time.second:02}" + draw(st.sampled_from(["", ".5", ",25", ".123456789"]))
    if half:
        text += draw(st.sampled_from([" AM", "am", " a.m."] if time.hour < 12 else [" PM", "p.m."]))
    zone = draw(st.sampled_from(["", "Z", "z", " UTC", " GMT", "offset"]))
    if zone == "offset":
        offset = draw(OFFSETS)
        minutes = abs(offset) // timedelta(minutes=1)
        sign = "-" if offset < timedelta(0) else "+"
        colon = draw(st.sampled_from([":", ""]))
        zone = f"{sign}{minutes // 60:02}{colon}{minutes % 60:02}"
        if not minutes % 60 and draw(st.booleans()):
            zone = zone[:3]
        moment -= offset
    return text + zone, order, moment


@given(written())
def test_a_date_of_each_form_is_read_as_python_counts_it(case: tuple[str, Order, datetime]) -> None:
    text, order, moment = case
    assert parse_date(f" {text} ", order) == seconds_of(moment)
    assert is_date(text) is not text.isdecimal()


@given(st.lists(written(), min_size=1, max_size=12), st.booleans())
def test_the_numbers_of_the_server_are_those_of_the_training(
    cases: list[tuple[str, Order, datetime]], alike: bool
) -> None:
    order = cases[0][1]
    texts = [text for text, own, _ in cases if own in (YEAR, order)]
    if alike:
        texts = texts[:1] * 3
    lines = "".join(f'a,"{text}",1\nb,"{text}",2\n' for text in texts)
    options = ReadOptions(dates=(("feature_1", order),))
    table = parse_table(lines, "t", read_options=options)
    columns = learn_columns(table, ("when", "x"), accept_missing=False, fill=True)
    trained = columns.encode_columns(table.columns)
    # The same columns, from the metadata that the server reads.
    served = Columns.from_metadata(json.loads(json.dumps({"columns": columns.as_json()})))
    cells = [[text, x] for text in texts for x in (1, 2)]
    body = json.dumps(cells).encode()
    as_lines = "".join(json.dumps(row) + "\n" for row in cells).encode()
    as_csv = "".join(f'"{text}",{x}\n' for text, x in cells).encode()
    by_name = json.dumps({"columns": {"x": [x for _, x in cells], "when": [t for t, _ in cells]}})
    for found in (
        decode(body, "application/json", served),
        decode(by_name.encode(), "application/json", served),
        decode(as_lines, "application/jsonlines", served),
        decode(as_csv, "text/csv", served),
    ):
        assert np.array_equal(trained, found)


@given(
    st.lists(
        written().map(lambda case: case[0])
        | st.sampled_from(["", "nan", "NA", "2023-02-29", "2024-13-01", "x", "2024-01-01\0", "٢"])
        | st.text(alphabet="0123456789-/:.TZ +", max_size=20),
        max_size=6,
    ),
    st.sampled_from(Order),
    st.booleans(),
)
@example(["2024-01-01", "2024-01-0\0"], YEAR, False)
@example(["2024-01-01T10:00+01:00", "2024-01-01T10:00-01:00"], YEAR, False)
@example(["01/02/2024 01:00:00 AM", "01/02/2024 01:00:00 PM", ""], MONTH, True)
@example(["2024-02-29", "2023-02-29"], YEAR, False)
@example(["2024-01-01T24:00:00"], YEAR, False)
def test_many_cells_at_once_are_read_as_one_by_one(
    cells: list[str], order: Order, accept_missing: bool
) -> None:
    # A cell that repeats makes a batch whose cells are written alike.
    for some in (cells, cells[:1] * 5):
        found = dates_of(some, order, accept_missing=accept_missing, spellings=frozenset({"na"}))
        try:
            expected = [
                np.nan
                if accept_missing and cell.strip().lower() in ("", "nan", "na")
                else parse_date(cell, order)
                for cell in some
            ]
        except NotADateError:
            assert found is None
        else:
            assert found is not None
            assert np.array_equal(found, np.array(expected, float), equal_nan=True)


@given(st.datetimes().map(lambda moment: moment.replace(microsecond=0)))
@example(datetime(1, 1, 1))
@example(datetime(9999, 12, 31, 23, 59, 59))
@example(datetime(2024, 2, 29, 12))
@example(datetime(1900, 2, 28))
def test_parts_are_those_of_pythons_calendar_and_exact_as_32_bit_floats(moment: datetime) -> None:
    seconds = parse_date(moment.isoformat(), YEAR)
    parts = dict(
        zip(
            part_names(hour=True), parts_of(np.array([seconds]), hour=True)[0].tolist(), strict=True
        )
    )
    hour = parts.pop("hour")
    assert hour == np.float32(moment.hour + moment.minute / 60 + moment.second / 3600)
    assert 0 <= hour < 24
    assert parts == {
        "days": moment.toordinal() - EPOCH.toordinal(),
        "year": moment.year,
        "month": moment.month,
        "day": moment.day,
        "weekday": moment.weekday(),
        "day_of_year": moment.timetuple().tm_yday,
    }
    assert parse_date(show_date(seconds), YEAR) == seconds
    assert show_day(parts["days"]) == moment.date().isoformat()


@given(st.datetimes(timezones=st.just(UTC)), OFFSETS)
def test_the_same_moment_in_another_zone_is_the_same_date(
    moment: datetime, offset: timedelta
) -> None:
    try:
        local = moment.astimezone(timezone(offset))
    except OverflowError:
        return
    assert parse_date(local.isoformat(), YEAR) == parse_date(moment.isoformat(), YEAR)


@pytest.mark.parametrize(
    ("text", "order", "reason"),
    [
        ("", YEAR, "^is empty$"),
        (
            "2023-02-29",
            YEAR,
            "'2023-02-29', which is not a date: day .*; write YYYY-MM-DD or",
        ),
        ("2024-13-01", YEAR, "month must be in 1..12"),
        ("0000-01-01", YEAR, "year"),
        ("2024-01-01T24:00", YEAR, "24:00 is 00:00 of the next day, so write that"),
        ("2016-12-31T23:59:60Z", YEAR, "a leap second, has no number, so write 59"),
        ("2024-01-01T25:00", YEAR, r"hour must be in 0\.\.23"),
        ("2024-01-01T10:60", YEAR, r"minute must be in 0\.\.59"),
        ("2024-01-01T10:00:61", YEAR, r"second must be in 0\.\.59"),
        ("2024-01-01T13:00 PM", YEAR, r"AM or PM must be in 1\.\.12"),
        ("2024-01-01T10:00+24:00", YEAR, "the offset from UTC must be below 24:00"),
        ("0001-01-01T00:30+01:00", YEAR, "outside of the years 1 to 9999 in UTC"),
        ("9999-12-31T23:30-01:00", YEAR, "outside of the years 1 to 9999 in UTC"),
        ("03/04/2024", YEAR, "the training data have the year first"),
        ("3/4/24", DAY, "DD/MM/YYYY, .*; a year has four digits"),
        ("13/13/2024", DAY, "month must be in 1..12"),
        ("12/13/2024", DAY, "month must be in 1..12"),
        ("13/12/2024", MONTH, "month must be in 1..12"),
        ("2024-01", YEAR, "which is not a date: write YYYY-MM-DD"),
        ("2024-01/02", YEAR, "which is not a date"),
        ("10:15", YEAR, "which is not a date"),
        ("2024-01-01" + " " * 60 + "10:15", YEAR, "which is not a date"),
        ("٢٠٢٤-٠١-٠١", YEAR, "which is not a date"),
    ],
)
def test_what_is_no_date_is_refused_with_the_reason(text: str, order: Order, reason: str) -> None:
    with pytest.raises(NotADateError, match=reason):
        parse_date(text, order)


@pytest.mark.parametrize(
    ("cells", "order", "decided_by"),
    [
        (["2024-03-04", "2024/3/4 10:15"], YEAR, ""),
        (["03/04/2024", "13/04/2024"], DAY, "13/04/2024"),
        (["03/04/2024", "04/13/2024"], MONTH, "04/13/2024"),
        (["2024-03-04", "13.04.2024"], DAY, "13.04.2024"),
        (["03/04/2024", "2024-03-04"], None, ""),
        ([], None, ""),
    ],
)
def test_the_order_of_a_column_is_that_in_which_all_its_cells_are_dates(
    cells: list[str], order: Order | None, decided_by: str
) -> None:
    survey = DateSurvey()
    for cell in cells:
        assert survey.add([cell])
    assert survey.order is order
    assert survey.decided_by == decided_by
    assert survey.ambiguous is (bool(cells) and order is None)
    before = survey.orders
    assert not survey.add(["2024-03-04", "x"])
    assert survey.orders == before


LINES = "a,2024-03-04,1\nb,2024-03-05,2\n"


def test_auto_finds_columns_of_dates_and_off_makes_them_categories() -> None:
    auto = ReadOptions(categorical=(AUTO,))
    found = parse_table(LINES, "t", read_options=auto)
    assert (found.date_columns, found.categorical_columns) == ({0: YEAR}, frozenset())
    off = parse_table(LINES, "t", read_options=auto.with_dates("off", DatasetError))
    assert (off.date_columns, off.categorical_columns) == ({}, frozenset({0}))
    only = parse_table(LINES, "t", read_options=ReadOptions().with_dates("auto", DatasetError))
    assert (only.date_columns, only.categorical_columns) == ({0: YEAR}, frozenset())
    mixed = parse_table("a,2024-03-04\nb,5\na,x\n", "t", read_options=auto)
    assert (mixed.date_columns, mixed.categorical_columns) == ({}, frozenset({0}))
    numbers = parse_table("a,20240304\nb,20240305\n", "t", read_options=auto)
    assert (numbers.date_columns, numbers.categorical_columns) == ({}, frozenset())
    compact = ReadOptions().with_dates("feature_1", DatasetError)
    named = parse_table("a,20240304\nb,20240305\n", "t", read_options=compact)
    assert named.cells(0) == [1709510400.0, 1709596800.0]
    categories = ReadOptions(categorical=("feature_1",))
    assert parse_table(LINES, "t", read_options=categories).date_columns == {}


@pytest.mark.parametrize(
    ("lines", "dates", "reason"),
    [
        (
            "a,03/04/2024\nb,05/06/2024\n",
            "auto",
            "the column 'feature_1' holds dates such as '03/04/2024', in which the day or the "
            "month may come first, and no cell tells; set date_columns to feature_1:day-first or "
            "feature_1:month-first",
        ),
        (
            "a,03/04/2024\nb,2024-13-06\n",
            "feature_1:day-first",
            r"row 2, column 2 holds '2024-13-06', which is not a date: month must be in 1\.\.12; "
            "write YYYY-MM-DD or DD/MM/YYYY, ",
        ),
        ("a,2024-01-01\nb,5 May\n", "feature_1", "row 2, column 2 holds '5 May', which is not a"),
        ("a,2024-01-01\nb,\n", "feature_1", "row 2, column 2 is empty; fill the missing value"),
        ("a,2024-01-01\n", "born", "has no column 'born', which date_columns names"),
    ],
)
def test_a_table_whose_dates_cannot_be_read_is_refused(lines: str, dates: str, reason: str) -> None:
    options = ReadOptions().with_dates(dates, DatasetError)
    with pytest.raises(DatasetError, match=reason):
        parse_table(lines, "t", read_options=options)


def test_a_column_is_either_of_dates_or_categorical() -> None:
    options = ReadOptions(categorical=("feature_1",)).with_dates("feature_1", DatasetError)
    with pytest.raises(DatasetError, match="name the column 'feature_1'; a column is one or the"):
        parse_table(LINES, "t", read_options=options)
    twice = parse_hyperparameters({"date_columns": "born,born:day-first"})
    with pytest.raises(HyperparameterError, match="date_columns names the column 'born' twice"):
        _ = twice.read_options
    found = parse_hyperparameters({"date_columns": "born:day-first, seen, a:b"}).read_options
    assert found.dates == (("born", DAY), ("seen", None), ("a:b", None))


def test_a_missing_date_becomes_the_parts_of_the_median_date_or_stays_missing() -> None:
    lines = "a,2024-01-01\nb,2024-01-03T12:00\na,\nb,2024-06-01\na,2024-02-01\n"
    options = ReadOptions(dates=(("feature_1", YEAR),), accept_missing=True)
    table = parse_table(lines, "t", read_options=options)
    columns = learn_columns(table, ("when",), accept_missing=True, fill=True)
    rows = columns.encode_columns(table.columns)
    # Of four dates the lower of the two in the middle, which is one of them.
    assert rows[2].tolist() == rows[1].tolist()
    assert columns.as_json()["columns"][0]["fill"] == "2024-01-03T12:00:00"
    read = Columns.from_metadata({"columns": columns.as_json()})
    assert read == columns
    for body, kind in ((b"NaN", "text/csv"), (b"[null]", "application/json")):
        assert decode(body, kind, read).tolist() == [rows[1].tolist()]
    learnt = learn_columns(table, ("when",), accept_missing=True, fill=False)
    assert np.isnan(learnt.encode_columns(table.columns)[2]).all()
    assert learnt.as_json()["columns"][0]["fill"] is None


def test_the_hour_is_a_part_only_where_there_are_times() -> None:
    for cell, width in (("2024-01-02", 6), ("2024-01-02T00:00", 6), ("2024-01-02T00:01", 7)):
        table = parse_table(
            f"a,{cell}\nb,2024-01-01\n", "t", read_options=ReadOptions(dates=(("feature_1", YEAR),))
        )
        columns = learn_columns(table, ("when",), accept_missing=False, fill=True)
        assert columns.width == width
        # A time that the training data did not have is read, and left out.
        assert decode(b"2024-01-02T10:00", "text/csv", columns).shape == (1, width)


@pytest.mark.parametrize(
    ("item", "error"),
    [
        ({"order": "year-first"}, KeyError),
        ({"order": "day", "parts": list(part_names(hour=False))}, ValueError),
        ({"order": "day-first", "parts": ["year"]}, ValueError),
        ({"order": "day-first", "parts": list(part_names(hour=True)), "fill": 3}, TypeError),
        ({"order": "day-first", "parts": list(part_names(hour=True)), "fill": "x"}, ValueError),
    ],
)
def test_metadata_of_unknown_parts_is_refused(item: dict[str, object], error: type) -> None:
    described = {"accept_missing": False, "columns": [{"name": "a", "kind": "date"} | item]}
    with pytest.raises(error):
        Columns.from_metadata({"columns": described})


def test_an_array_of_numbers_is_refused_by_a_model_with_dates() -> None:
    columns = Columns((Column("x"), Column("born", date=DateEncoding(YEAR))))
    with pytest.raises(BadPayloadError, match="columns of dates, such as 'born', which an array"):
        decode(b"", "application/x-npy", columns)
    with pytest.raises(NotANumberError, match="holds 5, which is not a date: write a string, YYYY"):
        columns.parse_json_value(5, 1, "5")
    values: list[object] = [True, [1], {}]
    for value in values:
        with pytest.raises(NotANumberError, match="which is not a date"):
            columns.parse_json_value(value, 1, "it")


def test_shifted_dates_stay_within_the_calendar() -> None:
    found = clipped(np.array([-1e30, 0.5, 1e30, np.nan]))
    assert list(map(show_date, found)) == ["0001-01-01", "1970-01-01", "9999-12-31T23:59:59", ""]
    assert (show_day(-1e9), show_day(1e9)) == ("0001-01-01", "9999-12-31")


def read_zip(tmp_path: Path, text: str, *options: str) -> tuple[Dataset, list[str]]:
    """Make a dataset of a file; return it, and the notes. An error is raised as a ValueError."""
    (tmp_path / "people.csv").write_text(text)
    files = ("--csv", str(tmp_path / "people.csv"), "--out", str(tmp_path / "d.zip"))
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = make_dataset([*files, "--label", "label", *options])
    if code:
        raise ValueError(err.getvalue())
    notes = [line for line in out.getvalue().splitlines() if line.startswith("note: ")]
    return read_archive((tmp_path / "d.zip").read_bytes(), "d.zip"), notes


PEOPLE = "label,born,x\n" + "".join(
    f"{'ab'[n % 2]},{n % 28 + 1:02}/{n % 12 + 1:02}/1990,{n}\n" for n in range(40)
)


def test_a_dataset_remembers_its_dates_and_their_order(tmp_path: Path) -> None:
    dataset, notes = read_zip(tmp_path, PEOPLE, "--categorical", "auto")
    assert notes == [
        "note: the column 'born' is of dates, the day first, which '13/01/1990' shows",
        "note: dates become numbers, in UTC: days, year, month, day, weekday, day_of_year, and "
        "hour where there are times",
    ]
    assert dataset.train.date_columns == {0: DAY}
    assert dataset.train.categorical_columns == frozenset()
    month = PEOPLE.replace("13/01", "01/13")
    with pytest.raises(ValueError, match="row 14, column 'born' holds '01/13/1990', which is no"):
        read_zip(tmp_path, month, "--dates", "born:day-first")
    off, notes = read_zip(tmp_path, PEOPLE, "--categorical", "auto", "--dates", "off")
    assert (off.train.date_columns, off.train.categorical_columns) == ({}, frozenset({0}))
    assert notes == ["note: the column 'born' is categorical: row 2 holds '01/01/1990'"]


@pytest.mark.parametrize(
    ("old", "new", "options", "reason"),
    [
        ("x", "x", "", "row 2, column 'born' holds '01/01/1990', .*use --dates 'born'"),
        ("05/05", "soon", "--categorical=auto", "holds dates in 98 % .* but also 'soon/1990'"),
        ("05/05/1990", "7", "--categorical=auto", "dates in 98 % of its rows, but also numbers"),
        ("05/05/1990", "NA", "--categorical=auto", "missing values, use --na 'NA'"),
        ("x", "x", "--dates=y", "--dates names 'y', which is not a feature column of"),
        ("x", "x", "--dates=born,born:day-first", "--dates names the column 'born' twice"),
    ],
)
def test_a_file_with_cells_that_are_no_dates_is_refused(
    tmp_path: Path, old: str, new: str, options: str, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        read_zip(tmp_path, PEOPLE.replace(old, new, 1), *options.split())
    with pytest.raises(ValueError, match="--dates and --categorical name 'born'"):
        read_zip(tmp_path, PEOPLE, "--dates=born", "--categorical=born")


def test_an_ambiguous_column_is_refused_with_the_option(tmp_path: Path) -> None:
    text = "label,born\n" + "a,01/02/2024\nb,03/04/2024\n" * 4
    with pytest.raises(ValueError, match="set --dates to born:day-first or born:month-first"):
        read_zip(tmp_path, text, "--categorical", "auto")
    for order, month in ((DAY, 2), (MONTH, 1)):
        dataset, _ = read_zip(tmp_path, text, "--dates", f"born:{order}")
        columns = learn_columns(dataset.train, ("born",), accept_missing=False, fill=True)
        assert min(columns.encode_columns(dataset.train.columns)[:, 2]) == month


def test_dataset_json_names_the_order_of_dates() -> None:
    rows = [["a", "03/04/2024"], ["b", "05/06/2024"]] * 2
    content = write_archive(rows, rows, {"features": ["born"], "dates": {"born": "month-first"}})
    assert read_archive(content, "d.zip").train.date_columns == {0: MONTH}
    for wrong in ({"born": "iso"}, ["born"], {"born": 1}):
        content = write_archive(rows, rows, {"features": ["born"], "dates": wrong})
        with pytest.raises(DatasetError, match="dates must be an object that gives each column of"):
            read_archive(content, "d.zip")
