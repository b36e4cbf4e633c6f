"""Quads to vectors: one encoder and the threads that cut tiles for it.

`Workshop.embed` is all that is done with a quad, on one machine as on a cluster. Several quads may
be in it at once: while one is downloaded or its first tiles are cut, the encoder works on another.
The tiles that go to the encoder together are always those of one quad, in their order, so that the
vectors do not depend on what else goes on.
"""

import io
import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mars_map.build.fetch import fetched
from mars_map.build.plan import Recipe, Task
from mars_map.errors import BuildError, ModelMismatchError, MosaicError
from mars_map.mosaics import BadQuad, Frame, MosaicRaster, check_quad
from mars_map.mosaics.raster import overlay

RUN = 32
"""Most tiles side by side that are cut in one go. A quad in strips, as GeoTIFFs often are, is then
decoded once and not once a tile: 30 ms a tile instead of 280."""
BATCH = 64
"""Tiles that are encoded at a time, at least, until a quad's last."""
THUMBNAIL_QUALITY = 75
"""JPEG quality of thumbnails: about 4 kB each at 128 pixels."""
DEFAULT_PIXELS = 224
"""Width of a tile's picture for encoders that do not tell theirs."""


Picture = Image.Image | NDArray[np.uint8]
"""A picture, or (pixels, pixels, 3) as the encoder's own preprocessing has fitted it."""


class Cut(NamedTuple):
    """Tiles that were cut side by side."""

    tiles: NDArray[np.int64]
    """Those with enough data, (n,)."""
    pictures: list[Picture]
    """Their pictures, grey or colour, fitted or not."""
    fraction_valid: NDArray[np.float32]
    """Share of each that has data, (n,)."""
    thumbnails: list[bytes]
    """Their thumbnails, JPEG; none where the recipe keeps none."""
    seconds: float
    """Time of the thread that cut them."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """What became of a quad."""

    tiles: NDArray[np.int64]
    """Tiles with a vector, (n,)."""
    vectors: NDArray[np.float32]
    """Their unit vectors, (n, dim)."""
    fraction_valid: NDArray[np.float32]
    """Share of each that has data, (n,)."""
    thumbnails: list[bytes]
    """Their thumbnails, JPEG; none where the recipe keeps none."""
    seconds: dict[str, float]
    """Time spent on "fetch", "cut" (of all threads together) and "encode"."""


class Clock:
    """Measures for how much of the time something went on, in any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running, self._since = 0, 0.0
        self._first: float | None = None
        self._last = self.busy = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time inside as busy."""
        with self._lock:
            now = time.perf_counter()
            self._first = now if self._first is None else self._first
            self._since = now if self._running == 0 else self._since
            self._running += 1
        try:
            yield
        finally:
            with self._lock:
                self._last = time.perf_counter()
                self._running -= 1
                if self._running == 0:
                    self.busy += self._last - self._since

    def reset(self) -> None:
        """Forget what was measured; nothing may be going on."""
        with self._lock:
            self._first, self._last, self.busy = None, 0.0, 0.0

    @property
    def waiting(self) -> float:
        """Share of the time, from the first start to the last end, in which nothing went on."""
        span = self._last - self._first if self._first is not None else 0.0
        return 1.0 - self.busy / span if span > 0 else 0.0


class Workshop:
    """An encoder, the threads that cut for it, and the time that it spends."""

    def __init__(self, model: str, threads: int | None = None) -> None:
        """Load the encoder. threads: how many cut tiles; one a processor if not given.

        Raises ModelError.
        """
        from mars_map.encoders import load_image_encoder

        self.encoder = load_image_encoder(model)
        self.threads = threads or len(os.sched_getaffinity(0))
        self.encoding = Clock()
        self.stopped = threading.Event()
        """Set where the build is given up; whoever is at work then leaves."""
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="cut")
        self.has_gpu = _has_gpu()
        """Whether the encoder works beside the processor."""
        self.prepares = self.has_gpu and hasattr(self.encoder, "encode_fitted")
        """Whether the threads that cut also fit the pictures; the encoder then only scales them."""
        # Two batches on a GPU: the processor prepares one while the other is calculated.
        self._turn = threading.BoundedSemaphore(2 if self.has_gpu else 1)

    @property
    def pixels(self) -> int:
        """Width and height of the pictures that the encoder takes."""
        return int(getattr(self.encoder, "image_size", DEFAULT_PIXELS))

    def embed(
        self,
        task: Task,
        recipe: Recipe,
        scratch: Path,
        progress: Callable[[int], object] = lambda _: None,
    ) -> Embedded | BadQuad:
        """Return the vectors of a quad's tiles, or why there are none.

        scratch: folder for what must be downloaded or unpacked. progress: called with the number of
        tiles after each batch. Raises BuildError and ModelError for what concerns more than this
        quad.
        """
        if self.encoder.sha256 != recipe.model_sha256:
            raise ModelMismatchError(
                f'The model "{recipe.model}" is not the same on every machine; copy it again.'
            )
        start = time.perf_counter()
        path = Path(task.quad.location)
        try:
            with fetched(task.quad.location, scratch) as path:
                seconds = {"fetch": time.perf_counter() - start, "cut": 0.0, "encode": 0.0}
                if task.named:
                    check_quad(path, task.quad.box, recipe.reading)
                return self._embed([path, *map(Path, task.others)], task, recipe, seconds, progress)
        except MosaicError as error:
            # What was downloaded or unpacked is gone by now; people know where it came from.
            reason = str(error).replace(str(path), task.quad.location)
            return BadQuad(task.quad.name, task.quad.location, reason)

    def cut(self, task: Task, recipe: Recipe, paths: list[Path]) -> Iterator[Cut]:
        """Cut a quad's tiles by all threads, in their order, and no further ahead than they go."""
        runs = tile_runs(recipe, task.tiles)
        ahead: deque[Future[Cut]] = deque()
        try:
            for run in runs:
                ahead.append(self._pool.submit(self.cut_run, paths, run, recipe))
                if len(ahead) > self.threads + 1:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()

    def encode(self, pictures: list[Picture], recipe: Recipe) -> NDArray[np.float32]:
        """Return the vectors of what `cut` gave, (n, dim), whenever it is their turn.

        Raises BuildError for vectors that are not finite.
        """
        with self._turn, self.encoding.running():
            if self.prepares:
                found = self.encoder.encode_fitted(np.stack(pictures))
            else:
                found = self.encoder.encode_pictures(pictures, recipe.width_km)
        vectors = np.asarray(found, np.float32)
        if not np.isfinite(vectors).all():
            raise BuildError(
                f"The model {self.encoder.model_id} gave vectors that are not finite; load it in "
                "float32 or take another."
            )
        return vectors

    def cut_run(self, paths: list[Path], run: NDArray[np.int64], recipe: Recipe) -> Cut:
        """Cut tiles that lie side by side and make them ready for `encode`; see `cut_run`."""
        start = time.perf_counter()
        done = cut_run(paths, run, recipe)
        pictures = self.prepare(done.pictures)
        return done._replace(pictures=pictures, seconds=time.perf_counter() - start)

    def prepare(self, pictures: list[Image.Image]) -> list[Picture]:
        """Return what `encode` takes."""
        if not self.prepares or not pictures:
            return pictures
        return list(self.encoder.preprocessing.fit_pictures(pictures))

    def close(self) -> None:
        """Let the threads go, without waiting for them."""
        self.stopped.set()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _embed(
        self,
        paths: list[Path],
        task: Task,
        recipe: Recipe,
        seconds: dict[str, float],
        progress: Callable[[int], object],
    ) -> Embedded:
        tiles, shares, vectors, thumbnails = [], [], [], []
        pictures: list[Picture] = []
        told = 0

        def encode() -> None:
            start = time.perf_counter()
            vectors.append(self.encode(pictures, recipe))
            seconds["encode"] += time.perf_counter() - start
            pictures.clear()

        for done in self.cut(task, recipe, paths):
            if self.stopped.is_set():
                raise BuildError("The build was stopped.")
            seconds["cut"] += done.seconds
            tiles.append(done.tiles)
            shares.append(done.fraction_valid)
            thumbnails += done.thumbnails
            pictures += done.pictures
            if len(pictures) >= BATCH:
                encode()
                ready = sum(map(len, vectors))
                progress(ready - told)
                told = ready
        if pictures:
            encode()
        progress(len(task.tiles) - told)
        dim = self.encoder.dim
        return Embedded(
            np.concatenate(tiles),
            np.concatenate([np.zeros((0, dim), np.float32), *vectors]),
            np.concatenate(shares),
            thumbnails,
            {name: round(value, 3) for name, value in seconds.items()},
        )


def tile_runs(recipe: Recipe, tiles: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Divide tiles into runs of at most `RUN` that lie side by side in one row of the grid."""
    rows, _ = recipe.grid.rows_and_columns(tiles)
    breaks = np.flatnonzero((np.diff(tiles) != 1) | (np.diff(rows) != 0)) + 1
    return [
        part[start : start + RUN]
        for part in np.split(tiles, breaks)
        for start in range(0, len(part), RUN)
    ]


def cut_run(paths: list[Path], tiles: NDArray[np.int64], recipe: Recipe) -> Cut:
    """Cut tiles that lie side by side out of a quad.

    paths: the quad's raster, and those around it, which fill what it leaves open. A tile's frame is
    plate carrée, from its west to its east and from its north to its south. Where there is no data,
    a picture has the mean of the rest of it. Raises MosaicError where the quad is damaged.
    """
    start = time.perf_counter()
    bounds = recipe.grid.bounds(tiles)
    box = (bounds[0, 0], bounds[0, 1], bounds[-1, 2], bounds[0, 3])
    frame = _read(paths[0], box, len(tiles), recipe)
    for path in paths[1:]:
        if frame.valid.all():
            break
        try:
            frame = overlay(frame, _read(path, box, len(tiles), recipe))
        except MosaicError:
            continue  # it is named when its own turn comes
    chosen, pictures, shares = [], [], []
    for number, tile in enumerate(tiles):
        columns = slice(number * recipe.pixels, (number + 1) * recipe.pixels)
        valid = frame.valid[:, columns]
        share = valid.mean(dtype=np.float64)
        if share > 0 and share >= recipe.min_valid:
            chosen.append(tile)
            shares.append(share)
            pictures.append(_picture(frame.pixels[:, columns], valid))
    small = [_thumbnail(p, box, recipe.thumbnails) for p in pictures if recipe.thumbnails]
    return Cut(
        np.array(chosen, np.int64),
        pictures,
        np.array(shares, np.float32),
        small,
        time.perf_counter() - start,
    )


def _read(path: Path, box: tuple[float, ...], n: int, recipe: Recipe) -> Frame:
    with MosaicRaster(path, recipe.reading) as raster:
        return raster.frame(box, recipe.pixels, n * recipe.pixels)


def _picture(pixels: NDArray[np.uint8], valid: NDArray[np.bool_]) -> Image.Image:
    pixels = np.ascontiguousarray(pixels)
    if not valid.all():
        pixels = pixels.copy()
        pixels[~valid] = np.rint(pixels[valid].mean(axis=0)).astype(np.uint8)
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _thumbnail(picture: Image.Image, box: tuple[float, ...], height: int) -> bytes:
    """Return a tile's picture as JPEG, so high, and as wide as it is on the ground."""
    width = max(round(height * math.cos(math.radians((box[1] + box[3]) / 2))), 1)
    file = io.BytesIO()
    small = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    small.save(file, "JPEG", quality=THUMBNAIL_QUALITY)
    return file.getvalue()


def _has_gpu() -> bool:
    # An encoder that has not loaded torch does not use a GPU by it.
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda.is_available()
