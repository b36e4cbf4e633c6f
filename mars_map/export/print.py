"""The result as a figure for print: PNG, SVG and PDF; each carries the provenance."""

from typing import Literal

from mars_map.export.provenance import Provenance


def png(provenance: Provenance) -> bytes:
    """Return the figure at 300 dots an inch; the provenance is the text "mars_map" of the file."""
    return _figure(provenance, "png")


def svg(provenance: Provenance) -> bytes:
    """Return the figure with its letters as text; the provenance is the file's description."""
    return _figure(provenance, "svg")


def pdf(provenance: Provenance) -> bytes:
    """Return the figure with its fonts embedded; the provenance is in the file's keywords."""
    return _figure(provenance, "pdf")


def _figure(provenance: Provenance, form: Literal["png", "svg", "pdf"]) -> bytes:
    # Imported here: matplotlib takes a second, and the first page must not wait for it.
    from mars_map.maps.figure import figure_bytes

    record = provenance.to_dict()
    return figure_bytes(provenance.result, form, record=record, date=provenance.date)
