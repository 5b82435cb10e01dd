"""Builds the documentation as a site in build/site/html; a link that leads nowhere is an error.

Run `make site`. The pages are the project's Markdown files. A link to another page stays a link to
that page; a link to a file of the source leads to the repository, if its address is known
(`REPOSITORY_URL`, which the workflow sets), and is plain text otherwise.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PLACE = ROOT / "build" / "site"
PAGES, HTML = PLACE / "pages", PLACE / "html"
_TOP = ("ARCHITECTURE", "CONTRIBUTING", "CHANGELOG")
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_LOADED = re.compile(r'(?:\ssrc|<link[^>]*stylesheet[^>]*href)="(https?:[^"]*)"')


def pages() -> dict[Path, Path]:
    """Return each page's place in the site by its file."""
    docs = ROOT / "docs"
    found = {ROOT / "README.md": Path("index.md")}
    found |= {ROOT / f"{name}.md": Path(f"{name}.md") for name in _TOP}
    found |= {path: path.relative_to(docs) for path in [*docs.glob("*.md"), *docs.glob("adr/*.md")]}
    return found


def gather(repository: str) -> None:
    """Lay out the pages and the pictures, with their links changed."""
    shutil.rmtree(PLACE, ignore_errors=True)
    places = pages()
    for source, place in places.items():
        target = PAGES / place
        target.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text("utf-8")
        target.write_text(_changed(text, source, place, places, repository), "utf-8")
    shutil.copytree(ROOT / "docs" / "images", PAGES / "images")
    shutil.copy(ROOT / "docs" / "evidence.schema.json", PAGES)
    (PLACE / "zensical.toml").write_text((HERE / "zensical.toml").read_text("utf-8"), "utf-8")


def _changed(
    text: str, source: Path, place: Path, places: dict[Path, Path], repository: str
) -> str:
    def link(match: re.Match[str]) -> str:
        words, target = match.groups()
        parts = urlsplit(target)
        if parts.scheme or not parts.path:
            return match[0]
        file = (source.parent / unquote(parts.path)).resolve()
        if not file.exists():
            raise SystemExit(f"error: {source.relative_to(ROOT)} links to {target}: no such file")
        if file in places:
            up = "../" * (len(place.parts) - 1)
            mark = f"#{parts.fragment}" if parts.fragment else ""
            return f"[{words}]({up}{places[file].as_posix()}{mark})"
        if file.suffix in (".json", ".png", ".svg") and file.parent.is_relative_to(ROOT / "docs"):
            return match[0]
        if not repository:
            return words
        return f"[{words}]({repository}/blob/main/{file.relative_to(ROOT).as_posix()})"

    # The README's pictures lie below docs/, which is the site's root.
    return _LINK.sub(link, text).replace("](docs/images/", "](images/")


def loaded_from_elsewhere() -> Iterator[str]:
    """Yield what the site's pages would load from other hosts."""
    for path in sorted(HTML.rglob("*.html")):
        for source in _LOADED.findall(path.read_text("utf-8")):
            yield f"{path.relative_to(HTML)} loads {source}"


def main() -> int:
    """Build the site; return the exit status."""
    gather(os.environ.get("REPOSITORY_URL", "").rstrip("/"))
    zensical = Path(sys.executable).with_name("zensical")
    # Strict: a link to a page or a heading that is not there is an error.
    done = subprocess.run([str(zensical), "build", "--strict"], cwd=PLACE, check=False)
    if done.returncode:
        return done.returncode
    found = list(loaded_from_elsewhere())
    for problem in found:
        sys.stderr.write(f"error: {problem}\n")
    sys.stdout.write(f"{len(list(HTML.rglob('*.html')))} pages in {HTML.relative_to(ROOT)}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
