"""GeoPackage: one layer of hits; the provenance is the metadata of the layer."""

import io

from mars_map.export.provenance import METADATA_KEY, Provenance


def geopackage(provenance: Provenance) -> bytes:
    """Return the hits as the layer "hits"."""
    import pyogrio

    file = io.BytesIO()
    pyogrio.write_dataframe(
        provenance.table(),
        file,
        layer="hits",
        driver="GPKG",
        geometry_type="Polygon",
        layer_metadata={METADATA_KEY: provenance.to_json()},
    )
    return file.getvalue()
