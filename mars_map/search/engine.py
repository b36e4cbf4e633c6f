"""The engine: an index, the encoder that fits it, and queries answered exactly."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mars_map.encoders.prompts import average_vectors, fill_prompts
from mars_map.errors import ModelMismatchError, QueryError
from mars_map.index import TileIndex
from mars_map.planet.regions import Region
from mars_map.search.batching import BatchedScan
from mars_map.search.calibration import Calibration, Estimate
from mars_map.search.parts import Filter, Part, decode_vector
from mars_map.search.query import Query
from mars_map.search.scoring import best_tiles, leave_out, rescore

CACHE_BYTES = 64 * 2**20
"""Most memory that cached scores may take: about a hundred queries on the embedded index."""
ESTIMATES = 512
"""Estimates that are kept; they are small."""
WORDINGS = 2048
"""Vectors of words that are kept: at most 6 MB at 768 dimensions."""
BACKGROUND_TILES = 4096
"""Tiles drawn from the planet that feedback takes for ordinary ground."""

Covariates = Callable[[str], NDArray[np.float32]]
"""Gives a covariate's mean over each tile by its name, (n_tiles,) float32, nan where unknown;
raises QueryError for a name that it does not have."""


class TextEncoder(Protocol):
    """What the engine needs of an encoder."""

    model_id: str
    """Name of the model."""
    sha256: str
    """Hash of its weights, hex; must be the one in the index's manifest."""
    dim: int
    """Dimensions of its vectors."""

    def encode_text(self, texts: list[str]) -> NDArray[np.float32]:
        """Return one unit vector for each text, (n, dim) float32."""
        ...


class Scan(Protocol):
    """What the engine needs to score all tiles."""

    def scores(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cosine similarity of every tile with a unit vector, read-only."""
        ...


@dataclass(frozen=True, eq=False)
class Result:
    """The answer to a query. Arrays are shared with the engine's cache and read-only."""

    query: Query
    """What was asked."""
    index: TileIndex
    """What was searched."""
    scores: NDArray[np.float32]
    """Cosine similarity of every tile, (n_tiles,)."""
    hits: NDArray[np.int64]
    """Numbers of the hits, best first, (k,)."""
    timing_ms: dict[str, float]
    """Milliseconds spent: encode, score, rank, total."""
    region_mask: NDArray[np.bool_] | None = None
    """Whether each tile was searched: lies in the query's region, passes its filters and has a
    vector, (n_tiles,); None for the whole planet."""
    estimator: "Callable[[Result], Estimate | None] | None" = None
    """What estimates the hits; None where nothing can."""
    refinement: str = ""
    """What the tiles that were called right and wrong did to the query, in one sentence."""

    @property
    def hit_scores(self) -> NDArray[np.float32]:
        """Scores of the hits, (k,)."""
        return self.scores[self.hits]

    @cached_property
    def estimate(self) -> Estimate | None:
        """How far the hits can be believed; see `Engine.estimate`."""
        return self.estimator(self) if self.estimator else None


class Engine:
    """Answers queries on one index. Safe to share between threads."""

    def __init__(
        self,
        index: TileIndex,
        encoder: TextEncoder | Callable[[], TextEncoder],
        *,
        cache_bytes: int = CACHE_BYTES,
        calibration: Calibration | Callable[[], Calibration | None] | None = None,
        covariates: Covariates | None = None,
        scan: Scan | None = None,
    ) -> None:
        """Take an open index, and an encoder or a function that loads it at the first text query.

        calibration: of the same model, or a function that loads it at the first estimate.
        covariates: what filters look at; without it, a query with filters is refused. scan: what
        makes the scores, such as a `ClusterScan`; a pass over memory here if not given. Raises
        ModelMismatchError for an encoder of another model (for a function: at that query).
        """
        self.index = index
        self.scan = scan or BatchedScan(index)
        """What makes the scores."""
        self._lock = threading.Lock()
        self._encoder_lock = threading.Lock()
        self._load = encoder if callable(encoder) else None
        self._encoder = None if callable(encoder) else check_encoder(index, encoder)
        per_entry = index.n_tiles * np.dtype(np.float32).itemsize
        self._scores = _Cache(max(cache_bytes // per_entry, 1))
        self._masks = _Cache(max(cache_bytes // 4 // index.n_tiles, 1))
        self._estimates = _Cache(ESTIMATES)
        self._wordings = _Cache(WORDINGS)
        self._calibration = calibration
        self._covariates = covariates

    def encoder(self) -> TextEncoder:
        """Return the text encoder, loaded at the first call. Raises ModelMismatchError."""
        with self._encoder_lock:
            if self._encoder is None:
                assert self._load is not None
                self._encoder = check_encoder(self.index, self._load())
            return self._encoder

    def search(self, query: Query) -> Result:
        """Answer a query with the scores of all tiles and the ranked hits.

        Example tiles, and tiles that were called wrong, are not among the hits. Raises QueryError
        for tiles and covariates that the index does not have, ModelMismatchError and ModelError
        where the encoder does not fit or load.
        """
        start = time.perf_counter()
        scores, vector, refinement, encode_ms, score_ms = self._score(query)
        ranking = time.perf_counter()
        mask = self.searched(query)
        named = self._tile_numbers((*query.tiles, *query.no))
        allowed = leave_out(mask, named, self.index.n_tiles)
        limits = {"allowed": allowed, "threshold": query.threshold}
        scores = rescore(self.index, vector, scores, query.top_k, **limits)
        hits = best_tiles(scores, query.top_k, **limits)
        end = time.perf_counter()
        timing = {
            "encode": encode_ms,
            "score": score_ms,
            "rank": (end - ranking) * 1e3,
            "total": (end - start) * 1e3,
        }
        return Result(
            query, self.index, scores, hits, timing, mask, self.estimate, refinement=refinement
        )

    def vector(self, query: Query) -> tuple[NDArray[np.float32], str]:
        """Return the unit vector that a query searches for, (dim,) float32, and what feedback did
        to it, in one sentence or nothing. Raises like `search`.
        """
        vector = self._mixture(query) if query.active else None
        if not query.yes and not query.no:
            assert vector is not None, "a query without labels has parts"
            return vector, ""
        from mars_map.search.feedback import refine

        yes = query.yes
        if len(query.tiles) == len(query.active):
            # Example tiles and nothing else: they are right as those are that were called so.
            yes, vector = (*query.tiles, *(tile for tile in yes if tile not in query.tiles)), None
        refined = refine(
            vector,
            self._tile_vectors(yes),
            self._tile_vectors(query.no),
            background=self.background,
        )
        return refined.vector, refined.sentence

    def estimate(self, result: Result) -> Estimate | None:
        """Estimate how many of a result's hits are right, or say that its words are not known.

        None for a query by tile, and where the model has no calibration or one of other weights.
        Raises ModelError for a calibration that cannot be read.
        """
        calibration = self._open_calibration() if result.query.text else None
        encoder = self.encoder() if calibration else None
        # A foreign encoder has no sentences of its own to compare with what was taught.
        if calibration is None or not hasattr(encoder, "encode_sentences"):
            return None
        with self._lock:
            known = self._estimates.get(result.query)
        if known is None:
            known = calibration.estimate(result, encoder)
            with self._lock:
                self._estimates.put(result.query, known)
        return known

    def _open_calibration(self) -> Calibration | None:
        with self._lock:
            if callable(self._calibration):
                self._calibration = self._calibration()
            found = self._calibration
        return found if found and found.sha256 == self.index.manifest.model.sha256 else None

    def _score(
        self, query: Query
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], str, float, float]:
        with self._lock:
            known = self._scores.get(query.subject)
        if known is not None:
            return *known, 0.0, 0.0
        start = time.perf_counter()
        vector, refinement = self.vector(query)
        encoded = time.perf_counter()
        scores = self.scan.scores(vector)
        end = time.perf_counter()
        with self._lock:
            self._scores.put(query.subject, (scores, vector, refinement))
        return scores, vector, refinement, (encoded - start) * 1e3, (end - encoded) * 1e3

    def _mixture(self, query: Query) -> NDArray[np.float32]:
        """Return the weighted sum of the parts' unit vectors, scaled to length 1."""
        total = np.zeros(self.index.dim)
        for part in query.active:
            weight = -part.weight if part.against else part.weight
            total += weight * self._part_vector(part, query.prompts)
        length = float(np.linalg.norm(total))
        if length < 1e-3:
            raise QueryError("The parts of the query cancel each other; change a weight.")
        return (total / length).astype(np.float32)

    def _part_vector(self, part: Part, prompts: tuple[str, ...]) -> NDArray[np.float32]:
        match part.kind:
            case "text":
                return self._words_vector(part.value, prompts)
            case "tile":
                return self._tile_vectors((part.value,))[0]
        vector = decode_vector(part.value)
        if len(vector) != self.index.dim:
            raise QueryError(
                f'The vector of "{part.label}" comes from another model: it has {len(vector)} '
                f"dimensions, the index {self.index.dim}; give the picture again."
            )
        return vector

    def _words_vector(self, words: str, prompts: tuple[str, ...]) -> NDArray[np.float32]:
        with self._lock:
            vector = self._wordings.get((words, prompts))
        if vector is None:
            vector = average_vectors(self.encoder().encode_text(fill_prompts(prompts, words)))
            with self._lock:
                self._wordings.put((words, prompts), vector)
        return vector

    def _tile_vectors(self, names: tuple[str, ...]) -> NDArray[np.float32]:
        numbers = self._tile_numbers(names)
        present = self.index.present
        if present is not None and not present[numbers].all():
            raise QueryError("The index has no image of that tile; pick one that is not blank.")
        vectors = [self.index.vector(tile) for tile in numbers]
        return np.array(vectors, np.float32).reshape(len(numbers), self.index.dim)

    def _tile_numbers(self, names: tuple[str, ...]) -> list[int]:
        numbers = [self.index.grid.number_of(name) for name in names]
        unknown = [name for name, n in zip(names, numbers, strict=True) if n < 0]
        if unknown:
            raise QueryError(
                f'The index has no tile "{unknown[0][:40]}"; click the map to pick one.'
            )
        return numbers

    @cached_property
    def background(self) -> NDArray[np.float32]:
        """Unit vectors of tiles from all over the planet, the same in every process."""
        present = self.index.present
        tiles = np.arange(self.index.n_tiles) if present is None else np.flatnonzero(present)
        some = np.random.default_rng(0).choice(
            tiles, min(BACKGROUND_TILES, len(tiles)), replace=False
        )
        return np.array([self.index.vector(int(tile)) for tile in np.sort(some)])

    def searched(self, query: Query) -> NDArray[np.bool_] | None:
        """Return which tiles are searched, (n_tiles,); None for all.

        Those in the query's region that pass its filters and have a vector. Raises QueryError for
        covariates that there are not.
        """
        masks = [] if self.index.present is None else [self.index.present]
        masks += [self._mask(limit) for limit in (query.region, *query.filters) if limit]
        return np.logical_and.reduce(masks) if masks else None

    def _mask(self, limit: Region | Filter) -> NDArray[np.bool_]:
        with self._lock:
            mask = self._masks.get(limit)
        if mask is None:
            if isinstance(limit, Filter):
                mask = limit.passes(self.covariate(limit.covariate))
            else:
                mask = limit.contains(*self.index.grid.centers)
            mask.flags.writeable = False
            with self._lock:
                self._masks.put(limit, mask)
        return mask

    def covariate(self, name: str) -> NDArray[np.float32]:
        """Return a covariate's mean over each tile, (n_tiles,) float32, nan where unknown.

        Raises QueryError for a name that there is not.
        """
        if self._covariates is None:
            raise QueryError("This index has nothing to filter by; take the filters away.")
        return self._covariates(name)


def check_encoder(index: TileIndex, encoder: TextEncoder) -> TextEncoder:
    """Return the encoder if it made the index's vectors, or raise ModelMismatchError."""
    model = index.manifest.model
    if encoder.sha256 != model.sha256 or encoder.dim != model.dim:
        raise ModelMismatchError(
            f'The index was made by the model "{model.id}" ({model.sha256[:8]}) and cannot be '
            f'searched with "{encoder.model_id}" ({encoder.sha256[:8]}); use the model that made '
            "it, or build the index again."
        )
    return encoder


class _Cache:
    """The most recently used entries, up to a number. The caller holds the lock."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        if key in self._entries:
            self._entries.move_to_end(key)
        return self._entries.get(key)

    def put(self, key: Hashable, value: Any) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)
