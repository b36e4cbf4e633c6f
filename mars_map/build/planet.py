"""An index of a mosaic: what it will cost, the work, what became of it, and its publication.

plan = plan_build(source, recipe)
work = Ledger(folder, recipe)
report = embed_all(plan, work, run)      # can be killed, and goes on where it was
publish(plan, work, out, card, report)
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from mars_map.build.cluster import Outcome
from mars_map.build.fetch import remote_size
from mars_map.build.ledger import Ledger
from mars_map.build.plan import Plan, Task
from mars_map.build.workshop import Picture, Workshop, tile_runs
from mars_map.errors import BuildError, MosaicError
from mars_map.index import IndexWriter, ModelCard, TileIndex, open_index
from mars_map.index.files import THUMBNAIL_PLACES_FILE, THUMBNAILS_FILE, save_array
from mars_map.index.manifest import Quantisation
from mars_map.index.writer import SPARE_BYTES
from mars_map.mosaics import BadQuad

REPORT_FILE = "report.json"
SAMPLE_TILES = 16
"""Tiles that are cut and encoded to tell how long the build will take."""
SAMPLE_S = 20.0
"""Longest that this should take; a large model on a processor encodes fewer of them."""
JSON_BYTES = 40
"""Bytes of a tile's line in a quad's `.json`, an upper estimate."""
THUMBNAIL_BYTES = 0.35
"""Bytes of a pixel of a thumbnail, with where it lies, an upper estimate."""
ZIP_BYTES = 1.8e9
"""Bytes of a CTX quad's zip file, where nothing is known of it."""
UNPACKED = 1.3
"""What the raster in a zip file takes, in sizes of the zip file."""
CTX_IMAGES = (
    "Global CTX mosaic of Mars V01, Murray Lab, Caltech (Dickson et al. 2023, "
    "doi 10.17189/m23v-ae12)"
)


@dataclass(frozen=True)
class Estimate:
    """What a build will take, by a sample of its tiles on this machine."""

    tiles: int
    """Tiles left to do."""
    cut_s: float | None
    """Seconds of one thread to cut a tile; None where the quads must be downloaded first."""
    encode_s: float
    """Seconds to encode a tile."""
    threads: int
    """Threads that cut."""
    work_bytes: int
    """Disk that the vectors of all quads take until the index is published."""
    index_bytes: int
    """Disk that the index takes."""
    fetch_bytes: int
    """Disk that downloaded quads take at a time."""
    download_bytes: int | None
    """Bytes to download, 0 for local quads; None where the server does not say."""

    has_gpu: bool
    """Whether the encoder works beside the processor that cuts."""

    @property
    def hours(self) -> float:
        """Hours on this machine, downloads not counted."""
        parts = ((self.cut_s or 0.0) / self.threads, self.encode_s)
        return self.tiles * (max(parts) if self.has_gpu else sum(parts)) / 3600.0


@dataclass
class Report:
    """What became of a build; `report.json` in the work folder."""

    source: str
    quads: int
    done: int = 0
    """Quads with vectors, those of earlier runs included."""
    tiles: int = 0
    """Tiles with a vector."""
    empty: int = 0
    """Tiles of these quads with too little data for one."""
    bad: list[BadQuad] = field(default_factory=list)
    """Quads that cannot be used, and why."""
    outside: int = 0
    """Quads without a tile of the grid."""
    embedded_now: int = 0
    """Tiles that this run embedded."""
    seconds: float = 0.0
    """Time of this run."""
    cut_seconds: float = 0.0
    """Time that its threads cut, all together."""
    encode_seconds: float = 0.0
    """Time that its encoders worked or waited for their turn."""
    waiting: float | None = None
    """Share of the time in which the encoder had nothing to do; None on a cluster."""

    def write(self, folder: Path) -> None:
        """Write `report.json` into a folder."""
        text = json.dumps(asdict(self), indent=1)
        (folder / REPORT_FILE).write_text(text + "\n", encoding="utf-8")


def estimate(
    plan: Plan,
    todo: Sequence[Task],
    workshop: Workshop,
    quantisation: Quantisation,
    at_once: int,
    *,
    refined: bool = False,
) -> Estimate:
    """Measure some tiles and tell what the rest will take. Raises ModelError."""
    cut_s, pictures = _sample(plan, todo, workshop)
    if not pictures:
        blank = Image.new("L", (plan.recipe.pixels, plan.recipe.pixels), 128)
        pictures = workshop.prepare([blank] * SAMPLE_TILES)
    first_s = _seconds(lambda: workshop.encode(pictures[:1], plan.recipe))  # it also warms up
    pictures = pictures[: max(int(SAMPLE_S / first_s), 1)]
    encode_s = _seconds(lambda: workshop.encode(pictures, plan.recipe)) / len(pictures)
    workshop.encoding.reset()
    remote = [task.quad.location for task in todo if task.quad.is_remote]
    size = remote_size(remote[len(remote) // 2]) if remote else 0
    brought = (1 + UNPACKED) * (ZIP_BYTES if size is None else size)
    unpacked = UNPACKED * max(map(_zip_bytes, todo), default=0)
    dim, grid = workshop.encoder.dim, plan.recipe.grid
    tiles = sum(len(task.tiles) for task in todo)
    small = THUMBNAIL_BYTES * plan.recipe.thumbnails**2
    numbers = 2 if quantisation == "float16" else 3 if refined else 1
    row = dim * numbers + SPARE_BYTES
    return Estimate(
        tiles=tiles,
        cut_s=cut_s,
        encode_s=encode_s,
        threads=workshop.threads,
        work_bytes=int(tiles * (4 * dim + JSON_BYTES + small)),
        index_bytes=int(grid.n_tiles * row + plan.n_tiles * small),
        fetch_bytes=int(at_once * max(brought, unpacked)),
        download_bytes=None if size is None else size * len(remote),
        has_gpu=workshop.has_gpu,
    )


def check_disk(needed: Estimate, work: Path, out: Path) -> None:
    """Raise BuildError where a disk has too little room for what will be written."""
    needs = [(work, needed.work_bytes + needed.fetch_bytes), (out, needed.index_bytes)]
    places = [(_existing(path), size) for path, size in needs]
    devices = [path.stat().st_dev for path, _ in places]
    for path, _ in places:
        total = sum(
            size
            for (_, size), device in zip(places, devices, strict=True)
            if device == path.stat().st_dev
        )
        free = shutil.disk_usage(path).free
        if total > free:
            raise BuildError(
                f'The build needs {total / 1e9:,.2f} GB on the disk of "{path}" and '
                f"{free / 1e9:,.2f} GB are free; make room, or name other folders with --work and "
                "--out."
            )


def embed_all(
    plan: Plan,
    work: Ledger,
    run: Callable[[Sequence[Task]], Iterator[Outcome]],
    workshop: Workshop | None = None,
) -> Report:
    """Embed what is not done yet, record each quad as soon as it is, and write the report.

    run: does the tasks, such as `cluster.run_here`. workshop: the one that it uses, if it is in
    this process. Raises BuildError where the work cannot go on; what is done stays recorded.
    """
    start = time.perf_counter()
    report = Report(
        source=str(plan.source),
        quads=len(plan.tasks) + len(plan.bad) + plan.outside,
        bad=list(plan.bad),
        outside=plan.outside,
    )
    todo = [task for task in plan.tasks if not work.has(task)]
    try:
        with closing(run(todo)) as outcomes:  # type: ignore[type-var]
            for task, outcome in outcomes:
                if isinstance(outcome, BadQuad):
                    report.bad.append(outcome)
                    continue
                work.record(task, outcome)
                report.embedded_now += len(outcome.tiles)
                report.cut_seconds += outcome.seconds["cut"]
                report.encode_seconds += outcome.seconds["encode"]
    finally:
        report.seconds = time.perf_counter() - start
        report.waiting = workshop.encoding.waiting if workshop and todo else None
        _count(report, work, plan)
        with suppress(OSError):  # on a full disk; that is told already
            report.write(work.folder)
    return report


def publish(
    plan: Plan,
    work: Ledger,
    out: Path,
    *,
    card: ModelCard,
    report: Report,
    quantisation: Quantisation = "float16",
    refined: bool = False,
    images: str | None = None,
    licence: str | None = None,
) -> TileIndex:
    """Make an index of all quads that are done; it appears whole or not at all.

    The same quads by the same recipe give the same vectors, byte for byte, in whichever order and
    on however many machines of a kind they were done. refined: as for `IndexWriter`. Raises
    BuildError.
    """
    done = [task for task in plan.tasks if work.has(task)]
    with IndexWriter(
        out, grid=plan.recipe.grid, model=card, quantisation=quantisation, refined=refined
    ) as writer:
        for task in done:
            tiles, vectors, fraction = work.load(task)
            if len(tiles):
                writer.put(tiles, vectors, fraction)
        if plan.recipe.thumbnails:
            writer.add_files(lambda folder: _pack_thumbnails(plan, work, done, folder))
        reading = plan.recipe.reading
        writer.publish(
            source=images or (CTX_IMAGES if _is_ctx(plan) else plan.source.name),
            licence=licence or "not stated",
            extra={
                "mosaic": {
                    "kind": plan.kind,
                    "location": str(plan.source.resolve()),
                    "nodata": reading.nodata,
                    "gaps": reading.gaps,
                    "stretch": reading.stretch,
                },
                "tile_pixels": plan.recipe.pixels,
                "min_valid": plan.recipe.min_valid,
                "quads": len(done),
                "missing_quads": sorted(bad.name for bad in report.bad),
            },
        )
    return open_index(out)


def _pack_thumbnails(plan: Plan, work: Ledger, done: Sequence[Task], folder: Path) -> None:
    """Write all thumbnails into one file, and where each lies in it into another."""
    places = np.zeros((plan.recipe.grid.n_tiles, 2), np.int64)
    with (folder / THUMBNAILS_FILE).open("wb") as file:
        for task in done:
            tiles = work.load(task)[0]
            if len(tiles) == 0:
                continue
            for tile, body in zip(tiles, work.thumbnails(task), strict=True):
                places[tile] = file.tell(), len(body)
                file.write(body)
    save_array(folder / THUMBNAIL_PLACES_FILE, places)


def _count(report: Report, work: Ledger, plan: Plan) -> None:
    for task in plan.tasks:
        tiles = work.count(task)
        if tiles is not None:
            report.done += 1
            report.tiles += tiles
            report.empty += len(task.tiles) - tiles


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _sample(
    plan: Plan, todo: Sequence[Task], workshop: Workshop
) -> tuple[float | None, list[Picture]]:
    """Cut a run of tiles from the middle of the work: seconds a tile, and their pictures."""
    local = [task for task in todo if task.quad.is_ready]
    for task in local[len(local) // 2 :]:
        runs = tile_runs(plan.recipe, task.tiles)
        run = runs[len(runs) // 2][:SAMPLE_TILES]
        try:
            cut = workshop.cut_run([Path(task.quad.location)], run, plan.recipe)
        except MosaicError:
            continue  # it is named when its turn comes
        if cut.pictures:
            return cut.seconds / len(run), cut.pictures
    return None, []


def _zip_bytes(task: Task) -> int:
    """Return the bytes of a quad's zip file on this machine, 0 for any other."""
    path = Path(task.quad.location)
    return path.stat().st_size if path.suffix.lower() == ".zip" and path.is_file() else 0


def _is_ctx(plan: Plan) -> bool:
    return all("MurrayLab" in task.quad.location for task in plan.tasks)


def _existing(path: Path) -> Path:
    path = path.resolve()
    return path if path.exists() else _existing(path.parent)
