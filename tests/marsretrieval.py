"""Names as MarsRetrieval writes them."""

from collections.abc import Sequence


def marsretrieval_name(bounds: Sequence[float], digits: int = 1) -> str:
    """Return MarsRetrieval's name of a tile: its south-west corner, "." and "-" written as "_".

    bounds: west, south, east, north in degrees. digits: decimals, enough for the tile's step.
    The tile from 23.2 W, 5.6 S is "E_23_2_N_5_6".
    """
    # Adding zero turns -0.0, which would be written with a sign, into 0.0.
    west, south = (round(float(v), digits) + 0.0 for v in bounds[:2])
    return f"E{west:.{digits}f}_N{south:.{digits}f}".replace(".", "_").replace("-", "_")
