"""Filter patterns of CloudWatch Logs for lines of text.

    ERROR timeout      both terms       -DEBUG        not this term
    "out of memory"    exactly this     %5\\d\\d%       a regular expression
    ?ERROR ?WARN       one of these; ignored beside other terms

Patterns of JSON (`{ … }`) and of space-delimited fields (`[ … ]`) are refused.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import re
from collections.abc import Callable

from localcloud.core.user_pattern import PatternError, UserPattern

_TERM = re.compile(r'\s*([?-]?)("(?:[^"\\]|\\.)*"|%[^%]+%|[^\s"%]\S*)(?=\s|$)')
_ESCAPED = re.compile(r"\\(.)")

Test = Callable[[str], bool]


class FilterPatternError(ValueError):
    """A pattern that is not valid, or is of a kind that is not evaluated; the text says which."""


def line_filter(pattern: str) -> Test:
    """Return a function that says whether a line matches a pattern; all lines match an empty one.

    Raises:
        FilterPatternError: the pattern is not one of terms.
    """
    text = pattern.strip()
    if text[:1] in ("{", "["):
        raise FilterPatternError(
            f"the pattern {text} is of JSON or of fields, which the local cloud does not evaluate; "
            'terms are, such as ERROR "out of memory" -DEBUG'
        )
    required: list[Test] = []
    optional: list[Test] = []
    position = 0
    while position < len(text):
        match = _TERM.match(text, position)
        if match is None:
            raise FilterPatternError(
                f"the pattern {text} is not valid from {text[position:].strip()} on; terms are "
                'words, "quoted text" or %regular expressions%'
            )
        position = match.end()
        test = _test_of(match[2])
        if match[1] == "?":
            optional.append(test)
        else:
            required.append(_not(test) if match[1] == "-" else test)
    if required or not optional:
        return lambda line: all(test(line) for test in required)
    return lambda line: any(test(line) for test in optional)


def _test_of(term: str) -> Test:
    if term[0] == "%":
        try:
            expression = UserPattern(term[1:-1])
        except PatternError as error:
            raise FilterPatternError(f"{term} is not a regular expression: {error}") from None
        return lambda line: expression.search(line) is not None
    text = _ESCAPED.sub(r"\1", term[1:-1]) if term[0] == '"' else term
    return lambda line: text in line


def _not(test: Test) -> Test:
    return lambda line: not test(line)
