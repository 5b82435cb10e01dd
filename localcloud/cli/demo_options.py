"""The options of `localcloud demo`, and the name of the model that follows from them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# The most that the setting modelName allows.
_NAME_CHARACTERS = 16


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The options of the command.

    Attributes:
        of_csv: the arguments of `model.dataset` for the CSV file.
        users: the stress test's; None for as many as production scales under.
        duration: the stress test's, such as 30s.
    """

    table: str
    csv: Path | None
    of_csv: tuple[str, ...]
    regression: bool
    config: tuple[str, ...]
    approve: bool
    keep: bool
    speed: float
    duration: str
    users: int | None
    report_dir: Path
    short: bool

    @property
    def model_name(self) -> str:
        """Return the name of the model: that of the table or the CSV file.

        Iris has the name that the documentation uses.
        """
        if self.csv is None and self.table == "iris":
            return "iris-model"
        words = re.findall("[a-z0-9]+", (self.csv.stem if self.csv else self.table).lower())
        name = "-".join(words)[:_NAME_CHARACTERS].strip("-")
        # The setting's rule: a letter first, and two characters at least.
        return (
            name
            if re.fullmatch(r"[a-z](-?[a-z0-9])+", name)
            else f"model-{name}"[:_NAME_CHARACTERS].strip("-")
        )
