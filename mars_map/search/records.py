"""A result as plain values: what the shell prints with --format json and the server answers."""

from typing import Any

import numpy as np

from mars_map.search.engine import Result


def result_record(result: Result) -> dict[str, Any]:
    """Return a result as one JSON-ready object.

    Keys: `query` (as `Query.to_dict`), `index` (digest, grid, n_tiles, synthetic), `model` (id,
    sha256), `hits` (each tile, lon, lat, score, rank, bounds [w, s, e, n] in degrees), `timing_ms`
    (encode, score, rank, total); and where there is one, `refinement` (what tiles called right and
    wrong did to the query) and `estimate` (as `Estimate.to_dict`).
    """
    manifest = result.index.manifest
    record = {
        "query": result.query.to_dict(),
        "index": {
            "digest": result.index.digest,
            "grid": manifest.grid.to_dict(),
            "n_tiles": result.index.n_tiles,
            "synthetic": manifest.synthetic,
        },
        "model": {"id": manifest.model.id, "sha256": manifest.model.sha256},
        "hits": hit_records(result),
        "timing_ms": {name: round(ms, 3) for name, ms in result.timing_ms.items()},
    }
    record |= {"refinement": result.refinement} if result.refinement else {}
    return record | ({"estimate": result.estimate.to_dict()} if result.estimate else {})


def hit_records(result: Result) -> list[dict[str, Any]]:
    """Return the hits, best first, each as plain values; degrees are rounded to 1e-6."""
    grid = result.index.grid
    bounds = grid.bounds(result.hits)
    centers = np.round((bounds[:, :2] + bounds[:, 2:]) / 2, 6)
    bounds = np.round(bounds, 6)
    rows = zip(
        grid.names(result.hits), centers.tolist(), result.hit_scores, bounds.tolist(), strict=True
    )
    return [
        {
            "tile": tile,
            "lon": lon,
            "lat": lat,
            "score": round(float(score), 6),
            "rank": rank,
            "bounds": box,
        }
        for rank, (tile, (lon, lat), score, box) in enumerate(rows, start=1)
    ]
