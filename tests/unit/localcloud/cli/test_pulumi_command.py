"""The state of Pulumi's own engine after a kill."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud.cli.pulumi import remove_torn_attributes

pytestmark = pytest.mark.emulator_only


@pytest.fixture
def backend(tmp_path: Path) -> Path:
    """A backend of two stacks; the attributes of one are empty."""
    stacks = tmp_path / ".pulumi" / "stacks" / "lab"
    stacks.mkdir(parents=True)
    for stack, attributes in (("dev", ""), ("prd", "{}")):
        (stacks / f"{stack}.json").write_text("the state")
        (stacks / f"{stack}.json.attrs").write_text(attributes)
    return tmp_path


def files(backend: Path) -> list[str]:
    return sorted(path.name for path in (backend / ".pulumi" / "stacks" / "lab").iterdir())


def test_empty_attributes_are_removed_and_states_stay(backend: Path) -> None:
    remove_torn_attributes(backend, cancelling=False)
    assert files(backend) == ["dev.json", "prd.json", "prd.json.attrs"]


def test_the_files_of_a_running_engine_are_left_alone(backend: Path) -> None:
    lock = backend / ".pulumi" / "locks" / "organization" / "lab" / "dev" / "id.json"
    lock.parent.mkdir(parents=True)
    lock.write_text("{}")
    before = files(backend)
    remove_torn_attributes(backend, cancelling=False)
    assert before == files(backend)
    remove_torn_attributes(backend, cancelling=True)
    assert "dev.json.attrs" not in files(backend)
