"""Pure: the confusion matrix and the importances, as SVG files.

SVG has what a bitmap would need fonts and a drawing library for: every script (the viewer's fonts
write it), sharp lines at any size, text for screen readers, and the reader's dark mode. Each file
stands by itself and loads nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from unicodedata import combining, east_asian_width

from model.importances import Importance

_SIZE = 14
_LABEL_CHARACTERS = 24
_MAX_CLASSES, _MAX_COLUMNS = 30, 30
# Text has at least 4.5:1 on its background: cells are tinted at most half.
_STYLE = """
text { font: 14px system-ui, sans-serif; fill: #1d1d1f }
.title { font-weight: 600 } .faint { fill: #55555a }
.right { fill: #1f77b4 } .wrong, .loss { fill: #c2410c } .gain { fill: #1f77b4 }
.axis { stroke: #55555a } .spread { stroke: #1d1d1f; stroke-width: 1.5 } .paper { fill: #fff }
@media (prefers-color-scheme: dark) {
  text { fill: #eee } .faint { fill: #b5b5ba } .paper { fill: #1b1b1d }
  .right, .gain { fill: #6cb1e8 } .wrong, .loss { fill: #fb923c }
  .axis { stroke: #b5b5ba } .spread { stroke: #eee } }
"""


def draw_confusion(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> bytes:
    """Return an SVG of a confusion matrix, of at most the 30 classes with the most rows.

    A cell has its rows and their share of the true class. Right predictions are blue and errors are
    orange, the stronger the larger the share.

    Args:
        classes: the class names.
        matrix: number of rows by true class (first index) and predicted class.
    """
    totals = [sum(row) for row in matrix]
    shown = sorted(sorted(range(len(classes)), key=lambda at: -totals[at])[:_MAX_CLASSES])
    names = [_short(classes[at]) for at in shown]
    rows, right = sum(totals), sum(row[at] for at, row in enumerate(matrix))
    accuracy = right / max(1, rows)
    # Four digits of almost all rows are not all rows.
    stated = "over 0.9999" if 0.99995 <= accuracy < 1 else f"{accuracy:.4f}"
    summary = f"{rows:,} rows, {right:,} right, accuracy {stated}"
    if len(shown) < len(classes):
        summary += f"; the {len(shown)} largest of {len(classes)} classes"
    widest = max(_width(f"{count:,}") for row in matrix for count in row)
    side = max(64, int(widest) + 16)
    longest = max(map(_width, names))
    upright = longest > side - 8
    left = int(longest) + 46
    top = 96 + (int(longest) if upright else 18)
    width = left + side * len(shown) + 90
    across = left + side * len(shown) / 2

    def tint(count: int, share: float) -> float:
        return 0.12 + 0.38 * share if count else 0.0

    def parts() -> Iterator[str]:
        yield _text(12, 24, "Confusion matrix", kind="title")
        yield _text(12, 44, summary, kind="faint")
        yield _text(across, 70, "predicted class", anchor="middle", kind="faint")
        down = top + side * len(shown) / 2
        yield _text(18, down, "true class", anchor="middle", kind="faint", turn=True)
        yield _text(left + side * len(shown) + 12, top - 10, "rows", kind="faint")
        for column, name in enumerate(names):
            x = left + side * (column + 0.5)
            yield (
                _text(x + 5, top - 10, name, turn=True)
                if upright
                else _text(x, top - 10, name, anchor="middle")
            )
        for row, of in enumerate(shown):
            middle = top + side * (row + 0.5)
            yield _text(left - 10, middle + 5, names[row], anchor="end")
            yield _text(left + side * len(shown) + 12, middle + 5, f"{totals[of]:,}")
            for column, as_ in enumerate(shown):
                count, share = matrix[of][as_], matrix[of][as_] / max(1, totals[of])
                kind = "right" if of == as_ else "wrong"
                x, y = left + side * column, top + side * row
                says = f"{classes[of]} predicted as {classes[as_]}: {count:,} ({share:.1%})"
                yield (
                    f'<g><title>{_escape(says)}</title><rect class="{kind}" x="{x}" y="{y}" '
                    f'width="{side - 2}" height="{side - 2}" '
                    f'fill-opacity="{tint(count, share):.2f}"/>'
                )
                yield _text(x + side / 2 - 1, y + side / 2 - 2, f"{count:,}", anchor="middle")
                if count:
                    part = f"{share:.0%}" if share >= 0.005 else "<1%"
                    yield _text(x + side / 2 - 1, y + side / 2 + 16, part, anchor="middle")
                yield "</g>"

    height = top + side * len(shown) + 16
    return _svg(max(width, _width(summary) + 24), height, f"Confusion matrix: {summary}", parts())


def draw_importances(importances: Mapping[str, Importance], loss_of: str) -> bytes:
    """Return an SVG of a bar chart, of at most the 30 most important columns.

    A column without which the model is better has a bar to the left of zero. The line across a
    bar's end is one standard deviation to each side.

    Args:
        importances: by column name, the largest first.
        loss_of: name of the score, such as accuracy.
    """
    shown = list(importances.items())[:_MAX_COLUMNS]
    low = min(0.0, *(one.mean - one.spread for _, one in shown))
    high = max(0.0, *(one.mean + one.spread for _, one in shown))
    length, line, top = 420, 26, 66
    scale = length / ((high - low) or 1.0)
    left = int(max(_width(_short(name)) for name, _ in shown)) + 24
    zero = left - low * scale
    decimals = _decimals(max(abs(low), abs(high)))
    bottom = top + line * len(shown)
    title = f"Loss of {loss_of} when a column is shuffled"
    about = "mean and standard deviation of the repetitions"
    if len(shown) < len(importances):
        about += f"; the {len(shown)} largest of {len(importances)} columns"

    def parts() -> Iterator[str]:
        yield _text(12, 24, title, kind="title")
        yield _text(12, 44, about, kind="faint")
        for at, (name, one) in enumerate(shown):
            y = top + line * at
            value = f"{_signed(one.mean, decimals)} ± {one.spread:.{decimals}f}"
            start, end = sorted((zero, zero + one.mean * scale))
            kind = "gain" if one.mean >= 0 else "loss"
            yield f"<g><title>{_escape(name)}: {value}</title>"
            yield _text(left - 10, y + 17, _short(name), anchor="end")
            yield (
                f'<rect class="{kind}" x="{start:.1f}" y="{y + 4}" width="{end - start:.1f}" '
                f'height="{line - 8}"/>'
            )
            tip, reach = zero + one.mean * scale, one.spread * scale
            yield _line("spread", tip - reach, y + line / 2, tip + reach, y + line / 2)
            yield _text(left + length + 12, y + 17, value)
            yield "</g>"
        yield _line("axis", zero, top - 4, zero, bottom + 4)
        yield _text(zero, bottom + 20, "0", anchor="middle", kind="faint")

    width = left + length + 12 + _width(f"−{high:.{decimals}f} ± {high:.{decimals}f}") + 12
    return _svg(max(width, _width(title) + 24), bottom + 30, title, parts())


def _svg(width: float, height: float, label: str, parts: Iterator[str]) -> bytes:
    content = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
        f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{_escape(label)}">\n'
        f"<title>{_escape(label)}</title><style>{_STYLE}</style>\n"
        f'<rect class="paper" width="100%" height="100%"/>\n{content}\n</svg>\n'
    ).encode()


def _text(
    x: float, y: float, text: str, *, kind: str = "", anchor: str = "start", turn: bool = False
) -> str:
    turned = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turn else ""
    named = f' class="{kind}"' if kind else ""
    at = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text{named} {at}{turned}>{_escape(text)}</text>"


def _line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _width(text: str) -> float:
    """Return about how wide a text is, in pixels: the viewer chooses the font."""
    units = (
        0.0 if combining(one) else 1.05 if east_asian_width(one) in "WF" else 0.62 for one in text
    )
    return _SIZE * sum(units)


def _decimals(largest: float) -> int:
    """Return the decimals that show three digits of the largest value."""
    return next((places for places in range(2, 7) if largest * 10**places >= 100), 6)


def _signed(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}".replace("-", "−")


def _escape(text: str) -> str:
    """Return a text for XML, which has no control characters."""
    return escape(
        "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)
    )


def _short(text: str) -> str:
    fits = len(text) <= _LABEL_CHARACTERS
    return text if fits else text[: _LABEL_CHARACTERS - 1] + "…"
