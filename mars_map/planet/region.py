"""What every region of the planet can do."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray


class Region(ABC):
    """Part of the planet. Values are immutable, hashable and go to plain dicts and back."""

    kind: ClassVar[str]

    @abstractmethod
    def contains(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """Tell for points in degrees whether they lie inside; borders are inside."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return the region as plain values; `region_from_dict` reads it back."""

    @abstractmethod
    def geometry(self) -> shapely.Geometry:
        """Return the region as (multi)polygon in [-180, 180] degrees, split at the antimeridian."""
