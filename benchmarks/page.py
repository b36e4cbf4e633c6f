"""The page in a real browser: `python -m benchmarks.page`.

Prints how long it takes from `streamlit run` to a drawn map, from Enter to the repainted map, from
a click to its answer and from each action of the bench to what it shows (medians), and what a
session adds to the memory. Needs Chromium.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, sync_playwright

from tests.browser.conftest import ROOT, stop
from tests.chromium import EXECUTABLE, FLAGS

WORDS = ("dunes", "chaos terrain", "canyon", "shield volcano", "polar ice cap", "lava flow")
POINTS = ((500, 250), (650, 280), (420, 330), (560, 400), (700, 350), (480, 300))
TILES = ("r180c0360", "r176c0372", "r120c0100")
HIT = ".mm-gallery:not(.mm-small) .mm-hit"
SESSIONS = 20
LOOK_MS = 1500
"""How long a user looks at an answer: its pictures are there, and a flight to a tile is over."""
MAP = "document.querySelector('.mm-map')"
Measure = Callable[[str, Callable[[], None]], None]
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
        fresh = [looked(page, lambda w=words: search(page, w)) for words in WORDS[1:]]
        show("words: Enter to repainted map (median)", statistics.median(fresh))
        known = [looked(page, lambda w=words: search(page, w)) for words in WORDS[:-1]]
        show("words asked before (median)", statistics.median(known))
        clicks = [timed(lambda p=point: click(page, *p)) for point in POINTS]
        show("click to tile answer (median of 6)", statistics.median(clicks))
        bench(browser, address)
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


def bench(browser: Browser, address: str) -> None:
    """Measure what sharpens, cuts, compares and explains an answer, on three answers each."""
    seconds: dict[str, list[float]] = {}

    def measure(name: str, action: Callable[[], None]) -> None:
        seconds.setdefault(name, []).append(timed(action))

    for tile in TILES:
        page = visit(browser, f"{address}/?like={tile}")
        wait_painted(page)
        page.wait_for_selector(HIT)
        answers(page, measure)
        cuts(page, measure)
        views(page, measure)
        compares(page, measure)
        page.context.close()
    for name, taken in seconds.items():
        show(f"{name} (median of {len(taken)})", statistics.median(taken))


def answers(page: Page, measure: Measure) -> None:
    """Yes on a card, no and undo by key."""
    yes = page.get_by_role("button", name="Yes: ").nth(3)
    measure("yes on a card to repainted map", lambda: repaint(page, lambda: press(yes)))
    page.locator(f"{HIT} > button").nth(2).click()
    page.wait_for_function("location.search.includes('tile=')")
    page.wait_for_timeout(LOOK_MS)
    measure("no by key to repainted map", lambda: repaint(page, lambda: page.keyboard.press("x")))
    for _ in range(2):
        measure("undo by key", lambda: repaint(page, lambda: page.keyboard.press("u")))


def cuts(page: Page, measure: Measure) -> None:
    """The threshold's slider."""
    slider = page.get_by_role("slider", name="Least score of a hit")
    slider.focus()
    before = slider.get_attribute("aria-valuetext")

    def move() -> None:
        page.keyboard.press("ArrowLeft")
        told = "([slider, before]) => slider.getAttribute('aria-valuetext') !== before"
        page.wait_for_function(told, arg=[slider.element_handle(), before], polling=20)

    cut = f"{MAP}.dataset.painted.includes('min=')"
    measure("threshold to number and area", move)
    measure("and to the hits on the map", lambda: page.wait_for_function(cut, polling=20))
    button = page.get_by_role("button", name="No threshold")
    measure("threshold taken away", lambda: repaint(page, lambda: press(button)))


def views(page: Page, measure: Measure) -> None:
    """The poles, an overlay, and what the hits have in common."""
    for pole in ("north", "south"):
        button = page.get_by_role("button", name=f"See the {pole} pole from above")
        basemap = f"img.leaflet-tile-loaded[src*='/polar/{pole}/']"
        measure("pole to its basemap", lambda b=button, shown=basemap: until(page, b, shown))
    press(page.get_by_role("button", name="See the whole planet"))
    press(page.get_by_text("Overlays"))
    box, shapes = page.get_by_label("Landslides"), ".mm-canvas[data-overlays=landslides]"
    measure("overlay to its shapes", lambda: until(page, box, shapes))
    press(page.get_by_text("Overlays"))
    tab = page.locator(".st-key-mars-tabs").get_by_text("Why here")
    measure("why here: sentence and effect sizes", lambda: until(page, tab, ".mars-forest"))


def compares(page: Page, measure: Measure) -> None:
    """A first comparison, and the ways to show it."""
    press(page.locator(".st-key-mars-tabs").get_by_text("Compare", exact=True))
    box = page.get_by_role("textbox", name="Compare with")
    box.fill("dunes")

    def swipe() -> None:
        box.press("Enter")
        page.wait_for_selector('.mm-map[data-compared^="swipe"]')

    measure("other words: both on the map", swipe)
    for title, mode in (("Difference", "difference"), ("Side by side", "side")):
        way, shown = page.get_by_text(title, exact=True), f'.mm-map[data-compared^="{mode}"]'
        measure(f"to {title.lower()}", lambda w=way, s=shown: until(page, w, s))


def press(button: Locator) -> None:
    """Click without Playwright's wait for whatever moves, which takes a quarter of a second."""
    button.evaluate("element => element.click()")


def until(page: Page, button: Locator, selector: str) -> None:
    """Click, and wait until something is there."""
    press(button)
    page.wait_for_selector(selector)


def repaint(page: Page, action: Callable[[], None]) -> None:
    """Act, and wait until the map shows another answer than before."""
    before = page.evaluate(f"{MAP}.dataset.painted")
    action()
    wait_painted(page, before)


def wait_painted(page: Page, before: str = "") -> None:
    """Wait until the map shows another answer than the one before."""
    other = f"before => ({MAP}?.dataset.painted ?? before) !== before"
    page.wait_for_function(other, arg=before, polling=20)


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


def looked(page: Page, action: Callable[[], None]) -> float:
    """Return how many seconds an action takes for somebody who has looked at the last answer."""
    page.wait_for_timeout(LOOK_MS)
    return timed(action)


def show(name: str, seconds: float) -> None:
    """Print one line."""
    print(f"{name:<48}{seconds * 1e3:8.0f} ms", flush=True)


if __name__ == "__main__":
    main()
