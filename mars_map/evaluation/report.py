"""A query judged by a catalogue, from an engine to figures: what `mars-map evaluate` prints."""

from dataclasses import dataclass
from typing import Any

from mars_map.evaluation.blocks import Blocks
from mars_map.evaluation.catalogues import Catalogue
from mars_map.evaluation.geolocalization import RADIUS_DEG, GeoLocalization, GroundTruth
from mars_map.index import TileIndex
from mars_map.search import Engine, Query


@dataclass(frozen=True, eq=False)
class Report:
    """The outcome, and everything that it is the outcome of."""

    query: Query
    """What was asked."""
    index: TileIndex
    """What was searched."""
    catalogue: Catalogue
    """What should have been found."""
    blocks: str | None
    """Name of the file of blocks to which the ranking was confined; None for the whole index."""
    outcome: GeoLocalization
    """The figures and curves."""

    def to_dict(self) -> dict[str, Any]:
        """Return one JSON-ready object.

        Keys: `query` (as `Query.to_dict`), `index` (digest, n_tiles, synthetic), `model` (id,
        sha256), `catalogue` (file name), `n_features`, `n_skipped`, `skipped` (rows by reason),
        `test_blocks`, `radius_deg`, and those of `GeoLocalization.to_dict`.
        """
        manifest = self.index.manifest
        return {
            "query": self.query.to_dict(),
            "index": {
                "digest": self.index.digest,
                "n_tiles": self.index.n_tiles,
                "synthetic": manifest.synthetic,
            },
            "model": {"id": manifest.model.id, "sha256": manifest.model.sha256},
            "catalogue": self.catalogue.name,
            "n_features": self.catalogue.n_features,
            "n_skipped": self.catalogue.n_skipped,
            "skipped": dict(self.catalogue.skipped),
            "test_blocks": self.blocks,
            "radius_deg": RADIUS_DEG,
            **self.outcome.to_dict(),
        }

    def table(self) -> str:
        """Return the figures for people, a few lines that end in a line break."""
        old, new = self.outcome.legacy, self.outcome.corrected
        skipped = ", ".join(f"{n:,} {reason}" for reason, n in self.catalogue.skipped.items())
        lines = [
            f"query        {self.query.label}",
            f"catalogue    {self.catalogue.name}: {self.catalogue.n_features:,} features"
            + (f"; rows left out: {skipped}" if skipped else ""),
            f"ranked       {self.outcome.n_tiles:,} tiles"
            + (f" in {self.blocks}" if self.blocks else ""),
            "",
            f"{'':<12} {'legacy':>9} {'corrected':>9}",
            f"{'features':<12} {old.n_features:>9,} {new.n_features:>9,}",
        ]
        for name in ("f1", "precision", "recall", "auprc"):
            values = (getattr(curve.best, name) for curve in (old, new))
            lines.append(f"{name:<12} {' '.join(f'{value:>9.4f}' for value in values)}")
        lines.append(f"{'k':<12} {old.best.k:>9,} {new.best.k:>9,}")
        lines.append(f"{'chance auprc':<12} {'':>9} {self.outcome.chance_auprc:>9.4f}")
        return "\n".join(lines) + "\n"


def evaluate_query(
    engine: Engine, query: Query, catalogue: Catalogue, blocks: Blocks | None = None
) -> Report:
    """Rank the tiles of an index, or of some blocks, by a query and judge them by a catalogue.

    Example tiles of the query take no part. Raises CatalogueError where there is no tile or feature
    to judge by, and what the engine raises.
    """
    grid = engine.index.grid
    name, tiles = blocks or (None, None)
    scores = engine.search(query).scores
    examples = [grid.number_of(tile) for tile in query.tiles]
    outcome = GroundTruth.of(catalogue, grid).evaluate(scores, tiles, left_out=examples)
    return Report(query, engine.index, catalogue, name, outcome)
