"""awswrangler, s3fs and pandas' addresses of S3, unchanged."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.clients.conftest import HERE, client_of
from tests.cloud import TestCloud

pytestmark = [pytest.mark.emulator_only, pytest.mark.clients]


def test_frames_go_to_s3_and_come_back(target: TestCloud, tmp_path: Path) -> None:
    target.client("s3").create_bucket(Bucket="frames")
    logs, group = target.client("logs"), "/frames"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    now = int(time.time() * 1000)  # the client's own: it asks for what was until now
    events = [{"timestamp": now - 3 + n, "message": f"line {n}"} for n in range(3)]
    logs.put_log_events(logGroupName=group, logStreamName="s", logEvents=events)
    client = client_of("dataframes", target, tmp_path)
    program = str(HERE / "programs" / "dataframes.py")
    text = client.run("python", program, BUCKET="frames", GROUP=group)
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
        "query": ["line 0", "line 1"],
        "pandas": [True, True],
    }
    assert [] == client.refused
