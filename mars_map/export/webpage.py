"""A map in one HTML file, for people without a GIS."""

from mars_map.export.provenance import Provenance


def html_page(provenance: Provenance) -> bytes:
    """Return the standalone map of the hits; the provenance is in it as JSON."""
    # Imported here: folium takes a second, and the first page must not wait for it.
    from mars_map.maps.html import result_map

    return result_map(provenance.result, record=provenance.to_dict()).get_root().render().encode()
