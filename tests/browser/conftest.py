"""A server on a free port, and a Chromium whose network ends at this machine."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

ROOT = Path(__file__).parents[2]
WAIT_MS = 30_000
"""Most that a step may take; a busy machine loads the text encoder in ten seconds."""
expect.set_options(timeout=WAIT_MS)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Start the application as `make run` does, on a free port; its address."""
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", "0"]
    command += ["--server.headless", "true"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "URL:" in line:
                break
        else:
            pytest.fail("The server did not start:\n" + "".join(lines))
        yield line.partition("URL:")[2].strip()
        stop(process)


def stop(process: subprocess.Popen) -> None:
    """End the server, by force where it waits for a connection that never closes."""
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()


class Visit:
    """One visitor's browser, and what it tried or complained about."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.address = address
        self.local = urlsplit(address).hostname
        self.outside: list[str] = []
        self.complaints: list[str] = []
        context.route("**/*", self._stay_here)
        self.page: Page = context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._dialog)

    def open(self, path: str = "/") -> Page:
        """Open an address and wait for the map."""
        self.page.goto(self.address + path)
        self.page.wait_for_selector(".mm-status")
        return self.page

    def _stay_here(self, route: Route) -> None:
        if urlsplit(route.request.url).hostname in (self.local, None):
            route.continue_()
        else:
            self.outside.append(route.request.url)
            route.abort()

    def _dialog(self, dialog) -> None:
        self.complaints.append(f"a dialog opened: {dialog.message}")
        dialog.dismiss()


@pytest.fixture
def visit(browser: Browser, server: str) -> Iterator[Visit]:
    """A new visitor, for whom nothing outside of this machine exists."""
    context = browser.new_context(viewport={"width": 1280, "height": 720}, accept_downloads=True)
    visitor = Visit(context, server)
    yield visitor
    context.close()
    assert not visitor.outside, "the page asked for something from outside"
    assert not visitor.complaints
