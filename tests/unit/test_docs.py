"""The documents that are made from the code are fresh, and the others point at what is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from localcloud.edge.coverage import LIVE, document, implemented, missing

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "docs" / "adr").glob("*.md")],
    key=lambda page: str(page),
)


def test_the_operations_page_is_what_the_code_says() -> None:
    assert document() == (ROOT / "docs" / "operations.md").read_text(), "run: make docs"


def test_the_page_of_the_command_line_is_what_the_commands_say() -> None:
    from localcloud.cli import reference

    assert reference.document() == (ROOT / "docs" / "cli.md").read_text(), "run: make docs"


def test_the_page_of_the_command_line_has_every_command() -> None:
    page = (ROOT / "docs" / "cli.md").read_text()
    assert "## localcloud image push\n" in page
    assert "| `--endpoint-url` | The local cloud's address." in page
    assert "``" not in page.replace("```", "")


def test_every_implemented_operation_is_one_of_botocores() -> None:
    from localcloud.aws.protocol import service_model

    for service in LIVE:
        names = set(service_model(service).operation_names)
        assert set(implemented()[service]) <= names
        assert len(missing(service)) == len(names) - len(implemented()[service])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_decision_is_in_the_index() -> None:
    index = (ROOT / "docs" / "adr" / "README.md").read_text()
    for page in (ROOT / "docs" / "adr").glob("0*.md"):
        assert f"({page.name})" in index


def test_the_container_pins_what_the_lock_file_pins() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    for line in (ROOT / "model" / "requirements.txt").read_text().splitlines():
        pin = line.split("#")[0].strip()
        if pin:
            assert re.search(rf"^{re.escape(pin.split(';')[0].strip())}\b", lock, re.M), pin


# A folder of a listing: its name with a slash, two or more blanks, and what it holds.
FOLDER = re.compile(r"^([\w.]+)/ {2,}\S")


def listings() -> list[list[str]]:
    """Return the folders that each listing in ARCHITECTURE.md names."""
    blocks = (ROOT / "ARCHITECTURE.md").read_text().split("```")[1::2]
    found = [[m[1] for line in block.splitlines() if (m := FOLDER.match(line))] for block in blocks]
    return [names for names in found if names]


def folders(directory: Path) -> set[str]:
    """Return the folders of a directory that git keeps."""
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=directory, check=True, capture_output=True, text=True
    )
    return {line.partition("/")[0] for line in tracked.stdout.splitlines() if "/" in line}


def test_the_listings_of_the_architecture_are_the_folders() -> None:
    top, localcloud = listings()
    assert sorted(top) == sorted(folders(ROOT))
    assert sorted(localcloud) == sorted(folders(ROOT / "localcloud"))
