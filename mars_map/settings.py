"""Paths and limits of the program: one table, read once, overridden by environment variables."""

import os
from pathlib import Path

DATA_DIR = Path(os.environ.get("MARS_MAP_DATA", Path(__file__).resolve().parent.parent / "data"))
"""Folder of the embedded default; set MARS_MAP_DATA to use another."""

INDEX_DIR = Path(os.environ.get("MARS_MAP_INDEX", DATA_DIR / "index"))
"""Index that the page and the shell open when none is named; set MARS_MAP_INDEX to change it."""

MODEL_DIR = Path(os.environ.get("MARS_MAP_MODEL", DATA_DIR / "model"))
"""Compact encoder: weights, configuration, calibration and figures; set MARS_MAP_MODEL to change
it."""

BASEMAP_DIR = DATA_DIR / "basemap"
"""Cloud-Optimised GeoTIFFs of the embedded basemaps."""

COVARIATES_DIR = DATA_DIR / "covariates"
"""Rasters of thermal inertia and albedo."""

OVERLAYS_DIR = DATA_DIR / "overlays"
"""Catalogues and geology to draw over the map."""

GAZETTEER_FILE = DATA_DIR / "gazetteer.csv"
"""Named features of Mars."""
