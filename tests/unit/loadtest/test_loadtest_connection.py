"""The user's connection against servers that answer in every way, over real sockets."""

from __future__ import annotations

import datetime
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from loadtest import connection as module
from loadtest.connection import Answer, Connection, NoAnswerError, Server
from loadtest.errors import UsageError

REQUEST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n1,2"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Scripted:
    """A server that answers its n-th request with the n-th entry of a script.

    An entry is bytes, a tuple of pieces, or None, which closes the connection. `CLOSE` behind an
    entry closes the connection after it.

    Attributes:
        connections: number of accepted connections.
        requests: the requests that it received.
        has_closed: set once a connection was closed.
    """

    def __init__(self, *script: object, tls: ssl.SSLContext | None = None) -> None:
        self._script = list(script)
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.connections = 0
        self.requests: list[bytes] = []
        self.has_closed = threading.Event()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def serve(self) -> None:
        while True:
            try:
                connected, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            with suppress(OSError):
                if self._tls is not None:
                    connected = self._tls.wrap_socket(connected, server_side=True)
                with closing(connected):
                    self._answer(connected)
                self.has_closed.set()

    def _answer(self, connected: socket.socket) -> None:
        while received := connected.recv(65_536):
            self.requests.append(received)
            answer = self._script.pop(0)
            if answer is None:
                return
            for piece in answer if isinstance(answer, tuple) else (answer,):
                if isinstance(piece, float):
                    time.sleep(piece)
                elif piece is CLOSE:
                    return
                elif piece is RESET:
                    connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, bytes([1, *[0] * 7]))
                    return
                else:
                    connected.sendall(piece)

    def close(self) -> None:
        # A thread that waits in accept() does not notice a close.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


# No bytes, which an answer could have, too.
CLOSE, RESET = object(), object()


@pytest.fixture(autouse=True)
def _every_kept_connection_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IDLE_SECONDS", 0.0)


@contextmanager
def scripted(*script: object, tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    server = Scripted(*script, tls=tls)
    threading.Thread(target=server.serve, daemon=True).start()
    try:
        yield server
    finally:
        server.close()


@contextmanager
def connected(
    server: Scripted, scheme: str = "http", host: str = "127.0.0.1"
) -> Iterator[Connection]:
    with closing(Connection(Server(f"{scheme}://{host}:{server.port}"))) as connection:
        yield connection


def _ask(*script: object, times: int = 1) -> tuple[list[Answer], Scripted]:
    with scripted(*script) as server, connected(server) as connection:
        return [connection.exchange(REQUEST) for _ in range(times)], server


def test_a_connection_is_kept() -> None:
    answers, server = _ask(OK, OK, OK, times=3)
    assert answers == [Answer(200, b"ok")] * 3
    assert server.connections == 1
    assert server.requests == [REQUEST] * 3


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWERS: dict[str, tuple[object, Answer]] = {
    "chunked": (CHUNKED + b"1\r\no\r\n1;x=y\r\nk\r\n0\r\n\r\n", Answer(200, b"ok")),
    "with a trailer": (CHUNKED + b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n", Answer(200, b"ok")),
    "announced": (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, Answer(200, b"ok")),
    "empty": (b"HTTP/1.1 204 No Content\r\n\r\n", Answer(204, b"")),
    "an error": (b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy", Answer(503, b"busy")),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_is_whole_and_the_next_one_is_its_own(kind: str) -> None:
    sent, answer = ANSWERS[kind]
    assert isinstance(sent, bytes)
    answers, server = _ask(tuple(bytes([byte]) for byte in sent), OK, times=2)
    assert answers == [answer, Answer(200, b"ok")]
    assert server.connections == 1


ENDS: dict[str, object] = {
    "only the connection's end ends it": (b"HTTP/1.1 200 OK\r\n\r\no", b"k", CLOSE),
    "HTTP/1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", CLOSE),
    "the server announces the end": (OK.replace(b"Con", b"Connection: close\r\nCon", 1), CLOSE),
    "the server announces the end and leaves it to us": (
        OK.replace(b"Con", b"Connection: close\r\nCon", 1)
    ),
    "more than was asked for": OK + OK,
}


@pytest.mark.parametrize("kind", ENDS)
def test_a_connection_that_ends_is_not_used_again(kind: str) -> None:
    answers, server = _ask(ENDS[kind], OK, times=2)
    assert answers == [Answer(200, b"ok")] * 2
    assert server.connections == 2
    assert server.requests == [REQUEST] * 2


def test_a_request_goes_on_a_new_connection_if_the_kept_one_was_closed() -> None:
    with scripted((OK, CLOSE), OK) as server, connected(server) as connection:
        assert connection.exchange(REQUEST).text == "ok"
        server.has_closed.wait(10)
        assert connection.exchange(REQUEST).text == "ok"
    assert server.connections == 2
    assert server.requests == [REQUEST] * 2


def test_a_request_of_which_nothing_could_be_sent_goes_on_a_new_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_IDLE_SECONDS", 3600.0)  # so the end is noticed by the sending
    with scripted((OK, RESET), OK) as server, connected(server) as connection:
        connection.exchange(REQUEST)
        server.has_closed.wait(10)
        assert connection.exchange(REQUEST).text == "ok"
    assert server.connections == 2
    assert server.requests == [REQUEST] * 2


def test_a_request_that_was_sent_and_not_answered_is_not_repeated() -> None:
    with scripted(OK, None, OK) as server, connected(server) as connection:
        connection.exchange(REQUEST)
        with pytest.raises(NoAnswerError, match=r"closed before the answer was complete|reset"):
            connection.exchange(REQUEST)
        assert server.requests == [REQUEST] * 2
        assert connection.exchange(REQUEST).text == "ok"
    assert server.connections == 2


BROKEN: dict[str, tuple[object, str]] = {
    "cut off": (
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", CLOSE),
        "before the answer was",
    ),
    "a chunk cut off": ((CHUNKED + b"2\r\no", CLOSE), "before the answer was complete"),
    "a head cut off": ((b"HTTP/1.1 200 OK\r\nContent-Le", CLOSE), "before the answer was complete"),
    "not HTTP": (b"hello there\r\n\r\n", "not an HTTP answer: "),
    "two lengths": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "not an HTTP answer: ",
    ),
    "too large": (b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + bytes(9000), "over 4,096"),
    "an endless head": (
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 2000,
        "an answer of over 4,096 bytes",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_answer_that_is_none_is_a_failure_and_the_next_request_is_served(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ANSWER_BYTES", 4096)
    answer, reason = BROKEN[kind]
    with scripted(answer, OK) as server, connected(server) as connection:
        with pytest.raises(NoAnswerError, match=reason):
            connection.exchange(REQUEST)
        assert connection.exchange(REQUEST).text == "ok"
    assert server.connections == 2


@pytest.mark.parametrize("answer", [(3.0, OK), tuple(x for b in OK for x in (bytes([b]), 0.1))])
def test_an_answer_that_takes_too_long_is_a_failure(
    answer: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(module, "_WATCH_SECONDS", 0.05)
    late = pytest.raises(NoAnswerError, match=r"no complete answer within 0\.3 s")
    with scripted(answer) as server, connected(server) as connection, late:
        connection.exchange(REQUEST)


def test_a_server_that_is_not_there_is_a_failure() -> None:
    with scripted() as server:
        port = server.port
    with pytest.raises(NoAnswerError, match="refused"):
        Connection(Server(f"http://127.0.0.1:{port}")).exchange(REQUEST)


@given(
    st.lists(st.binary(min_size=1, max_size=50), max_size=6),
    st.booleans(),
    st.lists(st.integers(1, 30), min_size=1, max_size=20),
)
def test_an_answer_may_arrive_in_any_pieces(
    parts: list[bytes], chunked: bool, lengths: list[int]
) -> None:
    body = b"".join(parts)
    if chunked:
        sent = CHUNKED + b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        sent += b"0\r\n\r\n"
    else:
        sent = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    pieces: list[bytes] = []
    at = 0
    while at < len(sent):
        length = lengths[len(pieces) % len(lengths)]
        pieces.append(sent[at : at + length])
        at += length
    answers, _ = _ask(tuple(pieces), OK, times=2)
    assert answers == [Answer(200, body), Answer(200, b"ok")]


# --- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ssl.SSLContext]:
    """The certificate of a server on 127.0.0.1, which signs itself, and the server's context."""
    directory = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    bundle, private = directory / "bundle.pem", directory / "key.pem"
    bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle, private)
    return bundle, context


def test_tls_is_kept_and_verified(
    authority: tuple[Path, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, context = authority
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    script = (OK, OK, (OK, CLOSE), OK)
    with (
        scripted(*script, tls=context) as server,
        connected(server, "https", "localhost") as connection,
    ):
        for _ in range(3):
            assert connection.exchange(REQUEST).text == "ok"
        assert server.connections == 1
        server.has_closed.wait(10)
        assert connection.exchange(REQUEST).text == "ok"
    assert server.connections == 2
    assert server.requests == [REQUEST] * 4


@pytest.mark.parametrize(
    ("host", "trusted", "reason"),
    [
        ("localhost", False, "certificate verify failed"),
        ("127.0.0.1", True, "IP address mismatch"),
    ],
)
def test_a_server_that_is_not_trusted_gets_no_request(
    authority: tuple[Path, ssl.SSLContext],
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    trusted: bool,
    reason: str,
) -> None:
    bundle, context = authority
    if trusted:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    else:
        monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    with scripted(OK, tls=context) as server, connected(server, "https", host) as connection:
        with pytest.raises(NoAnswerError, match=reason):
            connection.exchange(REQUEST)
        assert server.requests == []


def test_a_tls_server_that_says_nothing_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 0.3)
    late = pytest.raises(NoAnswerError, match=r"no connection to 127\.0\.0\.1:\d+ within 0\.3 s")
    with scripted((3.0, CLOSE)) as server, connected(server, "https") as connection, late:
        connection.exchange(REQUEST)


# --- URLs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://runtime.sagemaker.us-east-1.amazonaws.com", None),
        ("http://127.0.0.1:4566/", "http://127.0.0.1:4566"),
        ("https://h:443", "https://h"),
        ("http://h:80/x", "http://h"),
        ("http://user:pass@[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_the_host_is_what_a_signature_has(url: str, base: str | None) -> None:
    assert Server(url).base == (base or url)


@pytest.mark.parametrize("url", ["", "ftp://h", "http://", "h:80", "http://h:99999", "http://[::1"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="is no URL of a service"):
        Server(url)


def test_a_bundle_that_cannot_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "none.pem"))
    with pytest.raises(UsageError, match=r"AWS_CA_BUNDLE is '.*none.pem', which cannot be read"):
        Server("https://localhost")
