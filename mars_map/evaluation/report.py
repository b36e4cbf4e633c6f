"""A query judged by a catalogue, from an engine to figures: what `mars-map evaluate` prints."""

from dataclasses import dataclass
from typing import Any

from mars_map.evaluation.blocks import Blocks
from mars_map.evaluation.catalogues import Catalogue
from mars_map.evaluation.geolocalization import RADIUS_DEG, GeoLocalization, GroundTruth
from mars_map.evaluation.picture_query import PictureQuery
from mars_map.index import TileIndex
from mars_map.search import Engine, Query
from mars_map.search.engine import check_encoder
from mars_map.search.scoring import score_all


@dataclass(frozen=True, eq=False)
class Report:
    """The outcome, and everything that it is the outcome of."""

    query: Query | PictureQuery
    """What was asked."""
    index: TileIndex
    """What was searched."""
    catalogue: Catalogue
    """What should have been found."""
    blocks: str | None
    """Name of the file of blocks to which the ranking was confined; None for the whole index."""
    outcome: GeoLocalization
    """The figures and curves, on the blocks if there are any."""
    whole: GeoLocalization
    """The same on the whole index."""

    def to_dict(self) -> dict[str, Any]:
        """Return one JSON-ready object.

        Keys: `query` (as `Query.to_dict`), `index` (digest, n_tiles, synthetic), `model` (id,
        sha256), `catalogue` (file name), `n_features`, `n_skipped`, `skipped` (rows by reason),
        `test_blocks`, `radius_deg`, and those of `GeoLocalization.to_dict`. Where the ranking was
        confined to blocks, these are of the blocks, and `whole_index` holds those of the index.
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
            **({"whole_index": self.whole.to_dict()} if self.blocks else {}),
        }

    def table(self) -> str:
        """Return the figures for people, a few lines that end in a line break."""
        skipped = ", ".join(f"{n:,} {reason}" for reason, n in self.catalogue.skipped.items())
        lines = [
            f"query        {self.query.label}",
            f"catalogue    {self.catalogue.name}: {self.catalogue.n_features:,} features"
            + (f"; rows left out: {skipped}" if skipped else ""),
            *_figures(self.outcome, self.blocks),
        ]
        if self.blocks:
            lines += _figures(self.whole, None)
        return "\n".join(lines) + "\n"


def _figures(outcome: GeoLocalization, blocks: str | None) -> list[str]:
    old, new = outcome.legacy, outcome.corrected
    lines = [
        f"ranked       {outcome.n_tiles:,} tiles" + (f" in {blocks}" if blocks else ""),
        "",
        f"{'':<12} {'legacy':>9} {'corrected':>9}",
        f"{'features':<12} {old.n_features:>9,} {new.n_features:>9,}",
    ]
    for name in ("f1", "precision", "recall", "auprc"):
        values = (getattr(curve.best, name) for curve in (old, new))
        lines.append(f"{name:<12} {' '.join(f'{value:>9.4f}' for value in values)}")
    lines.append(f"{'k':<12} {old.best.k:>9,} {new.best.k:>9,}")
    lines.append(f"{'chance auprc':<12} {'':>9} {outcome.chance_auprc:>9.4f}")
    return [*lines, ""]


def evaluate_query(
    engine: Engine,
    query: Query | PictureQuery,
    catalogue: Catalogue,
    blocks: Blocks | None = None,
) -> Report:
    """Rank the tiles of an index, and of some blocks, by a query and judge them by a catalogue.

    Example tiles of the query take no part. Raises CatalogueError where there is no tile or feature
    to judge by, ModelMismatchError for pictures embedded by another model than the index, and what
    the engine raises.
    """
    grid = engine.index.grid
    if isinstance(query, PictureQuery):
        check_encoder(engine.index, query.encoder)
        scores, examples = score_all(engine.index, query.vector), []
    else:
        scores = engine.search(query).scores
        examples = [grid.number_of(tile) for tile in query.tiles]
    truth = GroundTruth.of(catalogue, grid)
    whole = truth.evaluate(scores, left_out=examples)
    if blocks is None:
        return Report(query, engine.index, catalogue, None, whole, whole)
    outcome = truth.evaluate(scores, blocks.tiles, left_out=examples)
    return Report(query, engine.index, catalogue, blocks.name, outcome, whole)
