"""GeoJSON, with the `crs` member without which readers take the coordinates for the Earth's."""

import json

import shapely

from mars_map.export.provenance import METADATA_KEY, Provenance
from mars_map.planet.sphere import CRS_URN


def geojson(provenance: Provenance) -> bytes:
    """Return the hits as a FeatureCollection in UTF-8; rings run counterclockwise."""
    frame = provenance.table()
    corners = shapely.get_coordinates(frame.geometry.array).round(9).reshape(-1, 5, 2).tolist()
    records = frame.drop(columns="geometry").to_dict("records")
    collection = {
        "type": "FeatureCollection",
        "name": "hits",
        "crs": {"type": "name", "properties": {"name": CRS_URN}},
        METADATA_KEY: provenance.to_dict(),
        "features": [
            {
                "type": "Feature",
                "properties": record,
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
            for record, ring in zip(records, corners, strict=True)
        ],
    }
    return json.dumps(collection, ensure_ascii=False, separators=(",", ":")).encode()
