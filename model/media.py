"""Pure: content negotiation: the media type of a request, and the format of its response.

Content-Type   text/csv, application/json, application/jsonlines, application/x-npy
Accept         the same types; a parameter `output=labels` or `output=probabilities` selects the
               content of text/csv and application/x-npy (JSON always holds both)
"""

from __future__ import annotations

from dataclasses import dataclass

from model.errors import NotAcceptableError, UnsupportedMediaTypeError

CSV = "text/csv"
JSON = "application/json"
JSON_LINES = "application/jsonlines"
NPY = "application/x-npy"
MEDIA_TYPES = (CSV, JSON, JSON_LINES, NPY)
_ALL = f"{CSV} or {JSON}, {JSON_LINES} or {NPY}"
LABELS, PROBABILITIES = "labels", "probabilities"
OUTPUTS = (LABELS, PROBABILITIES)


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """The format of a response body.

    Attributes:
        media_type: one of MEDIA_TYPES.
        output: labels or probabilities.
    """

    media_type: str
    output: str = LABELS


def content_media_type(header: str) -> str:
    """Return the media type of a Content-Type header.

    Raises:
        UnsupportedMediaTypeError: the type is not one of MEDIA_TYPES.
    """
    media_type = header.partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        given = f"Content-Type '{media_type}'" if media_type else "no Content-Type"
        raise UnsupportedMediaTypeError(f"{given}: send {_ALL}")
    return media_type


def negotiate(header: str, content_type: str, output: str = LABELS) -> ResponseFormat:
    """Return the format that the client prefers.

    Args:
        header: the Accept header; an empty one accepts any type.
        content_type: the request's media type, preferred among types of equal quality.
        output: labels or probabilities, used if the header does not select one.

    Raises:
        NotAcceptableError: the header accepts none of MEDIA_TYPES, or names an unknown output.
    """
    best, best_quality = ResponseFormat("", output), 0.0
    for candidate in (content_type, *(t for t in MEDIA_TYPES if t != content_type)):
        quality, requested = _quality(header, candidate)
        if quality > best_quality:
            best, best_quality = ResponseFormat(candidate, requested or output), quality
    if not best.media_type:
        raise NotAcceptableError(f"Accept '{header}': this model answers {_ALL}")
    if best.output not in OUTPUTS:
        raise NotAcceptableError(
            f"Accept '{header}': output is '{best.output}'; it must be {' or '.join(OUTPUTS)}"
        )
    return best


def _quality(header: str, media_type: str) -> tuple[float, str]:
    """Return the quality (0 to 1) and the output of the most specific range that matches."""
    best = (-1, 0.0, "")
    for part in (header or "*/*").split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        if name not in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
            continue
        quality, output = 1.0, ""
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
            elif key.strip() == "output":
                output = value.strip()
        best = max(best, (2 - name.count("*"), quality, output))
    return best[1], best[2]
