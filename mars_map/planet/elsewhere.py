"""Where others show or keep a place on Mars: addresses made from coordinates, nothing is fetched.

Murray Lab's CTX mosaic V01 (Dickson et al. 2023) comes in quads of four degrees, named by their
south-west corner. NASA's Mars Trek opens at a point. PDS's Orbital Data Explorer (ODE) lists the
products whose footprints touch a box.
"""

from typing import NamedTuple
from urllib.parse import urlencode

import numpy as np

from mars_map.planet.coordinates import wrap_longitude

QUAD_DEGREES = 4
QUAD_LIMIT = 88
"""Latitude that the CTX mosaic reaches, north and south."""
QUADS = "https://murray-lab.caltech.edu/CTX/V01/tiles/"
TREK = "https://trek.nasa.gov/mars/"
ODE = "https://oderest.rsl.wustl.edu/live2/"
ODE_PRODUCTS = {"CTX images": ("CTX", "EDR"), "HiRISE images": ("HIRISE", "RDRV11")}
"""What is asked of ODE: instrument and product type, all of the Mars Reconnaissance Orbiter."""


class Link(NamedTuple):
    """An address elsewhere."""

    title: str
    address: str


def ctx_quad_name(lon: float, lat: float) -> str | None:
    """Return the name of the CTX quad over a point, such as "E-004_N-08"; None beyond 88 degrees.

    lon: degrees east, any turn. A point on an edge belongs to the quad north and east of it.
    """
    if not -QUAD_LIMIT <= lat < QUAD_LIMIT:
        return None
    west, south = (
        int(np.floor(value / QUAD_DEGREES)) * QUAD_DEGREES
        for value in (float(wrap_longitude(lon)), lat)
    )
    return f"E{_signed(west, 3)}_N{_signed(south, 2)}"


def place_links(bounds: tuple[float, float, float, float]) -> list[Link]:
    """Return what others have of a box: west, south, east, north, degrees, planetocentric."""
    west, south, east, north = bounds
    lon, lat = (west + east) / 2, (south + north) / 2
    links = []
    quad = ctx_quad_name(lon, lat)
    if quad:
        links.append(Link(f"CTX quad {quad}", f"{QUADS}MurrayLab_GlobalCTXMosaic_V01_{quad}.zip"))
    links += [
        Link(f"{title} (PDS ODE)", _ode(instrument, kind, bounds))
        for title, (instrument, kind) in ODE_PRODUCTS.items()
    ]
    point = urlencode({"v": "0.1", "x": f"{lon:.4f}", "y": f"{lat:.4f}", "z": "8"})
    return [*links, Link("Mars Trek", f"{TREK}#{point}")]


def _ode(instrument: str, kind: str, bounds: tuple[float, float, float, float]) -> str:
    west, south, east, north = bounds
    asked = {
        "query": "product",
        "target": "mars",
        "ihid": "MRO",
        "iid": instrument,
        "pt": kind,
        "results": "p",
        "output": "XML",
        # ODE counts longitudes from 0 to 360.
        "westernlon": f"{west % 360.0:.4f}",
        "easternlon": f"{east % 360.0 or 360.0:.4f}",
        "minlat": f"{south:.4f}",
        "maxlat": f"{north:.4f}",
    }
    return f"{ODE}?{urlencode(asked)}"


def _signed(value: int, digits: int) -> str:
    return f"{'-' if value < 0 else ''}{abs(value):0{digits}d}"
