"""The thirty quadrangles of Mars, MC-01 to MC-30, in which USGS maps the planet at 1:5,000,000.

Bounds after Batson, Bridges and Inge (1979), Atlas of Mars, NASA SP-438: two polar quadrangles, and
between them bands of 6, 8, 8 and 6, numbered from 180 W eastwards and from north to south.
"""

import re
from typing import NamedTuple

from mars_map.errors import RegionError


class QuadrangleBounds(NamedTuple):
    """A quadrangle's name and borders."""

    code: str
    """Number, such as "MC-23"."""
    name: str
    """Name, such as "Aeolis"."""
    west: float
    """Degrees east in [-180, 180]."""
    south: float
    """Degrees."""
    east: float
    """Degrees east in [-180, 180]."""
    north: float
    """Degrees."""

    @property
    def title(self) -> str:
        """Number and name."""
        return f"{self.code} {self.name}"


_BANDS = (
    (65.0, 90.0, "Mare Boreum"),
    (30.0, 65.0, "Diacria, Arcadia, Mare Acidalium, Ismenius Lacus, Casius, Cebrenia"),
    (0.0, 30.0, "Amazonis, Tharsis, Lunae Palus, Oxia Palus, "
                "Arabia, Syrtis Major, Amenthes, Elysium"),
    (-30.0, 0.0, "Memnonia, Phoenicis Lacus, Coprates, Margaritifer Sinus, "
                 "Sinus Sabaeus, Iapygia, Mare Tyrrhenum, Aeolis"),
    (-65.0, -30.0, "Phaethontis, Thaumasia, Argyre, Noachis, Hellas, Eridania"),
    (-90.0, -65.0, "Mare Australe"),
)  # fmt: skip
"""South, north and the names from 180 W eastwards of each band."""


def _all() -> dict[str, QuadrangleBounds]:
    found = {}
    for south, north, listed in _BANDS:
        names = listed.split(", ")
        width = 360.0 / len(names)
        for column, name in enumerate(names):
            code, west = f"MC-{len(found) + 1:02d}", -180.0 + column * width
            found[code] = QuadrangleBounds(code, name, west, south, west + width, north)
    return found


QUADRANGLES = _all()
"""All thirty by code."""


def find_quadrangle(text: str) -> QuadrangleBounds:
    """Return the quadrangle of a code or name: "MC-23", "mc23", "23" or "Aeolis".

    Raises RegionError where there is none.
    """
    wanted = " ".join(text.split()).casefold()
    number = re.fullmatch(r"(?:mc)?[\s-]*0*(\d{1,2})(?:\s.*)?", wanted)
    if number and f"MC-{int(number[1]):02d}" in QUADRANGLES:
        return QUADRANGLES[f"MC-{int(number[1]):02d}"]
    for quadrangle in QUADRANGLES.values():
        if quadrangle.name.casefold() == wanted:
            return quadrangle
    raise RegionError(
        f'Mars has no quadrangle "{text.strip()[:40]}"; use MC-01 to MC-30 or a name such as '
        "Aeolis."
    )
