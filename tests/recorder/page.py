"""The column `seen` of docs/semantics.md, from the recordings of AWS."""

from __future__ import annotations

import re
from typing import Any

from tests.recorder.storage import AWS, ROOT, fingerprint, read, recordable

PAGE = ROOT / "docs" / "semantics.md"
HEAD = "| rule | test | from | seen |"
_ROW = re.compile(r"(\| .+ \| `(test_\w+\.py)::(test_\w+)` \| \w+ \|)(?: [^|]* \|)?")
_COUNT = re.compile(r"(?m)^Seen on AWS: .*$")


def seen(test: str, recordings: list[dict[str, Any]]) -> str:
    """Return what the page says about a test that can be recorded.

    `not yet` without a recording of AWS; the day and the name if every recorded case passed;
    `differs` with them if AWS did something else; `outdated` if the test has changed since.
    """
    found = [r for r in recordings if r["test"] == test and r["recorded"]["cloud"] == AWS]
    if not found:
        return "not yet"
    last = max(found, key=lambda r: str(r["recorded"]["on"]))
    when = f"{last['recorded']['on']}, {last['recorded']['by']}"
    if last["source"] != fingerprint(test):
        return f"outdated: {when}"
    return when if all(case["passed"] for case in last["cases"]) else f"differs: {when}"


def page(text: str, recordings: list[dict[str, Any]]) -> str:
    """Return the page with its column filled in for what can be recorded, and the rules counted."""
    tests = {tuple(test.rpartition("/")[2].split("::")): test for test in recordable()}
    lines, column, rules = [], [], 0
    for line in text.splitlines():
        row = _ROW.fullmatch(line)
        if row is not None:
            test = tests.get((row[2], row[3]))
            rules += 1
            line = row[1]
            if test is not None:
                column.append(seen(test, recordings))
                line = f"{line} {column[-1]} |"
        elif line.startswith("| rule | test | from |"):
            line = HEAD
        elif line.startswith("| --- |"):
            line = "| --- | --- | --- | --- |"
        lines.append(line)
    confirmed = sum(bool(re.match(r"\d", value)) for value in column)
    differ = sum(value.startswith("differs") for value in column)
    count = (
        f"Seen on AWS: {confirmed} of {rules} rules; AWS differs in {differ}. "
        f"`make record` can record {len(column)} of them."
    )
    return _COUNT.sub(count, "\n".join(lines) + "\n")


def main() -> None:
    """Write the page again."""
    PAGE.write_text(page(PAGE.read_text(), read()[0]))


if __name__ == "__main__":
    main()
