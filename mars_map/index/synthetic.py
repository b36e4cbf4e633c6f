"""A synthetic planet: an index of any size with clusters and planted truths, for tests and
benchmarks.

The ground is divided among random sites; the tiles nearest to a site share a direction, with noise.
At some places truths are planted: tiles whose vectors lie about one known unit vector. Truths are
orthogonal to one another and the rest of the planet has no part in any of them, so that a search
with a truth's vector must find exactly its tiles, at any size and in either quantisation. The
manifest says that the index is synthetic.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mars_map.errors import BuildError, IndexDamagedError
from mars_map.index.files import save_array
from mars_map.index.manifest import ModelCard, Quantisation
from mars_map.index.store import TileIndex, open_index
from mars_map.index.writer import IndexWriter
from mars_map.planet.grid import Grid, RegularGrid
from mars_map.planet.sphere import METRES_PER_DEGREE, great_circle_m, unit_vectors

MODEL_ID = "synthetic (made-up vectors)"
"""Name of the model in the manifest; it is on every line of an export."""
TRUTHS_FILE = "truths.parquet"
"""Table of the planted tiles: truth (name), tile (id), number."""
TRUTH_VECTORS_FILE = "truth_vectors.npy"
"""(truths, dim) float32 unit vectors, in the order of the manifest's `extra["truths"]`."""

PLACES = (
    ("Gale", 137.8, -5.4, 1.5),
    ("Olympus Mons", -133.8, 18.65, 4.0),
    ("Valles Marineris", -59.0, -14.0, 3.0),
    ("Argyre", -43.0, -50.0, 5.0),
    ("Hellas", 70.0, -42.0, 6.0),
    ("Isidis", 87.0, 13.0, 2.0),
    ("Utopia", 117.0, 46.0, 2.5),
    ("Acidalia", -22.0, 47.0, 1.0),
)
"""Where truths are planted: name, longitude, latitude and radius, degrees."""
SITES = 256
"""Clusters of the background."""
SPREAD = 1.0
"""Length of the noise on a background tile, its cluster's direction being 1."""
TRUTH_SPREAD = 0.3
"""The same on a planted tile: about .96 cosine similarity to the truth."""
MIN_TILES, MIN_DIM = 900, 32
"""Less holds no eight truths apart."""
PIECE_ROWS = 8_192
"""Rows made at a time. The random numbers belong to the piece: changing this changes the bytes."""


@dataclass(frozen=True, eq=False)
class Truth:
    """A planted cluster: what a search with its vector must find."""

    name: str
    """The place it was planted at."""
    lon: float
    """Longitude of its centre, degrees east."""
    lat: float
    """Latitude of its centre, degrees."""
    radius_deg: float
    """Distance from the centre within which tiles were planted, degrees of arc."""
    tiles: NDArray[np.int64]
    """Numbers of its tiles, ascending."""
    vector: NDArray[np.float32]
    """Its unit vector, (dim,)."""


def synthetic_grid(tiles: int) -> RegularGrid:
    """Return the regular grid between 80 S and 80 N with `tiles` tiles or the next more.

    36 k² tiles are a grid of 40/k degrees: 360,000, 1,440,000 (MarsRetrieval's) and 5,760,000 are
    met exactly. Raises BuildError for fewer than `MIN_TILES`.
    """
    if tiles < MIN_TILES:
        raise BuildError(f"A synthetic planet has at least {MIN_TILES} tiles; ask for more.")
    k = int(np.ceil(np.sqrt(tiles / 36.0) - 1e-9))
    return RegularGrid(40.0 / k)


def synthesize(
    folder: str | Path,
    *,
    tiles: int,
    dim: int,
    seed: int = 0,
    quantisation: Quantisation = "float16",
    refined: bool = False,
    progress: Callable[[int], object] = lambda _: None,
) -> TileIndex:
    """Write a synthetic index and return it opened.

    tiles: how many, rounded up by `synthetic_grid`. dim: at least `MIN_DIM`. The same arguments
    give the same bytes in every file but the manifest, which has the date. refined: as for
    `IndexWriter`. progress: called with
    the number of rows after each piece. Memory stays under 400 MB at 1.44 million tiles of 768.
    Raises BuildError.
    """
    if dim < MIN_DIM:
        raise BuildError(f"A synthetic planet has at least {MIN_DIM} dimensions; ask for more.")
    grid = synthetic_grid(tiles)
    maker = _Planet(grid, dim, seed)
    sha256 = hashlib.sha256(f"mars_map synthetic {seed} {dim}".encode()).hexdigest()
    model = ModelCard(MODEL_ID, sha256, dim)
    with IndexWriter(
        folder, grid=grid, model=model, quantisation=quantisation, refined=refined
    ) as writer:
        for start in range(0, grid.n_tiles, PIECE_ROWS):
            numbers = np.arange(start, min(start + PIECE_ROWS, grid.n_tiles))
            writer.put(numbers, maker.vectors(numbers))
            progress(len(numbers))
        writer.add_files(lambda staging: _write_truths(staging, grid, maker.truths))
        writer.publish(
            source=f"made up by `mars-map synthesize` with seed {seed}; not Mars",
            licence="public domain",
            synthetic=True,
            extra={"seed": seed, "sites": SITES, "truths": [_record(t) for t in maker.truths]},
        )
    return open_index(folder)


def made_up_vectors(index: TileIndex) -> Iterator[NDArray[np.float32]]:
    """Yield the vectors of a synthetic index as they were before they were rounded, by tile.

    Pieces of (n, dim) float32, length 1: what searches in float16 and int8 are measured against.
    """
    maker = _Planet(index.grid, index.dim, index.manifest.extra["seed"])
    for start in range(0, index.n_tiles, PIECE_ROWS):
        yield maker.vectors(np.arange(start, min(start + PIECE_ROWS, index.n_tiles)))


def read_truths(index: TileIndex) -> list[Truth]:
    """Return what was planted in a synthetic index.

    Raises IndexDamagedError where the index has no truths or they cannot be read.
    """
    import pyarrow.parquet as pq

    try:
        records = index.manifest.extra["truths"]
        vectors = np.load(index.folder / TRUTH_VECTORS_FILE, allow_pickle=False)
        table = pq.read_table(index.folder / TRUTHS_FILE)
        names = np.array(table["truth"].to_pylist(), object)
        numbers = table["number"].to_numpy()
        return [
            Truth(**{**record, "tiles": numbers[names == record["name"]], "vector": vector})
            for record, vector in zip(records, vectors, strict=True)
        ]
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise IndexDamagedError(
            f'The index "{index.folder}" has no planted truths that can be read; make it with '
            "`mars-map synthesize`."
        ) from error


class TruthEncoder:
    """Understands the names of planted truths, so that a synthetic index answers words.

    Other words get a fixed direction of their own that has to do with nothing.
    """

    model_id = MODEL_ID

    def __init__(self, index: TileIndex) -> None:
        """Read the truths of a synthetic index. Raises like `read_truths`."""
        self.sha256, self.dim = index.manifest.model.sha256, index.dim
        self._vectors = {truth.name.lower(): truth.vector for truth in read_truths(index)}

    def encode_text(self, texts: list[str]) -> NDArray[np.float32]:
        """Return one unit vector for each text, (n, dim) float32."""
        return np.array([self._encode(text.lower()) for text in texts])

    def _encode(self, text: str) -> NDArray[np.float32]:
        for name, vector in self._vectors.items():
            if name in text:
                return vector
        digest = hashlib.sha256(text.encode()).digest()
        return _unit(np.random.default_rng(list(digest)).standard_normal((1, self.dim)))[0]


class _Planet:
    """Makes the vectors of any tiles of a synthetic planet."""

    def __init__(self, grid: Grid, dim: int, seed: int) -> None:
        random = np.random.default_rng([seed, 0])
        self._grid, self._dim, self._seed = grid, dim, seed
        # Orthonormal, so that no truth has any part in another.
        axes = np.linalg.qr(random.standard_normal((dim, len(PLACES))))[0].T
        self._axes = np.ascontiguousarray(axes, np.float32)
        self._sites = _unit(random.standard_normal((SITES, 3)))
        self._centres = self._without_truths(_unit(random.standard_normal((SITES, dim))))
        self.truths = self._plant()
        self._planted = np.full(grid.n_tiles, -1, np.int8)
        for number, truth in enumerate(self.truths):
            self._planted[truth.tiles] = number

    def vectors(self, tiles: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return unit vectors of a piece of tiles, (n, dim)."""
        random = np.random.default_rng([self._seed, 1, int(tiles[0])])
        noise = random.standard_normal((len(tiles), self._dim), np.float32)
        noise = self._without_truths(noise / np.sqrt(np.float32(self._dim)))
        nearest = np.argmax(self._directions(tiles) @ self._sites.T, axis=1)
        planted = self._planted[tiles]
        is_planted = (planted >= 0)[:, None]
        centres = np.where(is_planted, self._axes[planted], self._centres[nearest])
        spread = np.where(is_planted, np.float32(TRUTH_SPREAD), np.float32(SPREAD))
        return _unit(centres + spread * noise)

    def _without_truths(self, vectors: NDArray) -> NDArray[np.float32]:
        return (vectors - (vectors @ self._axes.T) @ self._axes).astype(np.float32)

    def _directions(self, tiles: NDArray[np.int64]) -> NDArray[np.float32]:
        west, south, east, north = self._grid.bounds(tiles).T
        return unit_vectors((west + east) / 2, (south + north) / 2).astype(np.float32)

    def _plant(self) -> list[Truth]:
        lon, lat = self._grid.centers
        taken = np.zeros(self._grid.n_tiles, bool)
        truths = []
        for (name, x, y, radius), vector in zip(PLACES, self._axes, strict=True):
            near = great_circle_m(lon, lat, x, y) <= radius * METRES_PER_DEGREE
            near[self._grid.tile_at(x, y)] = True  # where tiles are wider than the truth
            tiles = np.flatnonzero(near & ~taken)
            taken[tiles] = True
            truths.append(Truth(name, x, y, radius, tiles, vector))
        return truths


def _unit(vectors: NDArray) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _record(truth: Truth) -> dict[str, str | float | int]:
    return {
        "name": truth.name,
        "lon": truth.lon,
        "lat": truth.lat,
        "radius_deg": truth.radius_deg,
        "tiles": len(truth.tiles),
    }


def _write_truths(staging: Path, grid: Grid, truths: list[Truth]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = np.concatenate([truth.tiles for truth in truths])
    columns = {
        "truth": np.repeat([truth.name for truth in truths], [len(t.tiles) for t in truths]),
        "tile": grid.names(numbers),
        "number": numbers,
    }
    pq.write_table(pa.table(columns), staging / TRUTHS_FILE)
    save_array(staging / TRUTH_VECTORS_FILE, np.array([truth.vector for truth in truths]))
