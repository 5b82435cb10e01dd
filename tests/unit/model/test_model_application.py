"""The application: media types, refusals, counters, request ids and the bounded queue."""

from __future__ import annotations

import asyncio
import copy
import io
import json
import logging
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.application import Application
from model.columns import Columns
from model.counters import Counters
from model.estimator import fit
from model.export import to_onnx_bytes
from model.hyperparameters import parse_hyperparameters
from model.messages import Request, Response
from model.onnx_predictor import OnnxPredictor
from model.predictor import Predictor, load
from model.request_rows import read_rows
from tests.examples import examples
from tests.unit.model.container import Answer, TrainingResult

SETOSA, VIRGINICA = "5.1,3.5,1.4,0.2", "6.3,3.3,6.0,2.5"


class Client:
    """Sends requests to an application without a socket.

    Attributes:
        counted: the counters at the time of the last answer.
    """

    def __init__(self, iris: TrainingResult | tuple[Predictor, Columns], **settings: Any) -> None:
        if isinstance(iris, TrainingResult):
            predictor, columns, _ = load(iris.base / "model")
        else:
            predictor, columns = iris
        self.counters = Counters()
        self.application = Application(predictor, columns, self.counters, **settings)
        self.headers: dict[str, str] = {}
        self.content = b""
        self.counted = ""

    async def send(
        self, body: bytes, headers: Mapping[str, bytes], path: str = "/invocations"
    ) -> int:
        """Send a request like a connection does; store the response and return its status."""
        answered: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def reply(request: Request, response: Response) -> None:
            if request.admitted:
                self.application.release(request)
            self.counted = self.counters.render().decode()
            answered.set_result(response)

        request = Request(reply)
        request.url = path.encode()
        request.method = b"POST" if path == "/invocations" else b"GET"
        for name in ("content-type", "accept", "x-request-id"):
            setattr(request, name.removeprefix("x-").replace("-", "_"), headers.get(name, b""))
        request.add(body)
        self.application.handle(request)
        head, _, self.content = (await answered).keep_alive_bytes.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        self.headers = dict(line.split(": ", 1) for line in lines)
        assert self.headers["content-length"] == str(len(self.content))
        return int(status.split(" ")[1])

    def invoke(
        self, body: str | bytes, content_type: str = "text/csv", accept: str = "", **extra: str
    ) -> Answer:
        data = body.encode() if isinstance(body, str) else body
        headers = {"content-type": content_type.encode(), "accept": accept.encode()}
        headers |= {
            name.replace("_", "-"): value.encode("latin-1") for name, value in extra.items()
        }
        status = asyncio.run(self.send(data, headers))
        text = self.content.decode("latin-1" if "npy" in self.headers["content-type"] else "utf-8")
        return Answer(status, self.headers["content-type"], text)


@pytest.fixture(scope="module")
def client(iris: TrainingResult) -> Client:
    return Client(iris)


def array_of(content: bytes) -> list[Any]:
    found: list[Any] = np.load(io.BytesIO(content), allow_pickle=False).tolist()
    return found


def test_a_row_of_known_types_takes_the_fast_path_to_the_same_answer(client: Client) -> None:
    first, second = client.invoke(SETOSA), client.invoke(SETOSA)
    assert first == second == Answer(200, "text/csv; charset=utf-8", "setosa\n")
    assert client.invoke("1,2,3").status == 400


def test_probabilities_are_returned_when_the_client_or_the_setting_asks_for_them(
    client: Client, iris: TrainingResult
) -> None:
    wanted = client.invoke(SETOSA, accept="text/csv;output=probabilities")
    shares = [float(share) for share in wanted.body.split(",")]
    assert sum(shares) == pytest.approx(1, abs=1e-4)
    assert Client(iris, output="probabilities").invoke(SETOSA).body == wanted.body
    assert client.invoke(SETOSA, accept="text/csv;output=shares").status == 406


def test_arrays_and_json_lines_are_read_and_written(client: Client) -> None:
    out = io.BytesIO()
    rows = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]])
    np.lib.format.write_array(out, rows)
    assert client.invoke(out.getvalue(), "application/x-npy").status == 200
    assert array_of(client.content) == ["setosa", "virginica"]
    client.invoke(out.getvalue(), "application/x-npy", "application/x-npy;output=probabilities")
    assert np.shape(array_of(client.content)) == (2, 3)
    lines = client.invoke(f"[{SETOSA}]\n[{VIRGINICA}]\n", "application/jsonlines")
    assert [json.loads(line)["label"] for line in lines.body.splitlines()] == [
        "setosa",
        "virginica",
    ]


def linear(algorithm: str, *, accept_missing: bool = False) -> tuple[Predictor, Columns]:
    """Return a linear model of the columns x and y, of which y has a small scale."""
    chance = np.random.default_rng(0)
    rows = (chance.normal(size=(60, 2)) * (1, 1e-4)).astype(np.float32)
    truth = np.arange(60) % 3
    estimator = fit(parse_hyperparameters({"algorithm": algorithm}), rows, truth)
    classes = ("a", "b", "c") if algorithm == "logistic-regression" else ()
    columns = Columns(Columns.of_numbers(("x", "y")).columns, accept_missing)
    return OnnxPredictor(to_onnx_bytes(estimator, 2), 2, classes), columns


def bodies(rows: list[list[str]]) -> list[tuple[str | bytes, str]]:
    """Return rows of numbers in each media type."""
    lists = [f"[{','.join(row)}]" for row in rows]
    out = io.BytesIO()
    np.lib.format.write_array(out, np.array(rows, np.float64))
    return [
        ("\n".join(map(",".join, rows)), "text/csv"),
        (f'{{"instances": [{",".join(lists)}]}}', "application/json"),
        ("\n".join(lists), "application/jsonlines"),
        (out.getvalue(), "application/x-npy"),
    ]


@pytest.mark.parametrize("accept_missing", [False, True], ids=["fast", "strict"])
@pytest.mark.parametrize("algorithm", ["logistic-regression", "linear-regression"])
@pytest.mark.parametrize("rows_before", [0, 2, 200])
@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["1", "1e39"], r"column 2 \(y\) holds '?1e\+?39'?, which is (too large|not a finite)"),
        (["1", "-1e39"], r"column 2 \(y\) holds '?-1e\+?39'?, which is (too large|not a finite)"),
        # The first number is larger, but only the second one overflows.
        (["1e38", "2e37"], r"column 2 \(y\) holds 2e\+37, which is too large for this model: "),
        (["0", "-3e38"], r"column 2 \(y\) holds -3e\+38, which is too large for this model: "),
    ],
)
def test_a_number_that_overflows_is_refused_with_its_column_in_every_media_type(
    algorithm: str, rows_before: int, cells: list[str], reason: str, accept_missing: bool
) -> None:
    client = Client(linear(algorithm, accept_missing=accept_missing))
    for body, media_type in bodies([["1", "0"]] * rows_before + [cells]):
        for accept in ("text/csv", "application/json", "application/x-npy"):
            refused = client.invoke(body, media_type, accept)
            assert refused.status == 400, (media_type, accept, refused.body)
            assert re.match(rf"row {rows_before + 1}, {reason}", refused.message), refused.message


def test_a_row_that_overflows_does_not_fail_those_of_its_batch() -> None:
    client = Client(linear("logistic-regression"), max_batch_size=3)
    assert client.invoke("1,0").status == 200  # the fast path begins with the second request
    answers: list[bytes] = []

    async def main() -> None:
        for body in (b"1,0", b"0,-3e38", b"2,0"):
            request = Request(lambda _, response: answers.append(response.keep_alive_bytes))
            request.url, request.method = b"/invocations", b"POST"
            request.content_type = b"text/csv"
            request.add(body)
            client.application.handle(request)
        assert len(answers) == 3

    asyncio.run(main())
    assert sorted(int(answer.split()[1]) for answer in answers) == [200, 200, 400]


def test_the_largest_32_bit_float_is_read_as_it_is_written() -> None:
    columns = Columns.of_numbers(("x", "y"))
    for shown in ("3.4028235e38", "3.4028234663852886e38", "-3.4028235e38"):
        for body, media_type in bodies([[shown, "0"]]):
            data = body.encode() if isinstance(body, str) else body
            rows = read_rows(data, media_type, columns)
            assert np.abs(rows[0, 0]) == np.finfo(np.float32).max


def test_a_client_finds_its_request_id_in_the_answer_and_in_the_log(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.invoke(SETOSA, x_request_id="mine-1").status == 200
    assert client.headers["x-request-id"] == "mine-1"
    with caplog.at_level(logging.INFO, "model.invocations"):
        assert client.invoke("x", x_request_id="mine-2").status == 400
        assert client.invoke("x", x_request_id="né\r\nsty").status == 400
    assert client.headers["x-request-id"].isascii()
    entries = [json.loads(record.message) for record in caplog.records]
    assert entries[0]["request_id"] == "mine-2"
    assert (entries[0]["status"], entries[0]["error"]) == (400, "BadPayload")


def test_every_invocation_is_logged_with_log_all(
    iris: TrainingResult, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(iris, log_all=True)
    with caplog.at_level(logging.INFO, "model.invocations"):
        for body in (SETOSA, SETOSA, f"{SETOSA}\n{SETOSA}"):
            client.invoke(body)
        client.invoke("x")
        client.invoke(SETOSA)
        client.application.flush()
    lines = [json.loads(line) for record in caplog.records for line in record.message.splitlines()]
    assert [line.get("rows", line.get("error")) for line in lines] == [1, 1, 2, "BadPayload", 1]
    assert len({line["request_id"] for line in lines}) == 5


def test_the_counters_report_requests_rows_and_time(iris: TrainingResult) -> None:
    client = Client(iris)
    for body in (SETOSA, SETOSA, f"{SETOSA}\n{SETOSA}\n{SETOSA}", "x"):
        client.invoke(body)
    assert asyncio.run(client.send(b"", {}, "/metrics")) == 200
    text = client.content.decode()
    assert 'model_requests_total{status="200"} 3\n' in text
    assert 'model_requests_total{status="400"} 1\n' in text
    assert 'model_batch_rows_bucket{le="1"} 2\n' in text
    assert 'model_batch_rows_bucket{le="+Inf"} 3\n' in text
    assert "model_batch_rows_sum 5\n" in text
    assert "model_latency_seconds_count 3\n" in text


def test_a_request_is_counted_before_it_is_answered(iris: TrainingResult) -> None:
    client = Client(iris)
    for number, body in enumerate((SETOSA, f"{SETOSA}\n{SETOSA}", "x"), 1):
        client.invoke(body)
        totals = [
            int(line.split()[-1])
            for line in client.counted.splitlines()
            if line.startswith("model_requests_total{")
        ]
        assert sum(totals) == number


def test_rows_of_one_batch_are_each_answered_with_their_own_label(
    iris: TrainingResult,
) -> None:
    client = Client(iris)
    sizes: list[int] = []
    predictor = client.application._predictor
    run_buffered = predictor.run_buffered
    predictor.run_buffered = lambda rows: sizes.append(rows) or run_buffered(rows)  # type: ignore
    rows = [SETOSA, VIRGINICA, "1,2", "5.1,1e39,1.4,0.2", VIRGINICA, SETOSA, "+5.1,3.5,1.4,.2"]
    expected = [b"setosa\n", b"virginica\n", b"", b"", b"virginica\n", b"setosa\n", b"setosa\n"]
    headers = {"content-type": b"text/csv", "accept": b""}

    async def one(row: str) -> bytes:
        other = copy.copy(client)  # it stores its own response
        return b"" if await other.send(row.encode(), headers) == 400 else other.content

    async def together(count: int) -> list[bytes]:
        return await asyncio.gather(*(one(rows[at % len(rows)]) for at in range(count)))

    client.invoke(SETOSA)
    assert asyncio.run(together(7)) == expected
    assert sizes == [4]
    assert asyncio.run(together(140)) == expected * 20
    assert max(sizes) == 64
    sizes.clear()
    client.invoke(SETOSA)
    assert sizes == [1]


def test_a_batch_that_fails_answers_500_to_all_its_requests_and_the_next_one_works(
    iris: TrainingResult, caplog: pytest.LogCaptureFixture
) -> None:
    client = Client(iris)
    client.invoke(SETOSA)
    predictor = client.application._predictor
    run_buffered = predictor.run_buffered

    def fail(rows: int) -> list[int]:
        raise RuntimeError(f"{rows} rows")

    async def together() -> list[int]:
        headers = {"content-type": b"text/csv", "accept": b""}
        return await asyncio.gather(*(client.send(SETOSA.encode(), headers) for _ in range(3)))

    predictor.run_buffered = fail  # type: ignore[method-assign]
    assert asyncio.run(together()) == [500, 500, 500]
    assert json.loads(client.content)["error"]["code"] == "InternalFailure"
    assert "RuntimeError: 3 rows" in caplog.text
    predictor.run_buffered = run_buffered  # type: ignore[method-assign]
    assert client.invoke(SETOSA).status == 200


def test_a_method_that_is_not_allowed_is_answered_with_the_allowed_ones(client: Client) -> None:
    assert asyncio.run(client.send(b"", {}, "/invocations?a=b")) == 405
    assert client.headers["allow"] == "POST"
    assert json.loads(client.content)["error"]["message"] == "/invocations takes POST"


def test_the_counters_report_the_total_of_all_workers(iris: TrainingResult) -> None:
    counters = Counters(2)
    for worker in (0, 1):
        counters.set_worker(worker)
        counters.answered(1_000, 4)
    assert b"model_batch_rows_sum 8\n" in counters.render()


@pytest.mark.parametrize("rows", [6_000, 30_000])  # answered from the queue, and in a thread
def test_bodies_over_the_limit_are_answered_503_and_the_others_normally(
    iris: TrainingResult, rows: int
) -> None:
    client = Client(iris, max_waiting=3)
    large = (SETOSA + "\n").encode() * rows
    headers = {"content-type": b"text/csv"}

    async def twice() -> list[list[int]]:
        return [
            sorted(await asyncio.gather(*(client.send(large, headers) for _ in range(5))))
            for _ in range(2)
        ]

    assert asyncio.run(twice()) == [[200, 200, 200, 503, 503]] * 2
    assert client.invoke(SETOSA).status == 200


def test_a_503_says_when_to_retry(iris: TrainingResult) -> None:
    client = Client(iris, max_waiting=0)
    assert client.invoke(f"{SETOSA}\n" * 6_000).status == 503
    assert client.headers["retry-after"] == "1"
    assert asyncio.run(client.send(b"", {}, "/ping")) == 200


BODIES = (
    st.binary(max_size=120)
    | st.text('0123456789.,-+e\n[]{}"naif :', max_size=60).map(str.encode)
    | st.lists(st.floats() | st.integers() | st.none() | st.text(max_size=3), max_size=6).map(
        lambda cells: json.dumps({"instances": [cells]}).encode()
    )
    | st.dictionaries(st.sampled_from(["columns", "data", "features", "instances"]), st.text()).map(
        lambda document: json.dumps(document).encode()
    )
)
TYPES = st.sampled_from(
    ["text/csv", "application/json", "application/jsonlines", "application/x-npy", "x", ""]
)


@given(BODIES, TYPES, st.sampled_from(["", "text/csv", "*/*;q=0", "application/x-npy", ";=,"]))
@settings(max_examples=examples(300))
def test_no_request_is_answered_500(
    client: Client, body: bytes, content_type: str, accept: str
) -> None:
    assert client.invoke(body, content_type, accept).status in (200, 400, 406, 415)
