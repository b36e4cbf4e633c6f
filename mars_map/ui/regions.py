"""Where to search: regions by numbers, quadrangle, named feature or a file of polygons."""

from functools import cache

import streamlit as st

from mars_map.errors import MarsMapError
from mars_map.planet.coordinates import format_longitude
from mars_map.planet.gazetteer import Feature
from mars_map.planet.quadrangles import QUADRANGLES
from mars_map.planet.regions import (
    MAX_CIRCLE_KM,
    Box,
    Circle,
    LatitudeBand,
    MultiPolygon,
    Polygon,
    Quadrangle,
    Region,
    feature_circle,
)
from mars_map.ui.state import page_state
from mars_map.ui.text import plain
from mars_map.ui.uploads import on_disk
from mars_map.web import service
from mars_map.web.params import REGION_READERS, region_to_param

WHOLE_PLANET = "Whole planet"
KINDS = {
    WHOLE_PLANET: None,
    "Feature": None,
    "Quadrangle": "quad",
    "Box": "box",
    "Band": "band",
    "Circle": "circle",
    "Polygon": "polygon",
    "File": "polygons",
}
"""Choices, and the name in an address of those that are text."""
EXAMPLES = {
    "Box": "W,S,E,N such as -60,-20,-30,0",
    "Band": "S,N such as -30,30",
    "Circle": "LON,LAT,KM such as 137.8,-5.4,77",
    "Polygon": "LON,LAT; LON,LAT; LON,LAT",
}
FILE_TYPES = ("geojson", "json", "zip", "gpkg")
MAX_FILE_MB = 50
KIND_KEY, TEXT_KEY, QUADRANGLE_KEY = "mars-region-kind", "mars-region", "mars-quadrangle"
FEATURE_KEY, FILE_KEY, NOTE_KEY = "mars-feature", "mars-region-file", "mars-region-note"


def regions() -> None:
    """Draw the choice of a region."""
    with st.expander("Region", key="mars-region-box"):
        st.pills(
            "Where to search",
            list(KINDS),
            key=KIND_KEY,
            on_change=_change_kind,
            required=True,
            help="Only tiles whose centres lie in the region are ranked, so a region always gives "
            "as many hits as it can. The map has buttons to draw one.",
        )
        match st.session_state[KIND_KEY] or WHOLE_PLANET:
            case "Feature":
                _choose_feature()
            case "Quadrangle":
                _choose_quadrangle()
            case "File":
                _choose_file()
            case kind if kind in EXAMPLES:
                st.text_input(
                    "Degrees east, planetocentric latitude",
                    key=TEXT_KEY,
                    placeholder=EXAMPLES[kind],
                    on_change=_read_text,
                )
        _file_note()


def show_region(region: Region | None) -> None:
    """Let the widgets show a region that was chosen by other means than through them."""
    name, value = region_to_param(region) if region else (None, "")
    kind = next(label for label, param in KINDS.items() if param == name)
    st.session_state[QUADRANGLE_KEY] = st.session_state[FEATURE_KEY] = None
    if isinstance(region, Quadrangle):
        st.session_state[QUADRANGLE_KEY] = region.code
    if isinstance(region, Circle) and _is_feature(region):
        kind, st.session_state[FEATURE_KEY] = "Feature", region.name
    st.session_state[KIND_KEY] = kind
    st.session_state[TEXT_KEY] = value


def region_label(region: Region) -> str:
    """Say in a few words where a region is."""
    match region:
        case Quadrangle():
            return region.bounds.title
        case Circle():
            return f"{region.name or 'Circle'}, {region.radius_km:,.0f} km"
        case LatitudeBand():
            return f"{_latitude(region.south)} to {_latitude(region.north)}"
        case Box():
            west, east = (_longitude(lon) for lon in (region.west, region.east))
            return f"{west} to {east}, {_latitude(region.south)} to {_latitude(region.north)}"
        case MultiPolygon():
            n = len(region.polygons)
            return f"{n:,} polygons" if n > 1 else "Polygon with holes"
        case Polygon():
            return f"Polygon of {len(region.vertices):,} corners"
    return "Region"


def _longitude(lon: float) -> str:
    # As short as it was given, in the visitor's style.
    digits = next(n for n in range(5) if n == 4 or round(lon, n) == lon)
    return format_longitude(lon, page_state().longitudes, digits)


def _latitude(lat: float) -> str:
    return f"{abs(lat):g}° {'S' if lat < 0 else 'N'}"


def _change_kind() -> None:
    st.session_state[TEXT_KEY] = ""
    st.session_state[QUADRANGLE_KEY] = st.session_state[FEATURE_KEY] = None
    if st.session_state[KIND_KEY] == WHOLE_PLANET:
        page_state().ask(region=None)


def _read_text() -> None:
    text = st.session_state[TEXT_KEY]
    try:
        name = KINDS[st.session_state[KIND_KEY]]
        region: Region | None = REGION_READERS[name](text) if text.strip() else None
    except MarsMapError as error:
        page_state().problem = str(error)
    else:
        page_state().ask(region=region)


def _choose_quadrangle() -> None:
    def take() -> None:
        code = st.session_state[QUADRANGLE_KEY]
        page_state().ask(region=Quadrangle(code) if code else None)

    st.selectbox(
        "Quadrangle of the USGS",
        list(QUADRANGLES),
        index=None,
        format_func=lambda code: QUADRANGLES[code].title,
        key=QUADRANGLE_KEY,
        placeholder="MC-01 to MC-30",
        on_change=take,
    )


def _choose_feature() -> None:
    def take() -> None:
        name = st.session_state[FEATURE_KEY]
        page_state().ask(region=feature_circle(_features()[name]) if name else None)

    try:
        names = list(_features())
    except MarsMapError as error:
        st.error(plain(str(error), 400))
        return
    st.selectbox(
        "Named feature",
        names,
        index=None,
        key=FEATURE_KEY,
        placeholder="Type a name, such as Gale",
        on_change=take,
        help="A circle on the sphere with the feature's centre and diameter, after the IAU.",
    )


@cache
def _features() -> dict[str, Feature]:
    """Return the features that have a size, by name in the order of the alphabet."""
    sized = [f for f in service().gazetteer.features if f.diameter_km]
    fitting = [f for f in sized if f.diameter_km / 2 <= MAX_CIRCLE_KM]
    return {feature.name: feature for feature in sorted(fitting)}


def _is_feature(circle: Circle) -> bool:
    """Whether a circle is that of the feature whose name it has."""
    try:
        feature = _features().get(circle.name)
    except MarsMapError:
        return False
    return feature is not None and feature_circle(feature) == circle


def _choose_file() -> None:
    # A new key after each file empties the uploader, so that the same file can be given again.
    number = st.session_state.setdefault(f"{FILE_KEY}-number", 0)
    key = f"{FILE_KEY}-{number}"

    def take() -> None:
        upload = st.session_state[key]
        if upload is None:
            return
        # Reading vector files takes libraries that a search does not need.
        from mars_map.evaluation.areas import read_area

        st.session_state[f"{FILE_KEY}-number"] = number + 1
        try:
            with on_disk(upload) as path:
                area = read_area(path)
        except MarsMapError as error:
            page_state().problem = str(error)
        else:
            st.session_state[NOTE_KEY] = area.region, area.note
            page_state().ask(region=area.region)

    st.file_uploader(
        "Polygons",
        FILE_TYPES,
        key=key,
        max_upload_size=MAX_FILE_MB,
        on_change=take,
        help="GeoJSON, a zipped shapefile or a GeoPackage in any reference system of Mars.",
    )


def _file_note() -> None:
    """Say what had to be done to the polygons of a file, as long as they are the region."""
    of, note = st.session_state.get(NOTE_KEY, (None, ""))
    region = page_state().limits.region
    if region is not None and region == of:
        st.caption(plain(note, 400))
    elif isinstance(region, MultiPolygon):
        st.caption(region_label(region))
