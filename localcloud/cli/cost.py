"""`localcloud cost`: the program's own estimate, read from a stack's outputs.

This module only prints the estimate. The program computes it and exports it as
`monthlyCostEstimate`.
"""

from __future__ import annotations

import json
from typing import Any

from rich.markup import escape
from rich.table import Table

from localcloud.cli.console import CommandError, out

OUTPUT = "monthlyCostEstimate"


def print_estimate(stack: str, outputs: dict[str, Any], *, as_json: bool) -> None:
    """Print the estimate of a stack.

    Args:
        stack: the stack's name.
        outputs: the stack's saved outputs; `monthlyCostEstimate` is an object of priceDate, region,
            currency, warning, total and items of what, quantity, unitPrice, unit, monthly and note.
        as_json: print that object as JSON.

    Raises:
        CommandError: the stack has no such output.
    """
    estimate = outputs.get(OUTPUT)
    if not outputs:
        raise CommandError(f"the stack {stack} is not deployed; run: localcloud up {stack}")
    if not isinstance(estimate, dict) or "items" not in estimate:
        raise CommandError(
            f"the stack {stack} has no output {OUTPUT}; it has: {', '.join(sorted(outputs))}"
        )
    if as_json:
        out.print_json(json.dumps(estimate))
        return
    currency = str(estimate.get("currency", "USD"))
    out.print(
        f"Stack [bold]{stack}[/bold] on AWS, {estimate.get('region', 'any region')}, "
        f"prices of {estimate.get('priceDate', 'an unknown date')}"
    )
    if out.is_terminal:
        grid = Table("What", "Quantity", "Unit price", f"{currency} a month", "Note", box=None)
        for column in grid.columns[1:4]:
            column.justify = "right"
        for item in estimate["items"]:
            grid.add_row(*(escape(text) for text in _row(item)))
        out.print(grid)
    else:
        for item in estimate["items"]:
            # Not by rich, which would turn the tabs into blanks; another program splits the lines
            # at them.
            out.file.write("\t".join(_row(item)).rstrip() + "\n")
    if estimate.get("warning"):
        out.print(f"[yellow]{escape(str(estimate['warning']))}[/yellow]", highlight=False)
    out.print(f"Total: [bold]{float(estimate.get('total', 0)):.2f} {currency}[/bold] a month")


def _row(item: dict[str, Any]) -> list[str]:
    unit = str(item.get("unit", ""))
    return [
        str(item.get("what", "")),
        f"{float(item.get('quantity', 0)):g} {unit}".rstrip(),
        f"{float(item.get('unitPrice', 0)):g}",
        f"{float(item.get('monthly', 0)):.2f}",
        str(item.get("note", "") or ""),
    ]
