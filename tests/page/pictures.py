"""Pictures of the page at three widths in both schemes, in build/page.

python -m tests.page.pictures           of a small cloud of its own, with an approval and a failure
python -m tests.page.pictures URL       of a running one
"""

from __future__ import annotations

import sys
from pathlib import Path

from tests.cloud import ROOT, local_cloud
from tests.evidence_stage import evidence_stage
from tests.page.browser import Browser, browsing
from tests.pipelines import Pipelines, approval_action, invoke_action, prepare

WIDTHS = (400, 900, 1600)
SCHEMES = ("light", "dark")
OUT = ROOT / "build" / "page"
# Chromium draws no longer picture.
_MOST_PIXELS = 12_000
# Two frames and the charts' first second.
_SETTLED = "requestAnimationFrame(() => setTimeout(arguments[0], 500))"


def take(browser: Browser, url: str, out: Path) -> None:
    """Make the pictures of a page."""
    out.mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        for scheme in SCHEMES:
            browser.size(width, scheme=scheme)
            browser.open(url)
            browser.driver.execute_async_script(_SETTLED)
            height = int(browser.run("return document.documentElement.scrollHeight"))
            browser.size(width, min(height, _MOST_PIXELS), scheme)
            browser.driver.execute_async_script(_SETTLED)
            path = out / f"page-{width}-{scheme}.png"
            browser.driver.save_screenshot(str(path))
            sys.stdout.write(f"{path.relative_to(ROOT)}\n")


def main() -> None:
    """Make the pictures."""
    with browsing() as browser:
        if len(sys.argv) > 1:
            take(browser, sys.argv[1].rstrip("/"), OUT)
            return
        with local_cloud(speed=60.0) as cloud:
            prepare(cloud)
            made = Pipelines(cloud.client("codepipeline"))
            made.until(made.make([invoke_action("fail")]), "Failed")
            made.make([evidence_stage(cloud)], [approval_action()], [invoke_action("x")])
            browser.open(cloud.url)
            browser.wait_text("lab-approval", "Deploy iris-model")
            take(browser, cloud.url, OUT)


if __name__ == "__main__":
    main()
