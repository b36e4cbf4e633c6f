"""GeoJSON, with the `crs` member without which readers take the coordinates for the Earth's."""

import json

import numpy as np
import shapely

from mars_map.export.provenance import METADATA_KEY, Provenance
from mars_map.planet.sphere import CRS_URN


def geojson(provenance: Provenance) -> bytes:
    """Return the rows as a FeatureCollection in UTF-8; outer rings run counterclockwise."""
    frame = provenance.table()
    outlines = shapely.orient_polygons(np.asarray(frame.geometry.array))
    records = frame.drop(columns="geometry").to_dict("records")
    collection = {
        "type": "FeatureCollection",
        "name": provenance.layer.name,
        "crs": {"type": "name", "properties": {"name": CRS_URN}},
        METADATA_KEY: provenance.to_dict(),
        "features": [
            {
                "type": "Feature",
                "properties": record,
                "geometry": json.loads(outline),
            }
            for record, outline in zip(records, shapely.to_geojson(outlines), strict=True)
        ],
    }
    return json.dumps(collection, ensure_ascii=False, separators=(",", ":")).encode()
