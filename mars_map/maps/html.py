"""A result as a map in one HTML file, and as a map for notebooks.

The HTML file draws without a network: Leaflet comes out of the package XStatic-Leaflet and is
written into the file, and so are the basemap, the heat map and the footprints.

Nothing that a user or a catalogue wrote is ever markup, script or template. folium renders what its
elements return as a Jinja template once more, so that even escaped JSON with `{{ }}` in it would be
executed in Python: values reach scripts only through `_script_json`, which leaves no brace.
"""

import base64
import html
import io
import json
from functools import cache
from typing import TYPE_CHECKING, Any

import folium
import numpy as np
from branca.element import MacroElement
from folium.raster_layers import ImageOverlay
from folium.template import Template
from PIL import Image

from mars_map.maps.basemap import Basemaps
from mars_map.maps.heat import heat_palette, heat_png, heat_scale
from mars_map.maps.leaflet import leaflet_folder
from mars_map.planet.sphere import RADIUS_M
from mars_map.search import Result

if TYPE_CHECKING:
    from leafmap.foliumap import Map as LeafmapMap

PLANET = [[-90.0, -180.0], [90.0, 180.0]]
BASEMAP_WIDTH = 4096
"""Pixels of the basemap in the file, about 1.5 MB; five kilometres each."""
HEAT_OPACITY = 0.8
ACCENT = "#00e5ff"
"""Colour of footprints: far from the reds of Mars and from the colours of the heat map."""


def result_map(
    result: Result, *, basemaps: Basemaps | None = None, record: dict[str, Any] | None = None
) -> folium.Map:
    """Return a standalone map of a result; `.save("dunes.html")` writes it.

    basemaps: where the picture of Mars comes from; the embedded ones if not given. record: plain
    values to carry in the file as JSON, such as the provenance. Raises BasemapError where the
    picture is absent or damaged.
    """
    planet_map = folium.Map(
        location=[0, 0], zoom_start=1, crs="EPSG4326", tiles=None, zoom_snap=0.25, max_zoom=10
    )
    # Instead of links to Leaflet, jQuery and Bootstrap on other people's servers.
    planet_map.default_js, planet_map.default_css = [], []
    head = planet_map.get_root().header
    head.add_child(_Inline("style", _leaflet_style()), name="leaflet_css")
    head.add_child(_Inline("script", _leaflet_file("leaflet.js").decode()), name="leaflet")
    _add_layers(planet_map, result, basemaps or Basemaps())
    if record is not None:
        planet_map.get_root().html.add_child(_Record(record))
    return planet_map


def leafmap_map(result: Result, *, basemaps: Basemaps | None = None) -> "LeafmapMap":
    """Return a leafmap map of a result for a notebook.

    The basemap and the result are embedded, but leafmap itself loads Leaflet and its plug-ins from
    public servers: without a network use `result_map`. Raises BasemapError like it.
    """
    import leafmap.foliumap as leafmap

    planet_map = leafmap.Map(
        center=[0, 0],
        zoom=1,
        crs="EPSG4326",
        tiles=None,
        scale_control=False,
        zoom_snap=0.25,
    )
    _add_layers(planet_map, result, basemaps or Basemaps())
    return planet_map


def _add_layers(planet_map: folium.Map, result: Result, basemaps: Basemaps) -> None:
    """Put basemap, heat map, footprints, legend, scale and coordinates on a map."""
    picture = _data_uri(_jpeg(basemaps.planet("viking", BASEMAP_WIDTH)), "image/jpeg")
    credit = basemaps.layer("viking").credit
    ImageOverlay(
        picture, PLANET, pixelated=False, overlay=False, control=False, attribution=credit
    ).add_to(planet_map)
    heat = heat_png(result.scores, result.index.grid, mask=result.region_mask)
    ImageOverlay(
        _data_uri(heat, "image/png"),
        PLANET,
        pixelated=False,
        name="Heat map",
        opacity=HEAT_OPACITY,
        class_name="mars-heat",
    ).add_to(planet_map)
    _Footprints(result).add_to(planet_map)
    folium.LayerControl(collapsed=False).add_to(planet_map)
    planet_map.fit_bounds(PLANET)
    planet_map.add_child(_Furniture(result))
    planet_map.get_root().title = html.escape(f"{result.query.label} · Mars")


class _Inline(MacroElement):
    """A script or style sheet written into the page; its text is not a template."""

    _template = Template("<{{ this.tag }}>{{ this.text }}</{{ this.tag }}>")

    def __init__(self, tag: str, text: str) -> None:
        super().__init__()
        self.tag, self.text = tag, text

    def render(self, **kwargs: Any) -> str:
        return self._template.render(this=self, kwargs=kwargs)


class _Record(MacroElement):
    """Plain values that other programs can read out of the page."""

    _template = Template(
        '<script type="application/json" id="mars_map">{{ this.values|tojson }}</script>'
    )

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__()
        self.values = values

    def render(self, **kwargs: Any) -> str:
        return self._template.render(this=self, kwargs=kwargs)


class _Footprints(folium.map.Layer):
    """The outlines of the hits on one canvas, with rank and score under the pointer."""

    _template = Template(
        """
        {% macro script(this, kwargs) %}
            var {{ this.get_name() }} = L.layerGroup();
            (function (boxes, tiles, scores) {
                var style = {renderer: L.canvas({padding: 0.5}), color: {{ this.colour|tojson }},
                             weight: 1, fillOpacity: 0};
                boxes.forEach(function (box, i) {
                    var label = function () {
                        var node = document.createElement("span");
                        node.textContent = [i + 1, scores[i].toFixed(3), tiles[i]].join(" · ");
                        return node;
                    };
                    L.rectangle([[box[1], box[0]], [box[3], box[2]]], style)
                        .bindTooltip(label).addTo({{ this.get_name() }});
                });
            })({{ this.boxes }}, {{ this.tiles }}, {{ this.scores }});
        {% endmacro %}
        """
    )

    def __init__(self, result: Result) -> None:
        super().__init__(name="Footprints", overlay=True, control=True, show=True)
        self._name = "Footprints"
        self.colour = ACCENT
        self.boxes = _script_json(result.index.grid.bounds(result.hits).round(5).tolist())
        self.tiles = _script_json(result.index.grid.names(result.hits).tolist())
        self.scores = _script_json(result.hit_scores.astype(float).round(4).tolist())


class _Furniture(MacroElement):
    """Caption, legend, coordinates under the pointer, and a scale that knows the size of Mars."""

    _template = Template(
        """
        {% macro header(this, kwargs) %}
            <style>
                .mars-heat { image-rendering: pixelated; }
                .mars-card { background: #fffd; color: #222; padding: 8px 12px; border-radius: 6px;
                             font: 13px/1.45 system-ui, sans-serif; max-width: 320px;
                             overflow-wrap: anywhere; }
                .mars-title { font-weight: 600; }
                .mars-ramp { height: 8px; margin: 6px 0 2px; background: linear-gradient(
                             to right, {{ this.colours|join(", ") }}); }
                .mars-ends { display: flex; justify-content: space-between; }
            </style>
        {% endmacro %}
        {% macro script(this, kwargs) %}
            (function (map, [title, hits, low, high]) {
                L.CRS.EPSG4326.R = {{ this.radius|tojson }};
                L.control.scale({imperial: false}).addTo(map);
                var card = function (position, lines) {
                    var control = L.control({position: position});
                    control.onAdd = function () {
                        var node = L.DomUtil.create("div", "mars-card");
                        lines.forEach(function (line) { node.append(line); });
                        return node;
                    };
                    control.addTo(map);
                };
                var element = function (kind, text) {
                    var node = document.createElement("div");
                    node.className = kind;
                    node.textContent = text || "";
                    return node;
                };
                var ends = element("mars-ends");
                ends.append(element("", low), element("", high));
                card("topright", [element("mars-title", title), element("", hits),
                                  element("mars-ramp"), ends]);
                var place = element("", "");
                card("bottomleft", [place]);
                map.on("mousemove", function (event) {
                    var lat = event.latlng.lat, lon = event.latlng.lng;
                    place.textContent = Math.abs(lat).toFixed(2) + "° " + (lat < 0 ? "S" : "N")
                        + ", " + Math.abs(lon).toFixed(2) + "° " + (lon < 0 ? "W" : "E");
                });
            })({{ this._parent.get_name() }}, {{ this.words }});
        {% endmacro %}
        """
    )

    def __init__(self, result: Result) -> None:
        super().__init__()
        self._name = "Furniture"
        scale = heat_scale(result.scores)
        stops = heat_palette()[np.linspace(0, 255, 16).astype(int), :3].tolist()
        self.colours = [f"rgb({r} {g} {b})" for r, g, b in stops]
        self.radius = RADIUS_M
        self.words = _script_json(
            [
                result.query.label,
                f"{len(result.hits):,} tiles, by cosine similarity",
                f"{scale.low:.3f}",
                f"{scale.high:.3f}",
            ]
        )


def _script_json(values: list[Any]) -> str:
    """Return lists of texts and numbers as JSON that is safe in a script and in a template.

    values: no dictionaries, since their braces could not be told from a text's.
    """
    text = json.dumps(values, separators=(",", ":"))
    for sign in "<>&{}":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


@cache
def _leaflet_style() -> str:
    """Return Leaflet's style sheet with its pictures in it, as XStatic-Leaflet has them."""
    style = _leaflet_file("leaflet.css").decode()
    for name in ("layers.png", "layers-2x.png", "marker-icon.png"):
        picture = _data_uri(_leaflet_file(f"images/{name}"), "image/png")
        style = style.replace(f"url(images/{name})", f"url({picture})")
    return style


def _leaflet_file(name: str) -> bytes:
    return (leaflet_folder() / name).read_bytes()


def _jpeg(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    return file.getvalue()


def _data_uri(data: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"
