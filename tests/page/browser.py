"""Chromium by Selenium: started if it is there, and asked in the words of a person who looks."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import pytest

from tests.cloud import wait_for

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Chromium needs no sandbox for a page of this machine, and as root it has none.
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage")
# What the console says when the local cloud is gone or refuses, which is part of a test.
_EXPECTED = ("net::ERR_", "the server responded with a status of")


def programs() -> tuple[str, str]:
    """Return the paths of Chromium and its driver; skip the tests if one is missing."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip(f"needs one of {', '.join(BROWSERS)}, and chromedriver, on the PATH")
    if find_spec("selenium") is None:
        pytest.skip("needs selenium, which is in the environment of make test-page")
    return browser, driver


class Browser:
    """A window of Chromium."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """Open the page, and wait until it is live."""
        self.driver.get(f"{url}/")
        self.wait("the page to be live", lambda: "live" in self.text("lab-header .state"))

    def size(self, width: int, height: int = 900, scheme: str = "light") -> None:
        """Set the size of the window in CSS pixels, and its colour scheme."""
        command = self.driver.execute_cdp_cmd
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        command("Emulation.setDeviceMetricsOverride", metrics)
        feature = {"name": "prefers-color-scheme", "value": scheme}
        command("Emulation.setEmulatedMedia", {"features": [feature]})

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page; return its value."""
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        """Return the text of the first element of a selector; empty if there is none."""
        script = "return document.querySelector(arguments[0])?.innerText ?? ''"
        return str(self.run(script, selector))

    def wait(self, what: str, probe: Callable[[], Any], seconds: float = 30) -> Any:
        """Wait until a probe gives something true."""
        return wait_for(what, probe, seconds)

    def wait_text(self, selector: str, text: str, seconds: float = 30) -> None:
        """Wait until an element shows a text."""
        self.wait(f"{selector}: {text}", lambda: text in self.text(selector), seconds)

    def click(self, selector: str, name: str) -> None:
        """Click the element of a selector whose text contains a name.

        What arrives meanwhile may push the element away between the look and the click.
        """
        from selenium.common.exceptions import ElementClickInterceptedException

        script = """
        const [selector, name] = arguments;
        const all = [...document.querySelectorAll(selector)];
        const found = all.find((element) => element.innerText.includes(name));
        found?.scrollIntoView({block: "center", behavior: "instant"});
        return found"""

        def clicked() -> bool:
            try:
                if (found := self.run(script, selector, name)) is None:
                    return False
                found.click()
            except ElementClickInterceptedException:
                return False
            return True

        self.wait(f"{selector} {name}", clicked)

    def keys(self, *keys: str) -> None:
        """Press keys, wherever the focus is."""
        from selenium.webdriver import ActionChains

        actions = ActionChains(self.driver)
        for key in keys:
            actions.send_keys(key)
        actions.perform()

    def errors(self) -> list[str]:
        """Return what the console reports, but for connections that a test broke."""
        entries = [str(entry["message"]) for entry in self.driver.get_log("browser")]
        return [text for text in entries if not any(known in text for known in _EXPECTED)]


@contextmanager
def browsing() -> Iterator[Browser]:
    """Start Chromium, and end it afterwards."""
    binary, driver_path = programs()
    from selenium.webdriver import Chrome, ChromeOptions
    from selenium.webdriver.chrome.service import Service

    options = ChromeOptions()
    options.binary_location = binary
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = Chrome(options=options, service=Service(driver_path))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
