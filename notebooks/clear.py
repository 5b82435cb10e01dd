"""Clears the notebooks of outputs and metadata, for git.

Run `python notebooks/clear.py` or `make clear`. It needs only the standard library.
"""

from __future__ import annotations

import json
from pathlib import Path

_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def cleared(text: str) -> str:
    """Return a notebook without outputs, execution counts and metadata.

    Args:
        text: the notebook's JSON, of format 4.5.
    """
    book = json.loads(text)
    book["metadata"] = _METADATA
    for cell in book["cells"]:
        cell["metadata"] = {}
        if cell["cell_type"] == "code":
            cell["execution_count"] = None
            cell["outputs"] = []
    return json.dumps(book, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path in sorted(Path(__file__).parent.glob("*.ipynb")):
        path.write_text(cleared(path.read_text(encoding="utf-8")), encoding="utf-8")
