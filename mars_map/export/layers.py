"""What a file of results holds: the hits, their units, or what two queries find and do not find."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from mars_map.analysis import compare, units
from mars_map.maps import footprints
from mars_map.search import Result

if TYPE_CHECKING:
    from geopandas import GeoDataFrame


class Layer(Protocol):
    """One kind of table that can be made of a result."""

    name: str
    """Name of the layer in a file."""
    geometry_type: str
    """Polygon or MultiPolygon."""
    columns: dict[str, str]
    """Its columns and what they mean."""
    label: str
    """Column that names a row for people."""
    colour_by: str
    """Column that rows are coloured by, the greater the better."""

    def table(self, result: Result, date: datetime) -> "GeoDataFrame":
        """Return the rows with their outlines in IAU_2015:49900."""
        ...

    def record(self, result: Result) -> dict[str, Any]:
        """Return what the provenance tells of the layer, as plain values."""
        ...


@dataclass(frozen=True)
class Hits:
    """The hits, one tile a row."""

    name: ClassVar[str] = "hits"
    geometry_type: ClassVar[str] = "Polygon"
    columns: ClassVar[dict[str, str]] = footprints.COLUMNS
    label: ClassVar[str] = "tile"
    colour_by: ClassVar[str] = "score"

    def table(self, result: Result, date: datetime) -> "GeoDataFrame":
        """Return the hits, best first."""
        return footprints.to_geodataframe(result, date)

    def record(self, result: Result) -> dict[str, Any]:
        """Return nothing: the query says it all."""
        return {}


@dataclass(frozen=True)
class Units:
    """Hits that touch, merged: one unit a row."""

    least_km2: float = 0.0
    """Units of a smaller area are left out."""
    name: ClassVar[str] = "units"
    geometry_type: ClassVar[str] = "MultiPolygon"
    columns: ClassVar[dict[str, str]] = units.COLUMNS
    label: ClassVar[str] = "best_tile"
    colour_by: ClassVar[str] = "mean_score"

    def table(self, result: Result, date: datetime) -> "GeoDataFrame":
        """Return the units, the largest first. Raises QueryError for a least area that none has."""
        return units.units_table(result, date, least_km2=self.least_km2)

    def record(self, result: Result) -> dict[str, Any]:
        """Return how units were made."""
        return {"units": {"touching": "edge or corner", "least_km2": self.least_km2}}


@dataclass(frozen=True, eq=False)
class Compared:
    """Hits of two queries, or of one of them alone."""

    comparison: compare.Comparison
    """The two answers."""
    which: compare.Which
    """Which of their hits."""
    geometry_type: ClassVar[str] = "Polygon"
    columns: ClassVar[dict[str, str]] = compare.COLUMNS
    label: ClassVar[str] = "tile"

    @property
    def name(self) -> str:
        """Name of the layer, such as "both" or "only-a"."""
        return self.which

    @property
    def colour_by(self) -> str:
        """The percentile by the query whose hits they are."""
        return "pct_b" if self.which == "only-b" else "pct_a"

    def table(self, result: Result, date: datetime) -> "GeoDataFrame":
        """Return the hits of that set, the best first."""
        return compare.compared_table(self.comparison, self.which, date)

    def record(self, result: Result) -> dict[str, Any]:
        """Return the other query, its index, and how far both agree."""
        index = self.comparison.b.index
        return {
            "compared": self.comparison.to_dict()
            | {"set": self.which, "index_b": index.digest, "model_b": index.manifest.model.id}
        }


HITS = Hits()
"""What a file holds unless something else is asked for."""
