"""awswrangler, s3fs and pandas' addresses of S3, unchanged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.clients.conftest import HERE, client_of
from tests.cloud import TestCloud

pytestmark = [pytest.mark.emulator_only, pytest.mark.clients]


def test_frames_go_to_s3_and_come_back(target: TestCloud, tmp_path: Path) -> None:
    target.client("s3").create_bucket(Bucket="frames")
    client = client_of("dataframes", target, tmp_path)
    text = client.run("python", str(HERE / "programs" / "dataframes.py"), BUCKET="frames")
    found = json.loads(text.splitlines()[-1])
    types = {"x": "double", "label": "string"}
    assert found == {
        "wrangler": [True, True, True, True, 3, 3, True, 27, False, types, 3, True],
        "left": ["s3://frames/copies/a.csv"],
        "s3fs": [
            [11],
            12 * 5 * 1024 * 1024,
            [f"frames/files/{name}" for name in ("a", "deep", "large", "ü+c")],
            ["frames/files/deep/b", "frames/files/deep/er/a"],
            ["frames/files/a", "frames/files/deep/er/a"],
            "ü+c",
            "0000",
            [True, False],
            True,
            "file",
        ],
        "attributes": ["ml", "text/csv"],
        "error": "FileNotFoundError",
        "bucket error": "FileNotFoundError",
        "pandas": [True, True],
    }
    assert [] == client.refused
