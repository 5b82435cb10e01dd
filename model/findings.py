"""Pure: what a data check finds, and the line and the document that say it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from model.cells import one_line, quote

VERSION = 1
# The longest message, and the most findings of a document.
MESSAGE_CHARACTERS = 300
MAX_FINDINGS = 500


class Severity(StrEnum):
    """The consequence of a finding."""

    BROKEN = "broken"
    WARNING = "warning"


class Kind(StrEnum):
    """The subject of a finding."""

    REFUSED = "refused"  # training would refuse the dataset
    CONTRACT = "contract"
    SCHEMA = "schema"  # the columns differ from those of the approved model
    SHIFT = "shift"  # a distribution differs from that of the approved model
    LABEL_IS_FEATURE = "label-is-feature"
    LEAKAGE = "leakage"
    REPEATED_ROWS = "repeated-rows"
    RARE_CLASS = "rare-class"
    CONSTANT_COLUMN = "constant-column"


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding of a data check.

    Attributes:
        severity: the consequence.
        kind: the subject.
        message: one sentence.
        column: the column's name; empty if the finding is not about one column.
        value: the number that was found, if there is one.
        limit: the number that it was compared with, if there is one.
        short: a few words for the message of the job; empty uses `message`.
    """

    severity: Severity
    kind: Kind
    message: str
    column: str = ""
    value: float | None = None
    limit: float | None = None
    short: str = ""

    @property
    def broken(self) -> bool:
        """Return True if the finding stops the pipeline."""
        return self.severity is Severity.BROKEN

    def as_json(self) -> dict[str, Any]:
        """Return the finding as a JSON object."""
        return {
            "severity": str(self.severity),
            "kind": str(self.kind),
            "column": self.column or None,
            "message": self.message,
            "value": self.value,
            "limit": self.limit,
        }


def plain(text: str) -> str:
    """Return a name for a message, on one line and of at most 41 characters, without quotes."""
    return quote(text)[1:-1]


def summarize(size: str, findings: Sequence[Finding]) -> str:
    """Return one line of at most 300 characters that says what was found.

    Args:
        size: columns and rows, such as `4 columns, 120 + 30 rows`; empty if they are not known.
        findings: the findings; broken ones are named first.
    """
    return one_line(_summary(size, findings))


def _summary(size: str, findings: Sequence[Finding]) -> str:
    broken = [finding for finding in findings if finding.broken]
    shifts = [f for f in findings if f.kind is Kind.SHIFT and not f.broken]
    others = sum(not f.broken and f.kind is not Kind.SHIFT for f in findings)
    begin = f"{size}: " if size else ""
    if broken:
        return _fit(begin, [finding.short or finding.message for finding in broken])
    parts = ["nothing broken"]
    if others:
        parts.append(_counted(others, "warning"))
    if not shifts:
        return begin + ", ".join(parts)
    parts.append(_counted(len(shifts), "shift"))
    shown = [finding.short or finding.message for finding in shifts]
    return _fit(begin + ", ".join(parts) + " (", shown, ")", ", ")


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _fit(begin: str, items: Sequence[str], end: str = "", separator: str = "; ") -> str:
    """Return as many of the items as fit, and the number of the others."""
    for shown in range(len(items), 0, -1):
        rest = len(items) - shown
        more = f"{separator}and {rest} more" if rest else ""
        text = begin + separator.join(items[:shown]) + more + end
        if len(text) <= MESSAGE_CHARACTERS:
            return text
    more = f"{separator}and {len(items) - 1} more" if len(items) > 1 else ""
    room = MESSAGE_CHARACTERS - len(begin) - len(more) - len(end) - 1
    return begin + items[0][:room] + "…" + more + end
