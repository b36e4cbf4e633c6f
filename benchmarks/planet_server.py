"""Page sessions on a server with a synthetic planet: `python -m benchmarks.planet --server`.

A session does what a page does for a query: it asks for outlines and heat map at once and has its
answer when both have come; then it reads for ten seconds and asks something else, which nobody has
asked before. Its first question comes at a random time within these ten seconds. The basemap, the
panel and Streamlit's own messages are not part of it.
"""

import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from mars_map.index import open_index

THINK_S = 10.0
LASTS_S = 60.0
SESSIONS = (20, 50)
HEALTH_EVERY_S = 0.25
ROOT = Path(__file__).resolve().parent.parent


def server_load(folder: Path) -> None:
    """Print how long sessions wait for answers, for each number of sessions."""
    index = open_index(folder)
    names = [str(name) for name in index.grid.names(range(0, index.n_tiles, 97))]
    server, address = _serve(folder)
    try:
        _wait_until_warm(address)
        for count in SESSIONS:
            _measure(address, count, names)
    finally:
        server.terminate()
        server.wait(10)


def _measure(address: str, count: int, names: list[str]) -> None:
    ended = threading.Event()
    health = _Poll(address)
    sessions = [_Session(address, names, number) for number in range(count)]
    threads = [threading.Thread(target=one.run, args=(ended,)) for one in (*sessions, health)]
    for thread in threads:
        thread.start()
    time.sleep(LASTS_S)
    ended.set()
    for thread in threads:
        thread.join()
    waits = sorted(wait for session in sessions for wait in session.waits)
    errors = sum(session.errors for session in sessions) + health.errors
    p95 = waits[int(0.95 * (len(waits) - 1))]
    print(
        f"{count} sessions: {len(waits)} answers, p50 {statistics.median(waits):.2f} s, "
        f"p95 {p95:.2f} s, {errors} errors; health answers within {max(health.waits):.2f} s",
        flush=True,
    )


class _Session:
    """One visitor: asks, reads, asks again."""

    def __init__(self, address: str, names: list[str], number: int) -> None:
        self._address, self._names = address, names
        self._random = random.Random(time.time_ns() + number)
        self.waits: list[float] = []
        self.errors = 0

    def run(self, ended: threading.Event) -> None:
        """Ask until the end."""
        with ThreadPoolExecutor(2) as pool:
            pause = self._random.uniform(0, THINK_S)
            while not ended.wait(pause):
                query = urlencode({"like": self._random.choice(self._names)})
                start = time.perf_counter()
                paths = (f"/mars/footprints?{query}", f"/mars/heat.png?{query}")
                good = list(pool.map(lambda path: _ask(self._address, path), paths))
                self.waits.append(time.perf_counter() - start)
                self.errors += good.count(False)
                pause = THINK_S


class _Poll:
    """Asks for the server's health all the time."""

    def __init__(self, address: str) -> None:
        self._address = address
        self.waits: list[float] = []
        self.errors = 0

    def run(self, ended: threading.Event) -> None:
        """Ask until the end."""
        while not ended.wait(HEALTH_EVERY_S):
            start = time.perf_counter()
            self.errors += not _ask(self._address, "/mars/health")
            self.waits.append(time.perf_counter() - start)


def _ask(address: str, path: str) -> bool:
    """Tell whether a request is answered as it should be."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        body = reply.read()
        return reply.status == 200 and (body[:4] == b"\x89PNG" or bool(json.loads(body)))
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _wait_until_warm(address: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)
    while True:
        connection.request("GET", "/mars/health")
        if json.loads(connection.getresponse().read())["warm"]:
            return
        time.sleep(0.5)


def _serve(folder: Path) -> tuple[subprocess.Popen, str]:
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.port", "0"]
    command += ["--server.headless", "true", "--server.address", "127.0.0.1"]
    server = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "MARS_MAP_INDEX": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    for line in server.stdout:
        if "URL:" in line:
            address = line.partition("URL:")[2].strip()
            threading.Thread(target=server.stdout.read, daemon=True).start()
            return server, address
    raise SystemExit("The server did not start.")
