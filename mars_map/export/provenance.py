"""Where a file of results comes from: the query, the index, the model, the program and the date."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from mars_map.export.layers import HITS, Layer
from mars_map.maps.footprints import iso_date
from mars_map.planet.sphere import CRS_AUTHORITY
from mars_map.search import Result

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

METADATA_KEY = "mars_map"
"""Name under which files with metadata carry the provenance, as JSON."""


@dataclass(frozen=True)
class Provenance:
    """What one needs to get the same result again. Every export carries it."""

    result: Result
    """The result."""
    date: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When the file was made, with its time zone."""
    layer: Layer = HITS
    """What of the result the file holds, where it holds a table."""

    def table(self) -> "GeoDataFrame":
        """Return the rows of the layer with their outlines; the hits, unless told otherwise."""
        return self.layer.table(self.result, self.date)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; `Query.from_dict` reads `query`."""
        index, estimate = self.result.index, self.result.estimate
        manifest = index.manifest
        record = {
            "program": f"mars_map {program_version()}",
            "date": iso_date(self.date),
            "query": self.result.query.to_dict(),
            "hits": len(self.result.hits),
            "index": {
                "digest": index.digest,
                "grid": manifest.grid.to_dict(),
                "source": manifest.source,
                "licence": manifest.licence,
                "synthetic": manifest.synthetic,
            },
            "model": {"id": manifest.model.id, "sha256": manifest.model.sha256},
            "crs": ":".join(CRS_AUTHORITY),
            "columns": self.layer.columns,
        }
        record |= self.layer.record(self.result)
        return record | ({"estimate": estimate.to_dict()} if estimate else {})

    def to_json(self, indent: int | None = None) -> str:
        """Return `to_dict` as JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent)


def program_version() -> str:
    """Return the version of the installed program, or "(not installed)"."""
    try:
        return version("mars_map")
    except PackageNotFoundError:
        return "(not installed)"
