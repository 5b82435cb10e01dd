"""The page about clients names the versions that the tests install."""

from __future__ import annotations

import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = ROOT / "tests" / "clients"


def test_the_page_has_the_version_of_each_client_that_is_installed() -> None:
    page = (ROOT / "docs" / "clients.md").read_text()
    pins = [
        pin
        for path in sorted((CLIENTS / "environments").glob("*.in"))
        for pin in re.findall(r"^[a-z0-9-]+==(\S+)", path.read_text(), re.MULTILINE)
    ]
    asked = json.loads((CLIENTS / "javascript" / "package.json").read_text())["dependencies"]
    named = [f"{name.removeprefix('@aws-sdk/')} {version}" for name, version in asked.items()]
    assert [] == [version for version in (*pins, *named) if version not in page]


def test_make_sets_up_each_environment() -> None:
    makefile = (ROOT / "Makefile").read_text()
    listed = re.findall(r"tests/clients/\.venv/([a-z0-9-]+)", makefile)
    there = [path.stem for path in (CLIENTS / "environments").glob("*.in")]
    assert sorted(there) == sorted(listed)


def test_the_lock_of_the_modules_of_node_is_of_their_list() -> None:
    asked = json.loads((CLIENTS / "javascript" / "package.json").read_text())["dependencies"]
    lock = json.loads((CLIENTS / "javascript" / "package-lock.json").read_text())["packages"]
    assert asked == lock[""]["dependencies"]
