"""Runs the tasks of a build: in this process, or on the workers of a Dask cluster.

Both give what `Workshop.embed` returns for each task, as soon as it is there, in any order.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import cache
from pathlib import Path

from mars_map.build.plan import Recipe, Task
from mars_map.build.workshop import Embedded, Workshop
from mars_map.errors import BuildError, MarsMapError
from mars_map.mosaics import BadQuad
from mars_map.planet.grid import grid_from_dict
from mars_map.scheduler import connect_to_workers

Outcome = tuple[Task, Embedded | BadQuad]
Run = Callable[[Sequence[Task], Recipe], Iterator[Outcome]]
"""Does the tasks of a build."""

WORKERS_S = 60.0
"""Longest wait for a first worker."""
_starting = threading.Lock()


def run_here(
    tasks: Sequence[Task],
    recipe: Recipe,
    workshop: Workshop,
    scratch: Path,
    *,
    at_once: int = 2,
    progress: Callable[[int], object] = lambda _: None,
) -> Iterator[Outcome]:
    """Do tasks in this process, some at once: the disk holds so many downloaded quads.

    progress: called with the number of tiles after each batch. Raises like `Workshop.embed`.
    """
    waiting = iter(tasks)
    pool = ThreadPoolExecutor(at_once, thread_name_prefix="quad")
    running = {}
    try:
        while True:
            for task in waiting:
                running[pool.submit(workshop.embed, task, recipe, scratch, progress)] = task
                if len(running) == at_once:
                    break
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()
    finally:
        if running:
            workshop.stopped.set()
        pool.shutdown(wait=True, cancel_futures=True)


def run_on_cluster(
    tasks: Sequence[Task],
    recipe: Recipe,
    address: str,
    *,
    threads: int | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> Iterator[Outcome]:
    """Do tasks on the workers of a Dask cluster; those of a worker that is lost are done again.

    address: of the scheduler. threads: how many cut tiles on each worker. Every worker must have
    mars_map, the model and the local quads under the same paths. progress: called with the number
    of tiles of each quad that is done. Raises ClusterError for a scheduler that does not answer or
    has no worker, BuildError for one that goes away.
    """
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    client = connect_to_workers(address, workers_s=WORKERS_S)
    # A new grid, without what the old one has computed: 23 MB of coordinates for a CTX planet.
    grid = grid_from_dict(recipe.grid.to_dict())
    recipe = replace(recipe, grid=grid, model=_absolute(recipe.model))
    sent = [_with_absolute_paths(task) for task in tasks]
    try:
        futures = client.map(
            embed_on_worker, sent, recipe=recipe, threads=threads, pure=False, retries=0
        )
        task_of = {future.key: task for future, task in zip(futures, tasks, strict=True)}
        finished = as_completed(futures, loop=client.loop)
        del futures
        for future in finished:
            if future.status in ("lost", "pending"):
                # Its worker died with the vectors before they were fetched: the scheduler has it
                # done again.
                finished.add(future)
                continue
            task = task_of[future.key]
            error = future.exception() if future.status == "error" else None
            if isinstance(error, KilledWorker):
                reason = f"The quad {task.quad.name} cost the lives of all workers that took it."
                yield task, BadQuad(task.quad.name, task.quad.location, reason)
            elif isinstance(error, MarsMapError):
                raise error
            elif future.status != "finished":
                raise BuildError(
                    f"The cluster at {address} is gone or gave up ({error or future.status}); run "
                    "the same command again, it goes on where it was."
                ) from error
            else:
                yield task, future.result()
            progress(len(task.tiles))
            future.release()
    finally:
        client.close(timeout=2)


def embed_on_worker(task: Task, recipe: Recipe, threads: int | None = None) -> Embedded | BadQuad:
    """Do one task in the process of a Dask worker."""
    from distributed import get_worker

    with _starting:
        workshop = _workshop(recipe.model, threads)
    return workshop.embed(task, recipe, Path(get_worker().local_directory))


@cache
def _workshop(model: str, threads: int | None) -> Workshop:
    return Workshop(model, threads)


def _with_absolute_paths(task: Task) -> Task:
    """Return a task for workers that were started in other folders."""
    quad = replace(task.quad, location=_absolute(task.quad.location))
    return replace(task, quad=quad, others=tuple(map(_absolute, task.others)))


def _absolute(path: str) -> str:
    # What is not here, such as a URL or a model of the hub, is no path.
    return str(Path(path).resolve()) if Path(path).exists() else path
