"""Where Leaflet lies: it comes as the package XStatic-Leaflet, so that no CDN is needed."""

from importlib import import_module
from pathlib import Path


def leaflet_folder() -> Path:
    """Return the folder that holds leaflet.js, leaflet-src.esm.js, leaflet.css and images/."""
    return Path(import_module("xstatic.pkg.leaflet").BASE_DIR)
