"""The server as a child process, from the view of an endpoint instance's client."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.cloud import wait_for
from tests.examples import examples
from tests.unit.model.container import JOB_NAME, Server, TrainingResult, child_environment

INFERENCE = "https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html"
FORMATS = "https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html"
SETOSA, VIRGINICA = "5.1,3.5,1.4,0.2", "6.3,3.3,6.0,2.5"


@pytest.mark.aws_documented(INFERENCE)
def test_ping_answers_200(server: Server) -> None:
    assert server.request("GET", "/ping").status == 200


@pytest.mark.aws_documented(FORMATS)
def test_csv_rows_are_answered_with_one_label_per_line(server: Server) -> None:
    answer = server.invoke(f"{SETOSA}\n{VIRGINICA}\n")
    assert (answer.status, answer.body) == (200, "setosa\nvirginica\n")
    assert answer.content_type.startswith("text/csv")


@pytest.mark.parametrize(
    "body",
    [
        '{"instances": [[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6, 2.5]]}',
        "[[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6, 2.5]]",
    ],
)
def test_json_rows_are_answered_with_labels_and_probabilities(server: Server, body: str) -> None:
    answer = server.invoke(body, "application/json")
    assert answer.status == 200
    assert answer.content_type == "application/json"
    first, second = answer.json["predictions"]
    assert (first["label"], second["label"]) == ("setosa", "virginica")
    assert list(first["probabilities"]) == ["setosa", "versicolor", "virginica"]
    assert sum(first["probabilities"].values()) == pytest.approx(1, abs=1e-4)
    assert max(second["probabilities"], key=second["probabilities"].get) == "virginica"


def test_a_single_json_row_needs_no_second_pair_of_brackets(server: Server) -> None:
    answer = server.invoke(f"[{SETOSA}]", "application/json; charset=utf-8", "text/csv")
    assert (answer.status, answer.body) == (200, "setosa\n")


def test_the_response_has_a_type_that_the_client_accepts(server: Server) -> None:
    assert server.invoke(SETOSA, accept="application/json").json["predictions"]
    preferred = server.invoke(SETOSA, accept="text/csv;q=0.2, application/json")
    assert preferred.content_type == "application/json"
    assert server.invoke(SETOSA, accept="*/*").content_type.startswith("text/csv")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "no rows"),
        ("\n\n", "no rows"),
        ("1,2,3", "row 1 has 3 columns; this model takes 4 (sepal length (cm), "),
        (f"{SETOSA}\nsetosa,{SETOSA}", "row 2 has 5 columns"),
        (f"{SETOSA},1", "leave the label out"),
        ("5.1,x,1.4,0.2", "row 1, column 2 (sepal width (cm)) holds 'x', which is not a number"),
        (f"{SETOSA}\n5.1,3.5,,0.2", "row 2, column 3 (petal length (cm)) is empty"),
        ("5.1,nan,1.4,0.2", "column 2 (sepal width (cm)) holds 'nan', which is not a finite"),
        ("5.1,1e99,1.4,0.2", "too large for a 32-bit float"),
        ('"5.1,3.5', "not CSV text"),
        (b"\xff\xfe1,2", "not UTF-8 text (byte 0)"),
    ],
)
def test_a_bad_csv_body_is_answered_400_with_the_row_and_column(
    server: Server, body: str | bytes, message: str
) -> None:
    answer = server.invoke(body)
    assert answer.status == 400
    assert message in answer.message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("7", "not a list"),
        ("{}", "no 'instances'"),
        ('{"instances": []}', "no rows"),
        ('{"instances": "5.1"}', "not a list"),
        ('[[1, 2, 3, "x"]]', 'row 1, column 4 (petal width (cm)) holds "x", which is not a number'),
        ("[[1, 2, 3, true]]", "holds true"),
        ("[[1, 2, 3, null]]", "holds null"),
        ("[[1, 2, 3, NaN]]", "column 4 (petal width (cm)) holds nan, which is not a finite"),
        ("[[1, 2, 3, 1e400]]", "not a finite number"),
        (f"[[1, 2, 3, 1{'0' * 400}]]", "too large"),
        ("[[1, 2, 3, 4], 5]", "row 2 is not a list"),
        ("[[1, 2]]", "row 1 has 2 columns"),
    ],
)
def test_a_bad_json_body_is_answered_400_with_the_row_and_column(
    server: Server, body: str, message: str
) -> None:
    answer = server.invoke(body, "application/json")
    assert answer.status == 400
    assert message in answer.message


@pytest.mark.parametrize("content_type", ["image/png", "", "application/x-recordio-protobuf"])
def test_another_content_type_is_answered_415(server: Server, content_type: str) -> None:
    answer = server.invoke(SETOSA, content_type)
    assert answer.status == 415
    assert "text/csv or application/json, application/jsonlines" in answer.message


def test_an_accept_header_that_cannot_be_satisfied_is_answered_406(server: Server) -> None:
    assert server.invoke(SETOSA, accept="image/png").status == 406
    assert server.invoke(SETOSA, accept="text/csv;q=0").status == 406


def test_a_body_over_the_limit_is_answered_413(server: Server) -> None:
    answer = server.invoke(b"1,2,3,4\n" * (7 * 1024 * 1024 // 8))
    assert answer.status == 413
    assert "6291456 bytes" in answer.message


def test_a_body_just_below_the_limit_is_answered(server: Server) -> None:
    rows = 50_000
    answer = server.invoke(f"{SETOSA}\n" * rows)
    assert (answer.status, answer.body.count("setosa")) == (200, rows)


def test_other_routes_and_methods_are_refused(server: Server) -> None:
    assert server.request("GET", "/").status == 404
    assert server.request("GET", "/invocations").status == 405
    assert server.request("POST", "/ping", b"").status == 405


@given(
    body=st.binary(max_size=200) | st.text('0123456789.,-e\n[]{}"naif ', max_size=80),
    content_type=st.sampled_from(["text/csv", "application/json", "text/csv; a=b"]),
)
@settings(max_examples=examples(150))
def test_no_body_makes_the_server_fail(
    server: Server, body: str | bytes, content_type: str
) -> None:
    assert server.invoke(body, content_type).status in (200, 400)


def _answer(connection: socket.socket) -> tuple[int, bytes]:
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    with answer:
        return answer.status, answer.read()


@pytest.mark.aws_documented(INFERENCE)
def test_sigterm_drains_a_request_in_flight_and_exits_with_0(
    program: Path, iris: TrainingResult
) -> None:
    with Server(program, iris.base) as server:
        connection = socket.create_connection(("127.0.0.1", server.port), 30)
        head = "POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
        head += f"Content-Length: {len(SETOSA)}\r\n\r\n"
        # The second has come without its body when the first, sent with it, is answered.
        connection.sendall(f"{head}{SETOSA}{head}".encode())
        assert _answer(connection) == (200, b"setosa\n")
        stopped: list[int] = []
        stopper = threading.Thread(target=lambda: stopped.append(server.stop()))
        stopper.start()
        wait_for("the beginning of the end", lambda: not server.takes_connections(), 10)
        connection.sendall(SETOSA.encode())
        assert _answer(connection) == (200, b"setosa\n")
        connection.close()
        stopper.join(timeout=10)
        assert stopped == [0]
    assert "serving random-forest of training job" in server.log
    assert server.log.rstrip().endswith("stopped serving")


def test_a_model_directory_without_a_model_ends_the_server_with_a_clear_line(
    program: Path, tmp_path: Path
) -> None:
    server = Server(program, tmp_path)
    server.start()
    assert server.process.wait(timeout=30) == 1
    server.stop()
    assert "cannot serve: cannot read" in server.log
    assert "Traceback" not in server.log


def test_a_damaged_model_ends_the_server_with_a_clear_line(
    program: Path, iris: TrainingResult, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "metadata.json").write_text(json.dumps(iris.metadata))
    (tmp_path / "model" / "model.onnx").write_bytes(b"not a model")
    server = Server(program, tmp_path)
    server.start()
    assert server.process.wait(timeout=30) == 1
    server.stop()
    assert "cannot serve: model.onnx does not load" in server.log


def test_an_artifact_of_an_earlier_version_with_a_card_json_is_still_served(
    program: Path, iris: TrainingResult, tmp_path: Path
) -> None:
    directory = shutil.copytree(iris.base / "model", tmp_path / "model")
    (directory / "metadata.json").rename(directory / "card.json")
    with Server(program, tmp_path) as server:
        assert server.invoke(SETOSA).body == "setosa\n"
    assert f"serving random-forest of training job '{JOB_NAME}'" in server.log


def test_a_port_that_is_taken_ends_the_server_with_a_clear_line(
    program: Path, iris: TrainingResult
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = Server(program, iris.base, port=taken.getsockname()[1])
        server.start()
        assert server.process.wait(timeout=30) == 1
        server.stop()
    assert f"cannot listen on 127.0.0.1:{server.port}: Address already in use" in server.log
    assert "Traceback" not in server.log


def test_pipelined_requests_are_answered_in_order_and_then_the_connection_closes(
    server: Server,
) -> None:
    large = f"{SETOSA}\n" * 30_000  # answered in a thread, while the next one waits
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        for body in (SETOSA, large, VIRGINICA):
            head = "POST /invocations HTTP/1.1\r\nHost: a\r\nContent-Type: text/csv\r\n"
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
        connection.shutdown(socket.SHUT_WR)
        answered = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert [part.split(b" ", 1)[0] for part in answered.split(b"HTTP/1.1 ")[1:]] == [b"200"] * 3
    assert answered.count(b"setosa") == 30_001
    assert answered.endswith(b"connection: close\r\n\r\nvirginica\n")


def test_serving_does_not_load_scikit_learn(program: Path) -> None:
    code = "import sys, model.server; sys.exit('sklearn' in sys.modules or 'onnx' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=program, env=child_environment(), check=False
    )
    assert done.returncode == 0
