"""A covariate of somebody's own with its values as text, the way a session file holds it.

Every value comes back to the last bit. The four bytes of all float32 numbers are sorted by their
place in the number, since neighbouring tiles share their upper bytes (the "shuffle" of HDF5 and
Blosc), deflated, and written in base64: about 0.6 MB for 165,016 tiles.
"""

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mars_map.covariates import Covariate
from mars_map.errors import CovariateError

OWN_PREFIX = "own:"
"""How names of own covariates begin, so that none passes for one that comes with the program."""
MAX_TEXT = {"name": 200, "title": 100, "unit": 40, "higher": 100, "lower": 100, "source": 400}
"""Most characters of what a covariate is called."""
MAX_DECIMALS = 6
_DAMAGED = "A covariate of the file was changed by hand or is damaged."


@dataclass(frozen=True)
class PackedCovariate:
    """What a covariate is, and its packed values."""

    covariate: Covariate
    """Its name begins with `OWN_PREFIX`."""
    data: str
    """What `unpack` reads."""

    @classmethod
    def of(cls, covariate: Covariate, values: NDArray[np.float32]) -> "PackedCovariate":
        """Pack the values of all tiles, (n_tiles,); nan where unknown."""
        numbers = np.where(np.isnan(values), np.float32(np.nan), values).astype("<f4")
        shuffled = numbers.view(np.uint8).reshape(-1, 4).T.tobytes()
        return cls(covariate, base64.b64encode(zlib.compress(shuffled)).decode())

    def unpack(self, n_tiles: int) -> NDArray[np.float32]:
        """Return the values of all tiles, (n_tiles,) float32.

        Raises CovariateError where they are not values of so many tiles, infinite, or all unknown;
        nothing larger than these tiles take is ever unpacked.
        """
        unzip = zlib.decompressobj()
        try:
            packed = base64.b64decode(self.data, validate=True)
            shuffled = unzip.decompress(packed, 4 * n_tiles + 1)
        except (ValueError, binascii.Error, zlib.error) as error:
            raise CovariateError(_DAMAGED) from error
        if len(shuffled) != 4 * n_tiles or not unzip.eof:
            raise CovariateError(
                f'The covariate "{self.covariate.title}" of the file has not one value for each '
                f"of {n_tiles:,} tiles; it was changed or damaged."
            )
        octets = np.frombuffer(shuffled, np.uint8).reshape(4, n_tiles).T
        values = np.ascontiguousarray(octets).view("<f4").ravel().astype(np.float32)
        if np.isinf(values).any() or np.isnan(values).all():
            raise CovariateError(
                f'The covariate "{self.covariate.title}" of the file has endless values or none '
                "at all; it was changed or damaged."
            )
        return values

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; `from_dict` reads them back."""
        names = {name: getattr(self.covariate, name) for name in MAX_TEXT}
        return names | {"decimals": self.covariate.decimals, "values": self.data}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "PackedCovariate":
        """Build it from `to_dict`; what is packed is looked at by `unpack`.

        Raises CovariateError for anything else.
        """
        try:
            texts = {name: _text(values[name], most) for name, most in MAX_TEXT.items()}
            decimals, data = values["decimals"], values["values"]
        except (KeyError, TypeError, ValueError) as error:
            raise CovariateError(_DAMAGED) from error
        sound = type(decimals) is int and 0 <= decimals <= MAX_DECIMALS and isinstance(data, str)
        if not sound or not texts["name"].startswith(OWN_PREFIX):
            raise CovariateError(_DAMAGED)
        return cls(Covariate(**texts, decimals=decimals), data)


def _text(value: Any, most: int) -> str:
    if not isinstance(value, str) or len(value) > most or not value.isprintable():
        raise ValueError("no text, or too long")
    return value
