"""Pure: the data contract, rules that a dataset declares about itself.

The file is `data-contract.toml` or `data-contract.json` in the dataset's zip; both hold the same
keys. Nothing is guessed: an unknown key is refused, and all problems are reported together.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from model.cells import quote
from model.dates import Order, parse_date
from model.errors import ContractError
from model.rows import decode_text

TOML, JSON = "data-contract.toml", "data-contract.json"
_OTHERS = ("data-contract.yaml", "data-contract.yml")
# The largest contract that is read, and the most problems that a message lists.
MAX_BYTES = 1024 * 1024
_MAX_PROBLEMS = 10
NUMBER, CATEGORY, DATE = "number", "category", "date"
REFUSE, ALLOW = "refuse", "allow"


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """The rules of a feature column; None means no rule.

    Attributes:
        type: `number`, `category` or `date`.
        minimum: the smallest number allowed.
        maximum: the largest number allowed.
        categories: the categories allowed.
        earliest: the first date allowed, in whole days since 1970-01-01.
        latest: the last date allowed, in whole days since 1970-01-01.
        maximum_missing_share: the largest share of rows without a value, 0 to 1.
        unique: no value occurs twice.
    """

    type: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    categories: tuple[str, ...] | None = None
    earliest: float | None = None
    latest: float | None = None
    maximum_missing_share: float | None = None
    unique: bool = False


@dataclass(frozen=True, slots=True)
class LabelRule:
    """The rules of the label; None means no rule.

    Attributes:
        classes: the classes allowed.
        minimum_share: the smallest share of the rows that a class may have, 0 to 1.
        maximum_share: the largest share of the rows that a class may have, 0 to 1.
        minimum: the smallest value of a regression's label.
        maximum: the largest value of a regression's label.
    """

    classes: tuple[str, ...] | None = None
    minimum_share: float | None = None
    maximum_share: float | None = None
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True, slots=True)
class Contract:
    """The rules of a dataset; None means no rule.

    Attributes:
        columns: the rules of the feature columns by name. The dataset must have each of them.
        label: the rules of the label.
        other_columns: `refuse` if the dataset may have no columns besides those named.
        schema_change: `allow` if the columns may differ from those of the approved model.
        minimum_rows: the smallest number of rows of train.csv.
        maximum_repeated_share: the largest share of rows that repeat an earlier one, 0 to 1.
        maximum_leaked_share: the largest share of validation rows that train.csv has, too, 0 to 1.
    """

    columns: Mapping[str, ColumnRule] = field(default_factory=dict)
    label: LabelRule = LabelRule()
    other_columns: str = ALLOW
    schema_change: str = REFUSE
    minimum_rows: int | None = None
    maximum_repeated_share: float | None = None
    maximum_leaked_share: float | None = None


def contract_file(names: set[str]) -> str | None:
    """Return the name of the contract among the names of a zip's entries, or None.

    Raises:
        ContractError: there are two, or one in a format that is not read.
    """
    for name in _OTHERS:
        if name in names:
            raise ContractError(f"{name} is not read; write the contract as {TOML} or {JSON}")
    if {TOML, JSON} <= names:
        raise ContractError(f"the dataset has {TOML} and {JSON}; keep one")
    return next((name for name in (TOML, JSON) if name in names), None)


def parse_contract(data: bytes, name: str) -> Contract:
    """Read a contract.

    Args:
        data: the file's bytes.
        name: the file's name, which says its format.

    Raises:
        ContractError: the file is not TOML or JSON, has an unknown key, or a value is not allowed;
            the message lists at most ten problems.
        DatasetError: the file is not UTF-8.
    """
    if len(data) > MAX_BYTES:
        raise ContractError(f"{name} has {len(data)} bytes; at most {MAX_BYTES} are read")
    text = decode_text(data, name)
    try:
        document = tomllib.loads(text) if name == TOML else json.loads(text)
    except (ValueError, RecursionError) as error:
        kind = "TOML" if name == TOML else "JSON"
        raise ContractError(f"{name} is not {kind}: {error}") from None
    reader = _Reader(name)
    contract = reader.contract(document)
    if reader.problems:
        shown = "; ".join(reader.problems[:_MAX_PROBLEMS])
        more = len(reader.problems) - _MAX_PROBLEMS
        raise ContractError(f"{name}: {shown}" + (f"; and {more} more" if more > 0 else ""))
    return contract


class _Reader:
    """Reads the parts of a contract, and collects the problems."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[str] = []

    def contract(self, document: object) -> Contract:
        found = self._values(document, "", _CONTRACT_KEYS)
        rules: dict[str, ColumnRule] = {}
        for name, described in found.pop("columns", {}).items():
            where = f"columns.{quote(name)[1:-1]}"
            rules[name] = ColumnRule(**self._values(described, where, _COLUMN_KEYS))
            self._column(rules[name], where)
        label = LabelRule(**self._values(found.pop("label", {}), "label", _LABEL_KEYS))
        self._ordered(label.minimum, label.maximum, "label.minimum", "label.maximum")
        self._ordered(
            label.minimum_share, label.maximum_share, "label.minimum_share", "label.maximum_share"
        )
        found.pop("version", None)
        return Contract(columns=rules, label=label, **found)

    def _column(self, rule: ColumnRule, where: str) -> None:
        self._ordered(rule.minimum, rule.maximum, f"{where}.minimum", f"{where}.maximum")
        of_numbers = rule.minimum is not None or rule.maximum is not None
        if rule.type == CATEGORY and of_numbers:
            self.problems.append(f"{where} is a category, which has no minimum and no maximum")
        if rule.categories is not None and (rule.type == NUMBER or of_numbers):
            self.problems.append(f"{where} is a number, which has no categories")
        of_dates = rule.earliest is not None or rule.latest is not None
        if of_dates and (
            of_numbers or rule.categories is not None or rule.type not in (None, DATE)
        ):
            self.problems.append(f"{where} is no date, which alone has an earliest and a latest")
        if rule.type == DATE and (of_numbers or rule.categories is not None):
            self.problems.append(f"{where} is a date, which has an earliest and a latest only")
        if rule.earliest is not None and rule.latest is not None and rule.earliest > rule.latest:
            self.problems.append(f"{where}.earliest is after {where}.latest")

    def _ordered(self, low: float | None, high: float | None, first: str, second: str) -> None:
        if low is not None and high is not None and low > high:
            self.problems.append(f"{first} is {low:g}, which is above {second}, {high:g}")

    def _values(self, document: object, where: str, keys: Mapping[str, _Key]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if not isinstance(document, dict):
            self.problems.append(f"{where or 'the contract'} must be a table of keys")
            return found
        for key, value in document.items():
            path = f"{where}.{key}" if where else key
            if key not in keys:
                known = ", ".join(keys)
                owner = f"{quote(where)} has the unknown key" if where else "unknown key"
                self.problems.append(f"{owner} {quote(key)}; the keys are {known}")
                continue
            allowed, read = keys[key]
            try:
                found[key] = read(value)
            except (TypeError, ValueError, OverflowError):
                shown = quote(json.dumps(value, default=str, ensure_ascii=False))
                self.problems.append(f"{path} is {shown}; it must be {allowed}")
        return found


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _day(value: object) -> float:
    """Return the days since 1970-01-01 of a date, as TOML has it or as a string."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    if not isinstance(value, str):
        raise TypeError
    seconds = parse_date(value, Order.YEAR_FIRST)
    days, rest = divmod(seconds, 86_400)
    if rest:
        raise ValueError
    return days


def _share(value: object) -> float:
    number = _finite(value)
    if not 0 <= number <= 1:
        raise ValueError
    return number


def _rows(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError
    if value < 1:
        raise ValueError
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise TypeError
    if not all(isinstance(item, str) for item in value) or len(set(value)) != len(value):
        raise ValueError
    return tuple(value)


def _tables(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _one_of(*choices: object) -> Callable[[object], Any]:
    def read(value: object) -> object:
        if value not in choices or isinstance(value, bool):
            raise ValueError
        return value

    return read


# What a key's value must be, for messages, and the function that reads it.
_Key = tuple[str, Callable[[object], Any]]
_NUMBER: _Key = ("a finite number", _finite)
_DAY: _Key = ("a date, such as 2024-03-04", _day)
_SHARE: _Key = ("a number from 0 to 1", _share)
_TEXTS: _Key = ("a list of different strings", _texts)
_ALLOWED: _Key = (f"{quote(REFUSE)} or {quote(ALLOW)}", _one_of(REFUSE, ALLOW))
_CONTRACT_KEYS: Mapping[str, _Key] = {
    "version": ("1", _one_of(1)),
    "minimum_rows": ("a whole number of at least 1", _rows),
    "maximum_repeated_share": _SHARE,
    "maximum_leaked_share": _SHARE,
    "other_columns": _ALLOWED,
    "schema_change": _ALLOWED,
    "label": ("a table of keys", _tables),
    "columns": ("a table with a table of keys for each column", _tables),
}
_COLUMN_KEYS: Mapping[str, _Key] = {
    "type": (
        f"{quote(NUMBER)}, {quote(CATEGORY)} or {quote(DATE)}",
        _one_of(NUMBER, CATEGORY, DATE),
    ),
    "minimum": _NUMBER,
    "maximum": _NUMBER,
    "categories": _TEXTS,
    "earliest": _DAY,
    "latest": _DAY,
    "maximum_missing_share": _SHARE,
    "unique": ("true or false", _flag),
}
_LABEL_KEYS: Mapping[str, _Key] = {
    "classes": _TEXTS,
    "minimum_share": _SHARE,
    "maximum_share": _SHARE,
    "minimum": _NUMBER,
    "maximum": _NUMBER,
}
