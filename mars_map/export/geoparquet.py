"""GeoParquet: the only one of the formats that gives the CRS back with its authority."""

import io

from mars_map.export.provenance import METADATA_KEY, Provenance


def geoparquet(provenance: Provenance) -> bytes:
    """Return the rows; the provenance is in the file's key-value metadata."""
    import pyarrow.parquet as pq

    plain = io.BytesIO()
    provenance.table().to_parquet(plain, index=False)
    table = pq.read_table(plain)
    metadata = {**table.schema.metadata, METADATA_KEY: provenance.to_json()}
    file = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), file, compression="zstd")
    return file.getvalue()
