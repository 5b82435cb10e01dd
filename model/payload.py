"""Pure: request bodies to rows of numbers, predictions to response bodies.

    text/csv           rows without the label, one a line       → one label a line
    application/json   {"instances": [[…], …]}, [[…], …] or […] → {"predictions": [{…}, …]}

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from model.cells import NotANumberError, check_number, parse_number
from model.errors import BadPayloadError, NotAcceptableError, UnsupportedMediaTypeError
from model.table import csv_line

if TYPE_CHECKING:
    from model.predictor import Prediction

CSV = "text/csv"
JSON = "application/json"
_MEDIA_TYPES = (CSV, JSON)

Rows = list[list[float]]


def content_media_type(header: str) -> str:
    """Return the media type of a Content-Type header.

    Raises:
        UnsupportedMediaTypeError: it is not one of those read here.
    """
    media_type = header.partition(";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        given = f"Content-Type '{media_type}'" if media_type else "no Content-Type"
        raise UnsupportedMediaTypeError(f"{given}: send {CSV} or {JSON}")
    return media_type


def accepted_media_type(header: str, content_type: str) -> str:
    """Return the media type to answer with.

    Args:
        header: the Accept header; empty means any.
        content_type: the request's media type, preferred among equals.

    Raises:
        NotAcceptableError: the client accepts none that can be given.
    """
    best, best_quality = "", 0.0
    for candidate in (content_type, *(t for t in _MEDIA_TYPES if t != content_type)):
        quality = _quality(header, candidate)
        if quality > best_quality:
            best, best_quality = candidate, quality
    if not best:
        raise NotAcceptableError(f"Accept '{header}': this model answers {CSV} or {JSON}")
    return best


def decode_rows(body: bytes, media_type: str, features: Sequence[str]) -> Rows:
    """Return the rows of a request body, each as wide as `features`.

    Raises:
        BadPayloadError: empty, not of the type it says, of another width, or not numbers.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadPayloadError(f"the body is not UTF-8 text (byte {error.start})") from None
    rows = _decode_csv(text, features) if media_type == CSV else _decode_json(text, features)
    if not rows:
        raise BadPayloadError(
            f"the body has no rows; send at least one row of {len(features)} numbers"
        )
    return rows


def encode_predictions(predictions: Sequence[Prediction], media_type: str) -> bytes:
    """Return the response body."""
    if media_type == CSV:
        return "".join(csv_line([prediction.label]) for prediction in predictions).encode()
    document = {
        "predictions": [
            {"label": prediction.label, "probabilities": prediction.probabilities}
            for prediction in predictions
        ]
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _quality(header: str, media_type: str) -> float:
    """Return how much a media type is wanted, 0 to 1, by the most specific range that matches."""
    best = (-1, 0.0)
    for part in (header or "*/*").split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name not in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
            continue
        quality = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        best = max(best, (2 - name.count("*"), quality))
    return best[1]


def _decode_csv(text: str, features: Sequence[str]) -> Rows:
    rows: Rows = []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        for cells in reader:
            if not cells:
                continue
            number = len(rows) + 1
            if len(cells) != len(features):
                raise BadPayloadError(_width(number, len(cells), features))
            try:
                rows.append([parse_number(cell) for cell in cells])
            except NotANumberError:
                raise _cell_error(number, cells, features) from None
    except csv.Error as error:
        raise BadPayloadError(f"row {len(rows) + 1}: not CSV text ({error})") from None
    return rows


def _cell_error(row: int, cells: Sequence[str], features: Sequence[str]) -> BadPayloadError:
    for column, cell in enumerate(cells, 1):
        try:
            parse_number(cell)
        except NotANumberError as reason:
            return BadPayloadError(f"row {row}, column {column} ({features[column - 1]}) {reason}")
    raise AssertionError("every cell is a number")


def _decode_json(text: str, features: Sequence[str]) -> Rows:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadPayloadError(f"the body is not JSON: {error}") from None
    shape = f'send {{"instances": [[{len(features)} numbers], …]}}'
    if isinstance(document, dict):
        if "instances" not in document:
            raise BadPayloadError(f"the JSON object has no 'instances'; {shape}")
        document = document["instances"]
    if not isinstance(document, list):
        raise BadPayloadError(f"the instances are not a list; {shape}")
    if document and not any(isinstance(item, list) for item in document):
        document = [document]
    rows: Rows = []
    for number, cells in enumerate(document, 1):
        if not isinstance(cells, list):
            raise BadPayloadError(f"row {number} is not a list of numbers; {shape}")
        if len(cells) != len(features):
            raise BadPayloadError(_width(number, len(cells), features))
        rows.append([_json_number(cell, number, i, features) for i, cell in enumerate(cells, 1)])
    return rows


def _json_number(cell: object, row: int, column: int, features: Sequence[str]) -> float:
    where = f"row {row}, column {column} ({features[column - 1]})"
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        shown = json.dumps(cell)[:40]
        raise BadPayloadError(f"{where} holds {shown}, which is not a number")
    try:
        return check_number(float(cell), str(cell)[:40])
    except OverflowError:
        raise BadPayloadError(f"{where} is too large for a 32-bit float") from None
    except NotANumberError as reason:
        raise BadPayloadError(f"{where} {reason}") from None


def _width(row: int, found: int, features: Sequence[str]) -> str:
    names = ", ".join(features[:8]) + (", …" if len(features) > 8 else "")
    hint = "; leave the label out" if found == len(features) + 1 else ""
    return f"row {row} has {found} columns; this model takes {len(features)} ({names}){hint}"
