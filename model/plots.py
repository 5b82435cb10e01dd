"""Draws the confusion matrix and the importances as PNG files.

Pillow is enough for a few rectangles and labels. A plotting library would add a third to the
container image and a second to each training job.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

from PIL import Image, ImageDraw, ImageFont

_INK, _PAPER, _BLUE = (30, 30, 30), (255, 255, 255), (31, 119, 180)
_MAX_LABEL_CHARACTERS = 24
_MAX_CLASSES, _MAX_COLUMNS = 30, 30


def draw_confusion(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> bytes:
    """Return a PNG of a confusion matrix, of at most the first 30 classes.

    Args:
        classes: the class names.
        matrix: number of rows by true class (first index) and predicted class.
    """
    shown = min(len(classes), _MAX_CLASSES)
    font = ImageFont.load_default(14)
    names = [_short(name) for name in classes[:shown]]
    side = 60
    margin = 40 + max(int(font.getlength(name)) for name in names)
    title = "true class down, predicted across"
    height = margin + side * shown + 20
    image = Image.new("RGB", (max(height, 20 + int(font.getlength(title))), height), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((10, 10), title, _INK, font)
    for row in range(shown):
        total = max(1, sum(matrix[row]))
        draw.text((margin - 10, margin + side * row + side / 2), names[row], _INK, font, "rm")
        _draw_upright(image, names[row], font, margin + side * row + side // 2, margin - 8)
        for column in range(shown):
            share = matrix[row][column] / total
            left, top = margin + side * column, margin + side * row
            draw.rectangle((left, top, left + side - 2, top + side - 2), _tint(share))
            ink = _PAPER if share > 0.6 else _INK
            centre = (left + side / 2, top + side / 2)
            draw.text(centre, str(matrix[row][column]), ink, font, "mm")
    return _png(image)


def draw_importances(importances: Mapping[str, float], loss_of: str) -> bytes:
    """Return a PNG of a bar chart, of at most the 30 most important columns.

    Args:
        importances: loss of the score by column name, the largest first.
        loss_of: name of the score, such as accuracy.
    """
    shown = list(importances.items())[:_MAX_COLUMNS]
    font = ImageFont.load_default(14)
    margin = 30 + max(int(font.getlength(_short(name))) for name, _ in shown)
    line, length = 24, 400
    image = Image.new("RGB", (margin + length + 90, 50 + line * len(shown)), _PAPER)
    draw = ImageDraw.Draw(image)
    draw.text((10, 10), f"loss of {loss_of} when the column is shuffled", _INK, font)
    largest = max(abs(value) for _, value in shown) or 1.0
    for number, (name, value) in enumerate(shown):
        top = 40 + line * number
        draw.text((margin - 10, top + line / 2), _short(name), _INK, font, "rm")
        end = margin + max(0, int(length * value / largest))
        draw.rectangle((margin, top + 3, end, top + line - 3), _BLUE)
        draw.text((end + 8, top + line / 2), f"{value:.3g}", _INK, font, "lm")
    return _png(image)


def _draw_upright(
    image: Image.Image,
    text: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    x: int,
    y: int,
) -> None:
    """Write a string upwards, ending above (x, y)."""
    width = int(font.getlength(text)) + 2
    label = Image.new("RGB", (width, 20), _PAPER)
    ImageDraw.Draw(label).text((0, 10), text, _INK, font, "lm")
    upright = label.rotate(90, expand=True)
    image.paste(upright, (x - 10, y - upright.height))


def _tint(share: float) -> tuple[int, int, int]:
    red, green, blue = (
        int(white + (ink - white) * share) for white, ink in zip(_PAPER, _BLUE, strict=True)
    )
    return red, green, blue


def _short(text: str) -> str:
    fits = len(text) <= _MAX_LABEL_CHARACTERS
    return text if fits else text[: _MAX_LABEL_CHARACTERS - 1] + "…"


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()
