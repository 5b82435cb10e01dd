"""A comparison as Markdown: the comment of a pull request. Pure.

Whatever comes from the compared programs may come from a stranger. It stands in code spans and code
blocks only, so that it is neither a link, nor a mention, nor HTML.

Source: https://docs.github.com/en/get-started/writing-on-github
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from localcloud.review.comparison import Json, has_changes

# GitHub takes 65,536 characters in a comment.
MOST_CHARACTERS = 60_000
_MOST_LINES = 200
_SYMBOLS = {"create": "+", "update": "~", "replace": "±", "delete": "-", "retain": "-"}
# What the lab's run says of a gained grant; nothing of what the record of calls does not show.
_MARKS: dict[bool | None, str] = {True: "  [used]", False: "  [not used by the lab's run]"}
_POLICY = re.compile(r"(?:policy|assumeRolePolicy)\b")
_TICKS = re.compile(r"`+")


def rendered(comparison: Json) -> str:
    """Return a comparison as Markdown, at most MOST_CHARACTERS long."""
    base, head = (_revision(comparison[side]) for side in ("base", "head"))
    lines = [f"### {head[:1].upper()}{head[1:]} compared with {base}", ""]
    lines += _run(comparison)
    if not has_changes(comparison):
        lines.append("Nothing that is deployed changes.")
    else:
        for section in (_resources, _costs, _permissions, _templates):
            lines += section(comparison)
    lines += _violations(comparison)
    text = "\n".join(lines).rstrip() + "\n"
    if len(text) <= MOST_CHARACTERS:
        return text
    note = "\n```\n\nThe rest is too long for a comment: run `localcloud diff` for all of it.\n"
    return text[: MOST_CHARACTERS - len(note)].rpartition("\n")[0] + note


def _revision(side: Json) -> str:
    commit = side["commit"][:12]
    return f"{_code(side['name'])} ({commit})" if commit else str(side["name"])


def _run(comparison: Json) -> Iterator[str]:
    run = comparison.get("run")
    if run is None:
        return
    denied = [f"! {c['role']}: {c['action']} on {c['resource']}" for c in run["denied"]]
    calls = f"{len(denied) or 'no'} {'calls' if len(denied) > 1 else 'call'} denied"
    if run["status"] == "Succeeded":
        yield f"**The lab's run**: a dataset was delivered to production; {calls}"
    else:
        yield f"**The lab's run failed**; {calls}"
        denied = [run["reason"], *denied]
    if denied:
        yield from _block(denied)
    else:
        yield ""


def _resources(comparison: Json) -> Iterator[str]:
    for stack in comparison["stacks"]:
        steps = stack["steps"]
        if not steps:
            continue
        yield f"**Resources of {_code(stack['stack'])}**: {_counted(steps)}"
        yield from _block(
            line
            for step in steps
            for line in (
                f"{_SYMBOLS.get(step['change'], '?')} {step['change']} "
                f"{step['type'].rpartition(':')[2]} {step['name']}",
                *(f"    {text}" for text in _inputs(step["differences"])),
            )
        )


def _counted(steps: Sequence[Json]) -> str:
    counts: dict[str, int] = {}
    for step in steps:
        counts[step["change"]] = counts.get(step["change"], 0) + 1
    return ", ".join(f"{count} to {change}" for change, count in counts.items())


def _inputs(found: Sequence[Json]) -> Iterator[str]:
    """Yield the inputs that differ; the permissions have a section of their own."""
    policies = {name for one in found if (name := _POLICY.match(one["path"]))}
    yield from sorted({f"{name[0]}: see the permissions" for name in policies})
    yield from _differences([one for one in found if not _POLICY.match(one["path"])])


def _differences(found: Iterable[Json]) -> Iterator[str]:
    for one in found:
        before, after = ("(none)" if one[k] is None else one[k] for k in ("before", "after"))
        yield f"{one['path']}: {before} → {after}"


def _costs(comparison: Json) -> Iterator[str]:
    cost = comparison["cost"]
    if not cost["items"]:
        return
    change = cost["after"] - cost["before"]
    yield (
        f"**Cost**: {cost['before']:.2f} → {cost['after']:.2f} {cost['currency']} a month "
        f"({change:+.2f}), estimated by the list prices of {_code(cost['priceDate'])}"
    )
    yield ""
    yield "| stack | item | before | after | change |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for item in cost["items"]:
        before, after = item["before"], item["after"]
        known = before is not None and after is not None
        yield (
            f"| {_cell(item['stack'])} | {_cell(item['what'])} | {_amount(before)} | "
            f"{_amount(after)} | {format(after - before, '+.2f') if known else 'unknown'} |"
        )
    yield ""


def _amount(value: float | None) -> str:
    return "no price" if value is None else f"{value:.2f}"


def _permissions(comparison: Json) -> Iterator[str]:
    found = comparison["permissions"]
    if not found:
        return
    gained = sum(len(one["gained"]) for one in found)
    lost = sum(len(one["lost"]) for one in found)
    yield f"**Permissions**: {gained} gained{_counted_use(found)}, {lost} lost"
    yield from _block(
        line
        for one in found
        for line in (
            f"{one['holder']} ({one['stack']}{'' if one['is'] == 'changed' else ', ' + one['is']})",
            *(f"  + {_grant(grant)}" for grant in one["gained"]),
            *(f"  - {_grant(grant)}" for grant in one["lost"]),
        )
    )


def _counted_use(found: Sequence[Json]) -> str:
    marks = [grant["used"] for one in found for grant in one["gained"] if "used" in grant]
    if not marks:
        return ""
    return f" ({marks.count(True)} used by the lab's run, {marks.count(False)} not used)"


def _grant(grant: Json) -> str:
    text = f"{grant['effect']} {grant['action']}"
    if "resource" in grant:
        text += f" on {grant['resource']}"
    if "principal" in grant:
        text += f" to {grant['principal']}"
    if "condition" in grant:
        text += f" if {grant['condition']}"
    return text + _MARKS.get(grant.get("used"), "")


def _templates(comparison: Json) -> Iterator[str]:
    for one in comparison["templates"]:
        yield f"**Endpoint template of {_code(one['stack'])}**: reaches it at the next run"
        yield from _block(_differences(one["differences"]))
    if comparison["undeployable"]:
        yield (
            "**No run of the pipeline can deploy this**: SageMaker does not change the instance "
            "type of a variant that scales. Deploy without scaling first, then change the type."
        )
        yield from _block(
            f"{one['stack']}: variant {one['variant']}: {one['before']} → {one['after']}"
            for one in comparison["undeployable"]
        )


def _violations(comparison: Json) -> Iterator[str]:
    found = comparison["violations"]
    if not found:
        yield "**Rules**: none is violated."
        return
    yield f"**Rules**: {sum(one['new'] for one in found)} violations are new, of {len(found)}"
    yield from _block(
        f"{'!' if one['new'] else ' '} {one['rule']}: {one['resource']} ({one['stack']}): "
        f"{one['message']}"
        for one in found
    )


def _block(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines as a code block whose fence none of them can close."""
    shown = [_one_line(line) for line in lines]
    more = len(shown) - _MOST_LINES
    if more > 0:
        shown = [*shown[:_MOST_LINES], f"… and {more} more lines"]
    longest = max((len(t) for line in shown for t in _TICKS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield ""
    yield f"{fence}text"
    yield from shown
    yield fence
    yield ""


def _code(value: Any) -> str:
    """Return a text as a code span."""
    text = _one_line(str(value))
    fence = "`" * (max((len(t) for t in _TICKS.findall(text)), default=0) + 1)
    pad = " " if text[:1] == "`" or text[-1:] == "`" else ""
    return f"{fence}{pad}{text}{pad}{fence}" if text else ""


def _cell(value: Any) -> str:
    return _code(str(value).replace("|", "¦"))


def _one_line(text: str) -> str:
    return " ".join(text.splitlines()) if text.strip() else text
