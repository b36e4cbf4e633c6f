"""A result as a figure for print: map, graticule, scale, colours and caption.

    result_figure(result).savefig("dunes.pdf")

Basemap and heat map are one picture of the paper's resolution; outlines and letters stay vectors in
SVG and PDF, so that a journal can set them anew.
"""

import io
import itertools
import json
import textwrap
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from mars_map.maps.basemap import Basemaps
from mars_map.maps.drawing import (
    LETTERS_PT,
    MAP_MM,
    MILLIMETRE,
    draw_graticule,
    draw_outlines,
    draw_region,
    draw_scale_bar,
)
from mars_map.maps.footprints import SHORT_HASH
from mars_map.maps.frames import Frame, PolarFrame, frame_of
from mars_map.maps.heat import HIGH_QUANTILE, LOW_QUANTILE, heat_palette, heat_scale, tile_levels
from mars_map.planet.sphere import CRS_AUTHORITY
from mars_map.search import Result

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties

WIDTH_MM = 180.0
"""Width of a figure over two columns of a journal."""
MAX_MAP_HEIGHT_MM = 142.0
LEFT_MM, TOP_MM = 13.0, 5.0
POLAR_ROOM_MM = 12.0
"""How much narrower a round map is, for the labels round it."""
LINE_MM = 3.1
"""Height of a line of the caption."""
MAX_WORD = 80
"""Letters of the longest word that the caption leaves whole."""
DPI = 300
CAPTION_PT = 6.5
HEAT_OPACITY = 0.85
"""Opacity of the heat map where its colours are full; shapes of the ground show through."""

_one_at_a_time = threading.RLock()
"""Matplotlib's settings belong to the process."""


def result_figure(
    result: Result,
    *,
    basemaps: Basemaps | None = None,
    layer: str = "relief",
    record: dict[str, Any] | None = None,
) -> "Figure":
    """Return a matplotlib figure of a result, 180 mm wide.

    It shows the query's region, or the planet. basemaps: where the picture below comes from; the
    embedded ones if not given. layer: which of them, in grey. record: the provenance whose program
    and date the caption tells. Raises BasemapError where the picture is absent or damaged.
    """
    from matplotlib.figure import Figure

    frame = frame_of(result.query.region)
    basemaps = basemaps or Basemaps()
    caption = caption_of(result, frame, basemaps.layer(layer).credit, record)
    # Round maps have their labels outside of the rim.
    room = POLAR_ROOM_MM if isinstance(frame, PolarFrame) else 0.0
    map_width = min(MAP_MM - room, MAX_MAP_HEIGHT_MM / frame.ratio)
    map_height = map_width * frame.ratio
    with _settings():
        caption = _wrapped(caption, (WIDTH_MM - 2 * LEFT_MM) * MILLIMETRE)
        below = 9.0 + room / 3 + LINE_MM * (caption.count("\n") + 1)
        height = TOP_MM + room / 2 + map_height + below
        figure = Figure(figsize=(WIDTH_MM * MILLIMETRE, height * MILLIMETRE), dpi=DPI)
        left = LEFT_MM + (MAP_MM - map_width) / 2
        place = (left / WIDTH_MM, below / height, map_width / WIDTH_MM, map_height / height)
        axes = figure.add_axes(place, label="map")
        width = round(map_width * MILLIMETRE * DPI)
        grey = _grey(frame.picture(basemaps.raster(layer), width, round(width * frame.ratio)))
        axes.imshow(
            _with_heat(result, frame, grey),
            extent=frame.extent,
            interpolation="none",
            aspect="auto",
        )
        axes.set_autoscale_on(False)
        draw_region(axes, frame, result)
        draw_outlines(axes, frame, result)
        draw_graticule(axes, frame)
        draw_scale_bar(axes, frame)
        bar = (left + map_width + 5.0 + room / 2) / WIDTH_MM
        bar_place = (bar, (below + map_height * 0.1) / height, 3 / WIDTH_MM, place[3] * 0.8)
        _draw_colour_bar(figure, bar_place, result, float(grey.mean()))
        figure.text(
            LEFT_MM / WIDTH_MM, (below - 8.0 - room / 3) / height, caption,
            fontsize=CAPTION_PT, va="top", linespacing=1.25, parse_math=False,
        )  # fmt: skip
    return figure


def figure_bytes(
    result: Result,
    form: Literal["png", "svg", "pdf"],
    *,
    record: dict[str, Any] | None = None,
    date: datetime | None = None,
    basemaps: Basemaps | None = None,
) -> bytes:
    """Return the figure as a file that carries `record`; letters stay letters in SVG and PDF.

    date: what the file gives as its date; now if None. Raises like `result_figure`.
    """
    with _settings():
        figure = result_figure(result, basemaps=basemaps, record=record)
        about = dict(record or {}) | {"frame": frame_record(figure, frame_of(result.query.region))}
        file = io.BytesIO()
        text = json.dumps(about, ensure_ascii=form == "pdf")
        metadata = _metadata(form, result.query.label, text, date or datetime.now(UTC))
        figure.savefig(file, format=form, dpi=DPI, metadata=metadata)
    return file.getvalue()


def frame_record(figure: "Figure", frame: Frame) -> dict[str, Any]:
    """Return where the map lies in the figure: enough to georeference the picture again.

    `crs`, `extent` (left, right, bottom, top in the CRS's units), and `pixels`: left, right, bottom
    and top of the map in pixels of the PNG, counted from its upper left corner.
    """
    (axes,) = (a for a in figure.axes if a.get_label() == "map")
    box = axes.get_position()
    width, height = figure.get_size_inches() * DPI
    pixels = (box.x0 * width, box.x1 * width, (1 - box.y0) * height, (1 - box.y1) * height)
    return {
        "crs": frame.crs,
        "extent": [round(float(v), 6) for v in frame.extent],
        "pixels": [round(float(v), 3) for v in pixels],
    }


def caption_of(result: Result, frame: Frame, credit: str, record: dict[str, Any] | None) -> str:
    """Return what the figure shows and where it comes from, in full sentences."""
    manifest, hits = result.index.manifest, len(result.hits)
    shown = f"outlines are the {hits:,} best tiles" if hits else "no tile is a hit"
    made = f"{record['program']}, {record['date'][:10]}." if record else ""
    estimate = result.estimate.sentence if result.estimate else ""
    north = "" if isinstance(frame, PolarFrame) else "north is up, "
    sentences = (
        f"“{result.query.label}” on Mars.",
        "Colours are the cosine similarity of each tile to the query, from the "
        f"{LOW_QUANTILE * 100:g} % to the {HIGH_QUANTILE * 100:g} % quantile of all tiles;",
        f"{shown}.",
        estimate,
        f"Projection: {north}{frame.title}; planetocentric latitude, longitude positive east,",
        f"sphere of 3,396.19 km ({':'.join(CRS_AUTHORITY)}).",
        f"Model {manifest.model.id} (sha256 {manifest.model.sha256[:SHORT_HASH]});",
        f"index {result.index.digest[:SHORT_HASH]} of {result.index.n_tiles:,} tiles, made from",
        f"{manifest.source}. Licence: {manifest.licence}. Basemap: {credit}.",
        made,
    )
    return " ".join(sentence for sentence in sentences if sentence)


def _wrapped(caption: str, inches: float) -> str:
    """Break a text into lines of that width."""
    from matplotlib.font_manager import FontProperties

    font = FontProperties()
    # A space alone has no outline to measure.
    space = _length("a a", font) - _length("aa", font)
    lines, room = [[]], inches * 72
    # A word without end, such as a path, is cut, so that nothing runs over the border.
    for word in itertools.chain(*(textwrap.wrap(word, MAX_WORD) for word in caption.split())):
        needed = _length(word, font) + space
        if needed > room:
            lines.append([])
            room = inches * 72
        lines[-1].append(word)
        room -= needed
    return "\n".join(" ".join(line) for line in lines)


def _length(text: str, font: "FontProperties") -> float:
    """Return how wide a text is in the caption, points."""
    from matplotlib.textpath import TextPath

    return float(TextPath((0, 0), text, CAPTION_PT, prop=font).get_extents().x1)


def _grey(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return a picture's brightness, 0 to 255, a little lighter for print."""
    grey = rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return 255.0 - (255.0 - grey) * 0.85


def _with_heat(result: Result, frame: Frame, grey: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the basemap with the heat map on it, (height, width, 3)."""
    height, width = grey.shape
    lon, lat = frame.lonlat(width, height)
    levels = tile_levels(result.scores, result.region_mask)
    colours = heat_palette()[levels[result.index.grid.tile_at(lon, lat)]]
    return _blended(colours, grey[..., np.newaxis])


def _blended(colours: NDArray[np.uint8], below: NDArray[np.float32] | float) -> NDArray[np.uint8]:
    """Return colours with their opacity on something grey, without the opacity."""
    alpha = colours[..., 3:].astype(np.float32) * (HEAT_OPACITY / 255.0)
    return np.rint(colours[..., :3] * alpha + below * (1.0 - alpha)).astype(np.uint8)


def _draw_colour_bar(
    figure: "Figure", place: tuple[float, float, float, float], result: Result, below: float
) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap, Normalize

    low, high = heat_scale(result.scores)
    colours = ListedColormap(_blended(heat_palette(), below) / 255.0)
    axes = figure.add_axes(place, label="colours")
    bar = figure.colorbar(
        ScalarMappable(Normalize(low, max(high, low + 1e-9)), colours), cax=axes, extend="both"
    )
    bar.outline.set_linewidth(0.5)
    bar.ax.tick_params(labelsize=LETTERS_PT, length=2, width=0.5, pad=2)
    bar.set_label("Cosine similarity", fontsize=LETTERS_PT, labelpad=4)
    bar.solids.set_rasterized(True)


def _metadata(form: str, title: str, record: str, date: datetime) -> dict[str, Any]:
    """Return what the file says about itself, under the names that its format has for it."""
    match form:
        case "png":
            return {"Title": title, "Software": "mars_map", "mars_map": record}
        case "svg":
            return {"Title": title, "Description": record, "Date": date.isoformat()}
        case _:
            return {"Title": title, "Keywords": record, "CreationDate": date, "ModDate": date}


@contextmanager
def _settings() -> Iterator[None]:
    """Set letters for print, for one thread at a time."""
    import matplotlib

    letters = {
        "font.family": "sans-serif",
        "font.sans-serif": list(_fonts()),
        "svg.fonttype": "none",
        # The same result gives the same file.
        "svg.hashsalt": "mars_map",
        "pdf.fonttype": 42,
        "text.parse_math": False,
        "axes.formatter.use_mathtext": False,
    }
    with _one_at_a_time, matplotlib.rc_context(letters), warnings.catch_warnings():
        # A letter that no font has is drawn as a box; SVG has it all the same.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


@cache
def _fonts() -> tuple[str, ...]:
    """Return the sans-serif fonts of this machine, the one that comes with matplotlib first."""
    from matplotlib import font_manager

    wanted = ("DejaVu Sans", "Noto Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "Noto Emoji")
    present = {font.name for font in font_manager.fontManager.ttflist}
    return tuple(name for name in wanted if name in present)
