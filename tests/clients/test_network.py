"""The network of the clients is this machine, in every process that they start."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.clients.conftest import Client

pytestmark = [pytest.mark.emulator_only, pytest.mark.clients]

_PYTHON = """
import socket, subprocess, sys, urllib.request
def refused(call):
    try:
        call()
    except OSError:
        return
    raise SystemExit("a connection left this machine")
refused(lambda: urllib.request.urlopen("https://sts.us-east-1.amazonaws.com"))
refused(lambda: socket.create_connection(("169.254.169.254", 80), timeout=1))
code = socket.socket().connect_ex(("192.0.2.1", 80))
assert code, "a connection left this machine"
assert socket.getaddrinfo("a.s3.localhost.localstack.cloud", 80)[0][4][0] == "127.0.0.1"
if len(sys.argv) == 1:
    subprocess.run([sys.executable, sys.argv[0], "child"], check=True)
"""
_NODE = """
const http = require("node:http");
const net = require("node:net");
const attempt = (options) => new Promise((resolve, reject) => {
  net.connect(options, () => reject(new Error("a connection left this machine")))
    .on("error", resolve);
});
await attempt({ host: "sts.us-east-1.amazonaws.com", port: 443 });
await attempt({ host: "192.0.2.1", port: 80 });
const url = process.env.AWS_ENDPOINT_URL.replace("127.0.0.1", "a.s3.localhost.localstack.cloud");
await new Promise((resolve) => http.get(`${url}/`, (answer) => resolve(answer.resume())));
"""


def test_python_and_its_children_reach_this_machine_only(commands: Client, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(_PYTHON)
    commands.run("python", str(program))
    tried = ["sts.us-east-1.amazonaws.com", "169.254.169.254", "192.0.2.1"]
    assert tried * 2 == commands.refused


def test_node_reaches_this_machine_only(commands: Client, tmp_path: Path) -> None:
    program = tmp_path / "program.mjs"
    required = 'import { createRequire } from "node:module";'
    program.write_text(f"{required}\nconst require = createRequire(import.meta.url);\n{_NODE}")
    commands.run("node", str(program))
    assert ["sts.us-east-1.amazonaws.com", "192.0.2.1"] == commands.refused
