"""Basemaps that the page offers: the embedded ones, and NASA Trek's where there is a network."""

from typing import TypedDict

from mars_map.maps.basemap import Basemaps


class LayerRecord(TypedDict):
    """A basemap as the map takes it."""

    id: str
    title: str
    url: str
    """With {z}, {x}, {y}; relative to `/mars/` unless online."""
    max_zoom: int
    """Finest level of the pictures; the map enlarges them beyond."""
    online: bool
    """Whether the browser fetches it from the internet, which it does only when it is chosen."""
    credit: str
    """Whom to thank for it."""


def basemap_layers(basemaps: Basemaps) -> list[LayerRecord]:
    """Return all basemaps, the default first."""
    embedded = [
        LayerRecord(
            id=layer.key,
            title=layer.title,
            url=f"basemap/{layer.key}/{{z}}/{{x}}/{{y}}.jpg",
            max_zoom=layer.max_zoom,
            online=False,
            credit=layer.credit,
        )
        for layer in basemaps.layers.values()
    ]
    return [*embedded, *TREK_LAYERS]


def _trek(key: str, title: str, layer: str) -> LayerRecord:
    return LayerRecord(
        id=key,
        title=f"{title} (online)",
        url=f"https://trek.nasa.gov/tiles/Mars/EQ/{layer}/1.0.0/default/default028mm/"
        "{z}/{y}/{x}.jpg",
        max_zoom=8,
        online=True,
        credit="NASA Mars Trek",
    )


TREK_LAYERS = (
    _trek("themis", "THEMIS 100 m", "Mars_MO_THEMIS-IR-Day_mosaic_global_100m_v12_clon0_ly"),
    _trek("viking232", "Viking 232 m", "Mars_Viking_MDIM21_ClrMosaic_global_232m"),
    _trek("mola463", "MOLA 463 m", "Mars_MGS_MOLA_ClrShade_merge_global_463m"),
)
"""NASA Trek's WMTS layers: plate carrée with two tiles at level 0, as our own."""
