"""A map in one HTML file, for people without a GIS."""

from mars_map.export.provenance import Provenance
from mars_map.maps.html import result_map


def html_page(provenance: Provenance) -> bytes:
    """Return the standalone map of the hits; the provenance is in it as JSON."""
    return result_map(provenance.result, record=provenance.to_dict()).get_root().render().encode()
