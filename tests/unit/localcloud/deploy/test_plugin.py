"""The resource plug-in's values, and the endpoints that it accepts."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
from google.protobuf import struct_pb2
from hypothesis import given
from hypothesis import strategies as st

from localcloud.deploy.archives import content_of
from localcloud.deploy.difference import UNKNOWN
from localcloud.deploy.errors import DeployError
from localcloud.deploy.plugin import endpoint_of
from localcloud.deploy.plugin_values import is_unknown, read, write
from tests.cloud import wait_for

pytestmark = pytest.mark.emulator_only
SIGNATURE = "4dabf18193072939515e22adb298388d"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"
SECRET = "1b47061264138c4ac30d75fd1eb44270"


def struct(**values: object) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(values)
    return made


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8), json_values, max_size=4))
def test_plain_values_go_there_and_back(values: dict[str, object]) -> None:
    assert values == read(struct(**values), content=True)
    back = {key: value for key, value in values.items() if value is not None}
    assert back == read(write(values), content=False)


def test_an_asset_has_its_content_or_its_hash() -> None:
    inner = {SIGNATURE: ASSET, "text": "hello", "hash": "abc"}
    archive = {SIGNATURE: ARCHIVE, "assets": {"a.txt": inner}, "hash": "def"}
    given = struct(source=inner, code=archive)
    with_content = read(given, content=True)
    assert content_of(with_content["source"]) == b"hello"
    assert content_of(with_content["code"]).startswith(b"PK")
    hashes = {"source": {"sha256": "abc"}, "code": {"sha256": "def"}}
    assert hashes == read(given, content=False)
    # What the state has: no content.
    stored = struct(source={SIGNATURE: ASSET, "hash": "abc"})
    assert read(stored, content=True) == {"source": {"sha256": "abc"}}


def test_an_asset_goes_back_as_it_came() -> None:
    asset = {SIGNATURE: ASSET, "text": "hello", "hash": "abc"}
    given = struct(source=asset, key="k")
    written = write({"source": object(), "key": "k", "etag": "e"}, given)
    assert written.fields["source"] == given.fields["source"]
    assert written.fields["etag"].string_value == "e"


def test_secrets_and_unknown_values_are_seen() -> None:
    given = struct(word={SIGNATURE: SECRET, "value": "s"}, arn=UNKNOWN, list=[UNKNOWN])
    found = read(given, content=False)
    assert found["word"] == "s"
    assert (is_unknown(found["arn"]), is_unknown(found["list"])) == (True, True)
    assert not is_unknown({"a": ["b"]})


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:4566", "http://localhost:4566", "http://[::1]:4566"]
)
def test_the_plug_in_works_on_this_machine(url: str) -> None:
    assert url == endpoint_of({"AWS_ENDPOINT_URL": url})


def test_the_plug_in_ends_with_an_engine_that_is_killed() -> None:
    start = (
        "import subprocess, sys\n"
        "plugin = subprocess.Popen([sys.executable, '-m', 'localcloud.deploy.plugin'],\n"
        "                          stdout=subprocess.PIPE, text=True)\n"
        "print(plugin.stdout.readline(), flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", start],
        env={**os.environ, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as engine:
        assert engine.stdout is not None
        port = int(engine.stdout.readline())
        assert _serves(port)
        engine.kill()
    wait_for("the end of the plug-in", lambda: not _serves(port), 20)


def _serves(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("url", ["", "https://s3.amazonaws.com", "http://10.0.0.1:1", "nonsense"])
def test_the_plug_in_never_reaches_another_machine(url: str) -> None:
    with pytest.raises(DeployError, match="this machine only"):
        endpoint_of({"AWS_ENDPOINT_URL": url})
