"""GeoPackage: one layer, of hits for example; the provenance is the metadata of the layer."""

import io

from mars_map.export.provenance import METADATA_KEY, Provenance


def geopackage(provenance: Provenance) -> bytes:
    """Return the rows as one layer, "hits" unless told otherwise."""
    import pyogrio

    file = io.BytesIO()
    pyogrio.write_dataframe(
        provenance.table(),
        file,
        layer=provenance.layer.name,
        driver="GPKG",
        geometry_type=provenance.layer.geometry_type,
        layer_metadata={METADATA_KEY: provenance.to_json()},
    )
    return file.getvalue()
