"""Paths and limits of the program: one table, read once, overridden by environment variables."""

import os
import re
from pathlib import Path

DATA_DIR = Path(os.environ.get("MARS_MAP_DATA", Path(__file__).resolve().parent.parent / "data"))
"""Folder of the embedded default; set MARS_MAP_DATA to use another."""


def _folders(variable: str, default: Path) -> tuple[Path, ...]:
    # A model of the Hugging Face hub has a colon of its own.
    colon = rf"(^|{os.pathsep})(hf-hub|hf):"
    named = re.sub(colon, r"\1\2\0", os.environ.get(variable, ""))
    names = (name.replace("\0", ":") for name in named.split(os.pathsep))
    return tuple(Path(name) for name in names if name) or (default,)


INDEX_DIRS = _folders("MARS_MAP_INDEX", DATA_DIR / "index")
"""Indexes that the page offers: folders of one index each, or of several. Set MARS_MAP_INDEX to
change them; several are separated like those of PATH."""

INDEX_DIR = INDEX_DIRS[0]
"""Index that the page and the shell open when none is named: the first of them."""

MODEL_DIRS = _folders("MARS_MAP_MODEL", DATA_DIR / "model")
"""Folders of models, or models of the Hugging Face hub ("hf-hub:org/name"), among which each index
finds its own; set MARS_MAP_MODEL to change them."""

MODEL_DIR = MODEL_DIRS[0]
"""Compact encoder: weights, configuration, calibration and figures: the first of them."""

TEXT_PRECISION = os.environ.get("MARS_MAP_TEXT_PRECISION", "auto")
"""How a CLIP-family model reads words: auto, float32, bfloat16, or int8, which takes half the time
on a processor; set MARS_MAP_TEXT_PRECISION to change it."""

SCHEDULER = os.environ.get("MARS_MAP_SCHEDULER", "")
"""Address of a Dask scheduler whose workers scan the indexes; set MARS_MAP_SCHEDULER to use one.
Empty to scan here."""

BASEMAP_DIR = DATA_DIR / "basemap"
"""Cloud-Optimised GeoTIFFs of the embedded basemaps."""

COVARIATES_DIR = DATA_DIR / "covariates"
"""Rasters of thermal inertia and albedo."""

OVERLAYS_DIR = DATA_DIR / "overlays"
"""Catalogues and geology to draw over the map."""

GAZETTEER_FILE = DATA_DIR / "gazetteer.csv"
"""Named features of Mars."""
