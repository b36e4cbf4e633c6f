"""The calls of a script or a notebook.

from mars_map.api import open_index, search, to_geodataframe

index = open_index()
result = search(index, "dunes inside craters", top_k=200)
to_geodataframe(result).to_file("dunes.gpkg")

`refined` sharpens a result by tiles called right and wrong, `units` joins its hits into areas,
`explain` tells what sets them apart, `figure` draws them for print, `save` writes them in any
format and `citation` says what to cite. `docs/study.ipynb` uses them all.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mars_map import index as _index
from mars_map.analysis.units import units_table
from mars_map.errors import ExportError
from mars_map.export import EXPORTERS, Provenance, export_result
from mars_map.export.citation import citation_text
from mars_map.index import TileIndex
from mars_map.maps.footprints import to_geodataframe
from mars_map.search import Engine, Part, Query, Result, open_engine
from mars_map.settings import INDEX_DIR

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from matplotlib.figure import Figure

    from mars_map.analysis.why import Explanation

__all__ = [
    "citation",
    "explain",
    "figure",
    "open_index",
    "refined",
    "save",
    "search",
    "to_geodataframe",
    "units",
]


def open_index(folder: str | Path = INDEX_DIR) -> TileIndex:
    """Open an index folder; without one, the index that comes with mars_map.

    Raises IndexMissingError, IndexVersionError or IndexDamagedError.
    """
    return _index.open_index(folder)


def search(index: TileIndex, text: str = "", like: Sequence[str] = (), **limits: Any) -> Result:
    """Search an index for words; `like=("r176c0372",)` adds example tiles.

    limits: any field of `Query` (prompts, region, filters, yes, no, top_k, threshold). Raises
    QueryError and its kin for what cannot be searched, ModelMismatchError for an index that another
    model made.
    """
    parts = [Part("text", text)] if text or not like else []
    parts += [Part("tile", tile) for tile in like]
    return _engine(index).search(Query(tuple(parts), **limits))


def refined(result: Result, yes: Iterable[str] = (), no: Iterable[str] = ()) -> Result:
    """Search again with tiles called right and wrong, beside those that were called so before.

    yes, no: ids of tiles. Raises QueryError for a tile that the index does not have or that is
    called both.
    """
    query = result.query
    wanted = query.with_(yes=(*query.yes, *yes), no=(*query.no, *no))
    return _engine(result.index).search(wanted)


def units(result: Result, least_km2: float = 0.0) -> "GeoDataFrame":
    """Return the hits joined into connected areas, the largest first, in IAU_2015:49900.

    least_km2: smallest area that is kept. Columns: `mars_map.analysis.units.COLUMNS`.
    """
    return units_table(result, least_km2=least_km2)


def explain(result: Result) -> "Explanation":
    """Return in what the hits differ from the ground that was searched; `.sentence` tells it.

    Raises CovariateError where a file of the covariates is missing.
    """
    return _explainer(_engine(result.index)).explain(result)


def figure(result: Result) -> "Figure":
    """Return the result as a matplotlib figure for print, 180 mm wide.

    Raises BasemapError where the picture of the ground is absent or damaged.
    """
    from mars_map.maps.figure import result_figure

    return result_figure(result, record=Provenance(result).to_dict())


def save(result: Result, path: str | Path) -> Path:
    """Save a result in the format that the end of the file's name tells, and return its path.

    Raises ExportError for an end that no format has, and where the file cannot be written.
    """
    name = Path(path).name.lower()
    ends = {exporter.extension: form for form, exporter in EXPORTERS.items()}
    for end, form in ends.items():
        if name.endswith(end):
            return export_result(result, form, path)
    raise ExportError(f'"{name[-40:]}" tells no format; choose from {", ".join(ends)}.')


def citation(result: Result) -> str:
    """Return what to cite for a result, one work a line; `save` to a .bib file gives BibTeX."""
    return citation_text(Provenance(result))


@lru_cache(maxsize=4)
def _engine(index: TileIndex) -> Engine:
    return open_engine(index)


@lru_cache(maxsize=4)
def _explainer(engine: Any) -> Any:
    from mars_map.analysis.why import Explainer

    return Explainer(engine.covariate)
