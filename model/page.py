"""Pure: the frame of every report's page, and its tables: one HTML file without scripts.

A page loads nothing, and its policy forbids scripts and requests. Every text from a model, a
dataset or a capture is escaped, and is never part of a tag, a style or a link.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template

GOOD, BAD, OPEN = "good", "bad", "open"

_FRAME = Template(Path(__file__).with_name("page.html").read_text("utf-8"))


def draw(
    heading: str, verdict: str, parts: Iterable[str], *, kind: str, title: str = "", style: str = ""
) -> str:
    """Return a page.

    Args:
        heading: the headline, as text.
        verdict: the verdict's line, as text.
        parts: the body, as HTML.
        kind: GOOD, BAD or OPEN, which is the verdict's colour.
        title: the title of the browser's tab, as text; by default the headline.
        style: the page's own style sheet, after the common one.
    """
    return _FRAME.substitute(
        title=escape(title or heading),
        heading=escape(heading),
        verdict=escape(verdict),
        kind=kind,
        style=style,
        body="\n".join(part for part in parts if part),
    )


def table(headline: str, titles: Sequence[str], rows: Iterable[str]) -> str:
    """Return a table under a headline.

    Args:
        headline: the headline, as text.
        titles: the columns' titles, as text; those that end with # hold numbers.
        rows: the rows, as HTML.
    """
    cells = "".join(
        f'<th class="number">{escape(title[:-1])}</th>'
        if title.endswith("#")
        else f"<th>{escape(title)}</th>"
        for title in titles
    )
    frame = f"<h2>{escape(headline)}</h2><div class='table'><table><tr>{cells}</tr>"
    lines = [frame, *rows, "</table></div>"]
    return "\n".join(lines)


def number(value: float | None, shown: str = ".4f") -> str:
    """Return a cell with a number in a format, or a dash for None."""
    return f'<td class="number">{"–" if value is None else format(value, shown)}</td>'
