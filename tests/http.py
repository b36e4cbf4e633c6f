"""A server for tests that read over HTTP: the routes on a free local port, in a thread."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from mars_map import web

PATIENCE_S = 20.0


@contextmanager
def running_server(component_files: Path) -> Iterator[str]:
    """Run the routes; gives their address, such as "http://127.0.0.1:40123/mars"."""
    app = Starlette(routes=web.routes(component_files))
    # The port is taken before anybody can ask for it; the server inherits the socket.
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    limit = time.monotonic() + PATIENCE_S
    while not server.started:
        assert time.monotonic() < limit, "the server did not start"
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/mars"
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        listener.close()
