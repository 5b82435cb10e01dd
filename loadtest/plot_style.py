"""The style of the plots."""

from __future__ import annotations

from typing import Any

# Each has at least 4.5:1 on white.
BLUE, TEAL, AMBER, RED, VIOLET = "#2563eb", "#0f766e", "#b45309", "#dc2626", "#7c3aed"
MAGENTA, SLATE = "#be185d", "#64748b"
INK, MUTED, GRID, PALE = "#1f2937", "#6b7280", "#e5e7eb", "#d1d5db"
STYLE = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": MUTED,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "hatch.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def draw_empty(axis: Any, reason: str) -> None:
    """Write the reason into an empty panel."""
    axis.text(
        0.5,
        0.5,
        reason,
        transform=axis.transAxes,
        ha="center",
        va="center",
        color=MUTED,
        style="italic",
    )
    axis.set_yticks([])
