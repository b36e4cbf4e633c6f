"""The browser of the journeys: the system's Chromium, with nothing to say to the outside."""

import os
import shutil

EXECUTABLE = shutil.which("chromium") or shutil.which("chromium-browser")
ABSENT = "Chromium is not installed; `make chromium` installs it where apt-get can"
IN_CI = os.environ.get("CI") == "true"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
