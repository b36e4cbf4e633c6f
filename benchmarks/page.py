"""The page in a real browser: `python -m benchmarks.page`.

Prints how long it takes from `streamlit run` to a drawn map, from Enter to the repainted map and
from a click to its answer (medians), and what a session adds to the memory. Needs Chromium.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import ROOT, stop
from tests.chromium import EXECUTABLE, FLAGS

WORDS = ("dunes", "chaos terrain", "canyon", "shield volcano", "polar ice cap", "lava flow")
POINTS = ((500, 250), (650, 280), (420, 330), (560, 400), (700, 350), (480, 300))
SESSIONS = 20
MAP = "document.querySelector('.mm-map')"
ALL_TILES = "document.querySelectorAll('img.leaflet-tile-loaded').length >= 8"


def main() -> None:
    """Measure everything once, on a server of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=FLAGS)
        start = time.perf_counter()
        server, address = serve()
        listening = time.perf_counter()
        page = visit(browser, address)
        page.wait_for_function(ALL_TILES)
        show("server listens", listening - start)
        show("first page ready: all of the basemap drawn", time.perf_counter() - start)
        show("first words, encoder loading: Enter to map", timed(lambda: search(page, WORDS[0])))
        fresh = [timed(lambda w=words: search(page, w)) for words in WORDS[1:]]
        show("words: Enter to repainted map (median)", statistics.median(fresh))
        known = [timed(lambda w=words: search(page, w)) for words in WORDS[:-1]]
        show("words asked before (median)", statistics.median(known))
        clicks = [timed(lambda p=point: click(page, *p)) for point in POINTS]
        show("click to tile answer (median of 6)", statistics.median(clicks))
        before, after = memory(browser, address, server)
        print(f"{'server with one session':<48}{before:8.0f} MB")
        print(f"{'each session more':<48}{(after - before) / SESSIONS:8.1f} MB")
        browser.close()
        stop(server)


def serve() -> tuple[subprocess.Popen, str]:
    """Start the application; return its process and its address once it listens."""
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", "0"]
    command += ["--server.headless", "true"]
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    for line in server.stdout:
        if "URL:" in line:
            return server, line.partition("URL:")[2].strip()
    raise SystemExit("The server did not start.")


def visit(browser: Browser, address: str) -> Page:
    """Open the page for a new visitor and wait for the map."""
    page = browser.new_context(viewport={"width": 1280, "height": 720}).new_page()
    page.goto(address)
    page.wait_for_selector(".mm-status")
    return page


def search(page: Page, words: str) -> None:
    """Type words, press Enter and wait until the map shows their answer."""
    box = page.get_by_role("textbox", name="Search Mars in plain words")
    box.fill(words)
    box.press("Enter")
    painted = f"{MAP}.dataset.painted === 'q={words.replace(' ', '+')}'"
    page.wait_for_function(painted, polling=20)


def click(page: Page, x: float, y: float) -> None:
    """Click the map and wait until the drawer tells of another tile than before."""
    tile = "document.querySelectorAll('.st-key-mars-facts td')[1]?.innerText"
    before = page.evaluate(tile)
    page.mouse.click(x, y)
    page.wait_for_function(f"before => {tile} && {tile} !== before", arg=before, polling=20)


def memory(browser: Browser, address: str, server: subprocess.Popen) -> tuple[float, float]:
    """Return the server's megabytes with one session, and with `SESSIONS` more that searched."""
    pages = [visit(browser, f"{address}/?q=dunes")]
    before = resident_mb(server)
    for number in range(SESSIONS):
        pages.append(visit(browser, f"{address}/?q={WORDS[number % len(WORDS)]}"))
        click(pages[-1], *POINTS[number % len(POINTS)])
    return before, resident_mb(server)


def resident_mb(server: subprocess.Popen) -> float:
    """Return the memory of the server's process."""
    status = Path(f"/proc/{server.pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def timed(action: Callable[[], None]) -> float:
    """Return how many seconds an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def show(name: str, seconds: float) -> None:
    """Print one line."""
    print(f"{name:<48}{seconds * 1e3:8.0f} ms", flush=True)


if __name__ == "__main__":
    main()
