"""The page's routes: its files and their headers, and who may write through it."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from loadtest.local_page import list_on_page
from loadtest.summary import Summary
from localcloud.page.changes import SECTIONS
from localcloud.page.routes import OPERATIONS
from tests.archives import zip_of
from tests.cloud import ROOT, TestCloud, wait_for
from tests.pipelines import BUCKET, Pipelines, approval_action, prepare

pytestmark = pytest.mark.emulator_only

STATIC = ROOT / "localcloud" / "page" / "static"
FILES = sorted(path.name for path in STATIC.iterdir() if path.suffix in (".js", ".css", ".svg"))
BROWSER = {"Accept": "text/html,application/xhtml+xml", "Sec-Fetch-Site": "none"}
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=1/20260101/us-east-1/s3/aws4_request"}
MARK = {"X-Localcloud-Page": "1"}


def ask(
    cloud: TestCloud,
    method: str,
    path: str,
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
) -> tuple[int, dict[str, str], bytes]:
    """Send a request; return status, headers in lower case and body."""
    connection = http.client.HTTPConnection(urlsplit(cloud.url).netloc, timeout=20)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        found = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, found, answer.read()
    finally:
        connection.close()


@pytest.fixture
def waiting(cloud: TestCloud) -> Iterator[tuple[str, dict[str, str]]]:
    """A pipeline with a pending approval, and the parameters that answer it."""
    prepare(cloud)
    made = Pipelines(cloud.client("codepipeline"))
    name = made.make([approval_action()])

    def token() -> str | None:
        found = json.loads(cloud.get("/_localcloud/overview")[1])["approvals"]
        return next((one["token"] for one in found if one["pipeline"] == name), None)

    yield (
        name,
        {
            "pipelineName": name,
            "stageName": "Stage1",
            "actionName": "Approve",
            "token": wait_for("the approval", token),
        },
    )
    made.client.delete_pipeline(name=name)


def test_a_browser_at_the_address_gets_the_page(cloud: TestCloud) -> None:
    status, headers, _ = ask(cloud, "GET", "/", BROWSER)
    assert (status, headers["location"]) == (302, "/_localcloud/")
    status, headers, body = ask(cloud, "GET", "/_localcloud/", BROWSER)
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert b"<lab-pipeline" in body


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "*/*"},
        {"Accept": "application/xml"},
        BROWSER | SIGNED,
        BROWSER | {"Host": "bucket.localhost"},
    ],
)
def test_a_client_of_s3_is_not_sent_to_the_page(cloud: TestCloud, headers: dict[str, str]) -> None:
    status, found, _ = ask(cloud, "GET", "/", headers)
    assert status != 302
    assert "location" not in found


def test_the_buckets_are_listed_as_before(cloud: TestCloud) -> None:
    cloud.client("s3").create_bucket(Bucket="page-bucket")
    assert "page-bucket" in [b["Name"] for b in cloud.client("s3").list_buckets()["Buckets"]]


@pytest.mark.parametrize(
    "path", ["/_localcloud/", "/_localcloud/page/main.js", "/_localcloud/overview"]
)
def test_nothing_of_another_origin_is_loaded_and_nobody_may_frame_it(
    cloud: TestCloud, path: str
) -> None:
    _, headers, _ = ask(cloud, "GET", path)
    assert headers["content-security-policy"].startswith("default-src 'self';")
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_served_once_until_it_changes(cloud: TestCloud, name: str) -> None:
    status, headers, body = ask(cloud, "GET", f"/_localcloud/page/{name}")
    assert (status, body) == (200, (STATIC / name).read_bytes())
    again = ask(cloud, "GET", f"/_localcloud/page/{name}", {"If-None-Match": headers["etag"]})
    assert (again[0], again[2]) == (304, b"")


@pytest.mark.parametrize(
    "name",
    ["../routes.py", "%2e%2e/routes.py", "types.d.ts", "no-such.js", "", "MAIN.JS", "a/b.js"],
)
def test_nothing_else_is_served(cloud: TestCloud, name: str) -> None:
    assert ask(cloud, "GET", f"/_localcloud/page/{name}")[0] == 404


def test_no_file_of_the_page_names_another_host_or_makes_markup_of_text() -> None:
    for path in [*STATIC.glob("*.js"), STATIC / "index.html", STATIC / "style.css"]:
        text = path.read_text()
        hosts = set(re.findall(r"https?://[\w.-]+", text)) - {"http://www.w3.org"}
        assert hosts == set(), path.name
        assert not re.search(r"(inner|outer|adjacent)HTML|document\.write|eval\(", text, re.I)
        inline = r"<script(?! type=\"module\" src=)|style=\"| on\w+=\""
        assert not re.search(inline, text), path.name


def test_the_page_shows_the_sections_that_there_are() -> None:
    listed = re.search(r"SECTIONS = [^\[]*\[([^\]]*)\]", (STATIC / "store.js").read_text())
    assert listed is not None
    assert tuple(re.findall(r'"(\w+)"', listed[1])) == SECTIONS


def test_the_page_calls_only_operations_that_are_allowed() -> None:
    called = set()
    for path in STATIC.glob("*.js"):
        text = path.read_text()
        for service, rest in re.findall(r'call\("(\w+)", ([^{,]*)', text):
            called |= {(service, name) for name in re.findall(r'"([A-Z]\w+)"', rest)}
    assert called == {(s, n) for s, (_, names) in OPERATIONS.items() for n in names}


def test_the_page_answers_an_approval_by_aws_own_operation(
    cloud: TestCloud, waiting: tuple[str, dict[str, str]]
) -> None:
    name, parameters = waiting
    body = json.dumps(parameters | {"result": {"status": "Approved", "summary": "seen"}}).encode()
    path = "/_localcloud/call/codepipeline/PutApprovalResult"
    headers = MARK | {"Origin": cloud.url, "Sec-Fetch-Site": "same-origin"}
    status, _, found = ask(cloud, "POST", path, headers, body)
    assert status == 200, found
    made = cloud.client("codepipeline")

    def succeeded() -> bool:
        (run,) = made.list_pipeline_executions(pipelineName=name)["pipelineExecutionSummaries"]
        return bool(run["status"] == "Succeeded")

    wait_for("the pipeline", succeeded)
    status, _, found = ask(cloud, "POST", path, headers, body)
    assert status == 400
    assert json.loads(found)["__type"] == "ApprovalAlreadyCompletedException"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 403),
        ({"Origin": "http://127.0.0.1:8000"}, 403),
        (MARK | {"Sec-Fetch-Site": "same-site", "Origin": "http://127.0.0.1:8000"}, 403),
        (MARK | {"Sec-Fetch-Site": "cross-site"}, 403),
        (MARK | {"Origin": "http://evil.example"}, 403),
        (MARK | {"Origin": "null"}, 403),
        (MARK | {"Host": "evil.example"}, 403),
        (MARK | {"Sec-Fetch-Site": "same-origin"}, 404),
        ({}, 404),  # a program
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/_localcloud/call/codepipeline/Nothing"),
        ("PUT", "/_localcloud/nothing"),
        ("DELETE", "/_localcloud/nothing"),
    ],
)
def test_a_browser_writes_from_the_page_only(
    cloud: TestCloud, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    assert ask(cloud, method, path, headers)[0] == status


@pytest.mark.parametrize(
    "path", ["reset", "shutdown", "clock?advance_seconds=60", "images", "snapshots/load?name=a"]
)
def test_another_page_of_this_machine_can_neither_reset_nor_stop_it(
    cloud: TestCloud, path: str
) -> None:
    headers = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}
    status, _, body = ask(cloud, "POST", f"/_localcloud/{path}", headers)
    assert (status, body) == (
        403,
        b"A browser may use this from the local cloud's own page only.\n",
    )


LINK = {
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Referer": "https://example.com/",
    "Accept": "text/html",
}


@pytest.mark.parametrize(("path", "status"), [("/", 302), ("/_localcloud/", 200)])
def test_a_link_of_any_page_leads_to_the_page(cloud: TestCloud, path: str, status: int) -> None:
    assert ask(cloud, "GET", path, LINK)[0] == status


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("GET", "/_localcloud/overview", {}),
        ("GET", "/_localcloud/page/main.js", {}),
        ("GET", "/some-bucket", {}),
        ("POST", "/", {}),
        ("GET", "/", {"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}),
        ("GET", "/_localcloud/", {"Sec-Fetch-Dest": "iframe"}),
        ("GET", "/_localcloud/", {"Host": "evil.example"}),
        ("GET", "/_localcloud/", {"Origin": "https://example.com"}),
    ],
)
def test_a_foreign_page_gets_nothing_else(
    cloud: TestCloud, method: str, path: str, more: dict[str, str]
) -> None:
    assert ask(cloud, method, path, LINK | more)[0] == 403


@pytest.mark.parametrize("path", ["/_localcloud/overview", "/_localcloud/stream"])
def test_another_page_of_this_machine_cannot_listen(cloud: TestCloud, path: str) -> None:
    assert ask(cloud, "GET", path, {"Sec-Fetch-Site": "same-site"})[0] == 403


@pytest.mark.parametrize("call", ["iam/CreateUser", "codepipeline/DeletePipeline", "x", "s3/x/y"])
def test_an_operation_that_the_page_does_not_use_is_refused(cloud: TestCloud, call: str) -> None:
    status, _, body = ask(cloud, "POST", f"/_localcloud/call/{call}", MARK)
    assert status == 404
    assert "is not one of the page's calls" in json.loads(body)["message"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"\xff\xfe", b'{"token": 1}', b"null", b"{}" * 9]
)
@pytest.mark.parametrize(
    "call", sorted(f"{s}/{n}" for s, (_, ns) in OPERATIONS.items() for n in ns)
)
def test_a_call_that_cannot_be_read_is_refused_as_by_aws(
    cloud: TestCloud, call: str, body: bytes
) -> None:
    status, headers, found = ask(cloud, "POST", f"/_localcloud/call/{call}", MARK, body)
    assert 400 <= status < 500
    assert headers["content-type"] == "application/json"
    assert json.loads(found)["__type"]


def test_an_upload_is_an_object_of_s3(cloud: TestCloud) -> None:
    prepare(cloud)
    content = zip_of({"é.txt": "x"})
    path = f"/_localcloud/upload?bucket={BUCKET}&key=page%2Fd%C3%A9.zip"
    status, _, body = ask(cloud, "PUT", path, MARK, content)
    assert status == 200
    found = cloud.client("s3").get_object(Bucket=BUCKET, Key="page/dé.zip")
    assert (found["Body"].read(), found["VersionId"]) == (content, json.loads(body)["version"])


@pytest.mark.parametrize(
    ("query", "said"),
    [("bucket=no-such-bucket&key=x", "bucket does not exist"), ("bucket=x", "key= must be given")],
)
def test_an_upload_that_cannot_be_is_one_sentence(cloud: TestCloud, query: str, said: str) -> None:
    status, _, body = ask(cloud, "PUT", f"/_localcloud/upload?{query}", MARK, b"x")
    assert status in (400, 404)
    assert said in json.loads(body)["message"]


def test_a_document_of_a_bucket_cannot_act_as_the_page(cloud: TestCloud) -> None:
    prepare(cloud)
    cloud.client("s3").put_object(
        Bucket=BUCKET, Key="page.html", Body=b"<script>1</script>", ContentType="text/html"
    )
    path = f"/{BUCKET}/page.html"
    shown = BROWSER | {"Sec-Fetch-Dest": "document"}
    _, headers, _ = ask(cloud, "GET", path, shown)
    assert headers["content-security-policy"].startswith("sandbox ")
    assert "allow-same-origin" not in headers["content-security-policy"]
    _, headers, _ = ask(cloud, "GET", path)
    assert "content-security-policy" not in headers


SUMMARY = Summary(
    endpoint="iris-model-production",
    started="2026-11-30T12:00:00+00:00",
    seconds=10.0,
    requests=1000,
    failures=0,
    failure_share=0.0,
    rps=100.0,
    peak_rps=120.0,
    p50_ms=1.0,
    p95_ms=2.0,
    p99_ms=3.5,
    max_ms=4.0,
    accuracy=0.9,
    r2=None,
    rmse=None,
    instances_first=1,
    instances_min=1,
    instances_max=2,
    first_scale_out_seconds=None,
    scaling_activities=1,
    verdicts=[],
)


def test_a_load_test_is_listed_with_its_summary(cloud: TestCloud, tmp_path: Path) -> None:
    assert list_on_page(cloud.url, SUMMARY, tmp_path / "report.html")
    found = json.loads(cloud.get("/_localcloud/overview")[1])["loadtests"]["items"][0]
    assert (found["endpoint"], found["requests"], found["passed"]) == (
        "iris-model-production",
        1000,
        True,
    )
    assert found["report"] == str(tmp_path / "report.html")


@pytest.mark.parametrize("url", [None, "", "file:///etc/passwd", "http://127.0.0.1:9"])
def test_a_load_test_elsewhere_is_listed_nowhere(url: str | None, tmp_path: Path) -> None:
    assert not list_on_page(url, SUMMARY, tmp_path / "report.html")


def test_the_newest_load_tests_are_kept(cloud: TestCloud, tmp_path: Path) -> None:
    for number in range(22):
        list_on_page(cloud.url, replace(SUMMARY, requests=number), tmp_path / "report.html")
    found = json.loads(cloud.get("/_localcloud/overview")[1])["loadtests"]
    assert (found["count"], found["items"][0]["requests"]) == (20, 21)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"x": NaN}', b"x" * 300_000])
def test_a_summary_that_cannot_be_kept_is_refused(cloud: TestCloud, body: bytes) -> None:
    assert ask(cloud, "POST", "/_localcloud/loadtests", {}, body)[0] in (400, 413)


def test_the_pages_files_are_in_the_package() -> None:
    import tomllib

    project = tomllib.loads(Path(ROOT / "pyproject.toml").read_text())
    assert "page/static/*" in project["tool"]["setuptools"]["package-data"]["localcloud"]
