"""The requests of web pages: which of them are answered, and what a page may do.

A request from a web page is answered only if the page is local, too. Otherwise any web page could
reach the local cloud through the browser of a person who visits it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

from localcloud.aws.routing import Request, Response
from localcloud.page.routes import ROOT, SAFE

# The operations of the query APIs that a link may have, such as a presigned GetCallerIdentity.
_READING = ("Get", "Describe", "List")
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "localhost.localstack.cloud"})
# The names that `answer_as` adds.
_own_names: set[str] = set()
# The host name of a virtual-hosted S3 request begins with the bucket.
_LOCAL_SUFFIXES = (".localhost", ".localhost.localstack.cloud")
_FOREIGN = b"This address answers local programs only.\n"
_UNMARKED = b"A browser may use this from the local cloud's own page only.\n"
_SANDBOX = "sandbox allow-scripts allow-forms allow-popups allow-modals allow-downloads"
PAGE_HEADER = "x-localcloud-page"
_UNPROVEN = b"A GET with an Action must be signed by a header, which no web page can send.\n"


def refusal(headers: Mapping[str, str]) -> Response | None:
    """Return the response to a request from a foreign web page, or None for a local program."""
    if is_local(
        headers.get("host", "localhost"),
        headers.get("origin"),
        headers.get("sec-fetch-site"),
        headers.get("referer"),
    ):
        return None
    return Response(403, {"content-type": "text/plain"}, _FOREIGN)


def unproven(method: str, query: str, headers: Mapping[str, str]) -> Response | None:
    """Return the response to a GET that may be a link of a web page and would change something.

    Over http, a browser sends nothing that tells a link or an image of a foreign page from the
    request of a program, if the page withholds its address. Only the query APIs change anything by
    GET.
    """
    if method not in ("GET", "HEAD") or "authorization" in headers or "=" not in query:
        return None
    actions = [value for name, value in parse_qsl(query) if name == "Action"]
    if all(action.startswith(_READING) for action in actions):
        return None
    return Response(403, {"content-type": "text/plain"}, _UNPROVEN)


def unmarked(method: str, path: str, headers: Mapping[str, str]) -> Response | None:
    """Return the response to another local page that uses a route of ours, or None.

    A write needs the page's header. Only a page of this address can send it; another one would have
    to ask first, and gets no answer that allows it. A read of another page is refused, too, because
    it would take one of the few places at the stream. Programs send neither Origin nor
    Sec-Fetch-Site, and need no header.
    """
    if not path.startswith(("/_localcloud/", "/_localstack/")):
        return None
    if method in ("GET", "HEAD"):
        reads = headers.get("sec-fetch-site") == "same-site" and path != ROOT
        return Response(403, {"content-type": "text/plain", **SAFE}, _UNMARKED) if reads else None
    if "origin" not in headers and "sec-fetch-site" not in headers:
        return None
    if headers.get(PAGE_HEADER) and headers.get("sec-fetch-site", "same-origin") == "same-origin":
        return None
    return Response(403, {"content-type": "text/plain", **SAFE}, _UNMARKED)


def is_visit(method: str, path: str, headers: Mapping[str, str]) -> bool:
    """Return whether a person follows a link to the page, from whatever page.

    The page itself says nothing about this local cloud, and nobody may frame it.
    """
    return (
        method == "GET"
        and path in ("/", ROOT)
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
        and "origin" not in headers
        and is_local(headers.get("host", ""), None, None)
    )


def contain(request: Request, response: Response) -> None:
    """Keep a document from S3 that a browser shows from acting as the page, whose origin it has.

    Source: https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Content-Security-Policy/sandbox
    """
    shown = request.headers.get("sec-fetch-dest", "empty") not in ("empty", "image", "style")
    own_host = _is_ours(_host_of(f"//{request.headers.get('host', '')}"))
    if shown and own_host and not request.path.startswith(ROOT):
        response.headers.setdefault("content-security-policy", _SANDBOX)


def answer_as(names: Iterable[str]) -> None:
    """Answer requests whose Host is one of these names, too: those of a container's services."""
    _own_names.update(names)
    is_local.cache_clear()


def _is_ours(host: str) -> bool:
    return host in _LOCAL_HOSTS or host in _own_names


@lru_cache(maxsize=256)
def is_local(
    given_host: str, origin: str | None, site: str | None, referer: str | None = None
) -> bool:
    """Return whether the headers are those of a program, or of a page of this machine."""
    # The page of a link or an image, unless it withholds its address.
    if referer and not _is_ours(_host_of(referer)):
        return False
    # The Host header still has the foreign name if it resolves to this address (DNS rebinding).
    host = _host_of(f"//{given_host}")
    if not _is_ours(host) and not host.endswith(_LOCAL_SUFFIXES):
        return False
    if origin is None:
        # An image or a link of a foreign page sends no Origin, but the browser sends the site.
        return site != "cross-site"
    return _is_ours(_host_of(origin))


def _host_of(url: str) -> str:
    """Return the host of a URL, or an empty string if it is not valid, like half an IPv6 one."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
