"""The heat map as a raster of scores for GIS."""

from mars_map.export.provenance import METADATA_KEY, Provenance
from mars_map.maps.heat import score_geotiff


def heat_geotiff(provenance: Provenance) -> bytes:
    """Return the scores of all tiles of the query's region as GeoTIFF; NaN outside of it."""
    result = provenance.result
    tags = {METADATA_KEY: provenance.to_json()}
    return score_geotiff(result.scores, result.index.grid, mask=result.region_mask, tags=tags)
