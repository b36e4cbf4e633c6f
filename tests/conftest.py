"""Shared fixtures: a small index with structure, and an engine on it."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray
from playwright.sync_api import Browser, sync_playwright

from mars_map.covariates import Covariates
from mars_map.index import ModelCard, TileIndex, write_index
from mars_map.planet.grid import EqualAreaGrid
from mars_map.search import Engine, Query, Result
from mars_map.web import Service, service
from tests import chromium

if "PYTEST_XDIST_WORKER" in os.environ:
    # Several workers share the cores: threads of theirs that wait for each other only cost time.
    # Read by torch, which nothing here imports, and by the programs that tests start.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples in every run, and as long as each takes: what fails, fails again, and on slow
# machines nothing else does.
settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")

DIM = 32


class WordEncoder:
    """A bag of words: each word is a fixed random direction. Enough to tell queries apart."""

    model_id = "bag of words"
    sha256 = hashlib.sha256(b"bag of words").hexdigest()
    dim = DIM

    def encode_text(self, texts: list[str]) -> NDArray[np.float32]:
        vectors = np.array([np.sum([_direction(w) for w in t.split()], axis=0) for t in texts])
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def _direction(word: str) -> NDArray[np.float64]:
    seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4])
    return np.random.default_rng(seed).normal(size=DIM)


def make_index(folder: Path, grid: EqualAreaGrid | None = None, **options) -> TileIndex:
    """Write an index whose vectors vary smoothly over the planet, so that neighbours are alike."""
    grid = grid or EqualAreaGrid(6.0)
    lon, lat = (np.radians(v) for v in grid.centers)
    position = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    vectors = np.tanh(position @ np.random.default_rng(7).normal(size=(3, DIM)) * 2)
    vectors += np.random.default_rng(8).normal(scale=0.05, size=vectors.shape)
    return write_index(
        folder,
        grid=grid,
        vectors=vectors,
        model=ModelCard(WordEncoder.model_id, WordEncoder.sha256, DIM),
        source="made up for a test",
        licence="public domain",
        synthetic=True,
        **options,
    )


@pytest.fixture(scope="session")
def small_index(tmp_path_factory: pytest.TempPathFactory) -> TileIndex:
    """An index of about 1,150 tiles of six degrees."""
    return make_index(tmp_path_factory.mktemp("small") / "index")


@pytest.fixture(scope="session")
def small_engine(small_index: TileIndex) -> Engine:
    """An engine on the small index that understands any words."""
    return Engine(small_index, WordEncoder(), covariates=Covariates(small_index.grid))


@pytest.fixture(scope="session")
def small_result(small_engine: Engine) -> Result:
    """Twenty hits for words."""
    return small_engine.search(Query("chaos at the head of an outflow channel", top_k=20))


@pytest.fixture
def small_service(small_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The service behind the page and the routes, searching the small index."""
    shared = service()
    monkeypatch.setattr(shared, "_engine", small_engine)
    monkeypatch.setattr(shared, "_warm", False)
    return shared


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, started once for all tests that need it; only outside of CI may it be absent."""
    if chromium.EXECUTABLE is None and not chromium.IN_CI:
        pytest.skip(chromium.ABSENT)
    assert chromium.EXECUTABLE, chromium.ABSENT
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium.EXECUTABLE, args=chromium.FLAGS
        )
        yield started
        started.close()
