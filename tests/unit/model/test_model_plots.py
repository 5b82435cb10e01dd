"""The pictures of a training job, read as the XML that they are."""

from __future__ import annotations

from xml.etree.ElementTree import Element, fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.importances import Importance
from model.plots import draw_confusion, draw_importances

_SVG = "{http://www.w3.org/2000/svg}"


def texts(picture: bytes) -> list[str]:
    return [found.text or "" for found in fromstring(picture).iter(f"{_SVG}text")]  # noqa: S314


def boxes(picture: bytes, kind: str) -> list[Element]:
    found = fromstring(picture).iter(f"{_SVG}rect")  # noqa: S314
    return [box for box in found if box.get("class") == kind]


def test_a_confusion_matrix_has_rows_shares_totals_and_the_accuracy() -> None:
    picture = draw_confusion(["größe ✓", "高"], [[32, 8], [0, 1234]])
    shown = texts(picture)
    assert "1,274 rows, 1,266 right, accuracy 0.9937" in shown
    assert {"größe ✓", "高", "true class", "predicted class", "1,234", "80%", "20%"} <= {*shown}
    right, wrong = boxes(picture, "right"), boxes(picture, "wrong")
    assert [box.get("fill-opacity") for box in right] == ["0.42", "0.50"]
    assert [box.get("fill-opacity") for box in wrong] == ["0.20", "0.00"]


def test_almost_all_rows_are_not_all_rows() -> None:
    (summary,) = (
        text for text in texts(draw_confusion("ab", [[10**6, 4], [0, 1]])) if "acc" in text
    )
    assert summary == "1,000,005 rows, 1,000,001 right, accuracy over 0.9999"
    assert "<1%" in texts(draw_confusion("ab", [[10**6, 4], [0, 1]]))


def test_the_largest_of_many_classes_are_shown() -> None:
    classes = [f"class {number}" for number in range(40)]
    matrix = [
        [number if of == as_ else 0 for as_ in range(40)] for of, number in enumerate(range(40))
    ]
    shown = texts(draw_confusion(classes, matrix))
    assert "780 rows, 780 right, accuracy 1.0000; the 30 largest of 40 classes" in shown
    assert "class 39" in shown
    assert "class 9" not in shown


def test_a_loss_below_zero_has_a_bar_to_the_left_of_zero() -> None:
    found = {"a": Importance(0.1, 0.02), "b": Importance(-0.5, 0.1)}
    picture = draw_importances(found, "accuracy")
    (gain,), (loss,) = boxes(picture, "gain"), boxes(picture, "loss")
    zero = float(gain.get("x", ""))
    left, width = float(loss.get("x", "")), float(loss.get("width", ""))
    assert left + width == pytest.approx(zero, abs=0.2)
    assert width == pytest.approx(5 * float(gain.get("width", "")), rel=0.01)
    assert {"0.100 ± 0.020", "−0.500 ± 0.100"} <= {*texts(picture)}


@given(st.lists(st.text(max_size=30), min_size=1, max_size=4, unique=True))
def test_any_names_are_text_in_well_formed_pictures(names: list[str]) -> None:
    matrix = [[1] * len(names) for _ in names]
    assert "accuracy" in " ".join(texts(draw_confusion(names, matrix)))
    picture = draw_importances({name: Importance(0.0, 0.0) for name in names}, "r2")
    assert len(boxes(picture, "gain")) == len(names)
    assert b"<script" not in draw_confusion(["<script>alert(1)</script>"], [[1]])
