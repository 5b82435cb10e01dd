"""Runs the notebooks and writes them as HTML pages that load nothing from elsewhere.

Run `make notebooks`. The links between chapters lead to the pages, and those to the project's files
lead there from build/notebooks.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from nbconvert import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor, Preprocessor
from traitlets.config import Config

HERE = Path(__file__).parent
OUT = HERE.parent / "build" / "notebooks"
_CHAPTER = re.compile(r"\]\((\d\d-[a-z]+)\.ipynb\)")
# The template writes a tag for each library, also for those that have no address, and a script that
# loads mermaid, which no chapter needs.
_SCRIPTS = re.compile(
    r'<script[^>]*\ssrc=""[^>]*>\s*</script>'
    r'|<script type="module">(?:(?!</script>).)*mermaid(?:(?!</script>).)*</script>',
    re.DOTALL,
)
_FILE = re.compile(r"\]\(\.\./")


class Links(Preprocessor):  # type: ignore[misc]  # nbconvert has no types
    """Makes the links of Markdown cells right for a page in build/notebooks."""

    def preprocess_cell(self, cell: Any, resources: Any, index: int) -> tuple[Any, Any]:
        """Return the cell with its links changed."""
        if cell.cell_type == "markdown":
            cell.source = _FILE.sub("](../../", _CHAPTER.sub(r"](\1.html)", cell.source))
        return cell, resources


def exporter() -> HTMLExporter:
    """Return an exporter of pages that load no script and no style from a network."""
    config = Config()
    config.ExecutePreprocessor.timeout = 600
    # The kernel warns of eavesdroppers, although it is reached by loopback only.
    config.ExecutePreprocessor.extra_arguments = ["--log-level=ERROR"]
    for library in ("require_js", "mathjax", "jquery", "widget_renderer"):
        config.HTMLExporter[f"{library}_url"] = ""
    found = HTMLExporter(config=config)
    found.register_preprocessor(ExecutePreprocessor(config=config), enabled=True)
    found.register_preprocessor(Links, enabled=True)
    return found


def write(path: Path) -> Path:
    """Run a notebook; return the path of its page."""
    resources = {"metadata": {"path": str(HERE), "name": path.stem}}
    body, _ = exporter().from_filename(str(path), resources=resources)
    OUT.mkdir(parents=True, exist_ok=True)
    page = OUT / f"{path.stem}.html"
    page.write_text(_SCRIPTS.sub("", body), "utf-8")
    return page


if __name__ == "__main__":
    for notebook in [Path(name) for name in sys.argv[1:]] or sorted(HERE.glob("*.ipynb")):
        print(write(notebook), flush=True)  # noqa: T201
