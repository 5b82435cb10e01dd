"""Sends the summary of a run to the page of a local cloud, which lists the load tests."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

from loadtest.summary import Summary

_TIMEOUT_SECONDS = 5.0


def list_on_page(endpoint_url: str | None, summary: Summary, report: Path) -> bool:
    """Send a summary; return whether a local cloud took it. On AWS there is no such page.

    Args:
        endpoint_url: the address of the cloud; None for AWS.
        summary: the figures of the run.
        report: the file of its report, which the page names.
    """
    if endpoint_url is None or not endpoint_url.startswith(("http://", "https://")):
        return False
    body = json.dumps({**summary.as_json(), "report": str(report.resolve())}).encode()
    url = endpoint_url.rstrip("/") + "/_localcloud/loadtests"
    request = urllib.request.Request(url, body, method="POST")  # noqa: S310 - checked above
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS):  # noqa: S310 - as above
            return True
    except (urllib.error.URLError, OSError, ValueError):
        return False
