"""What every session and every route shares: one engine and one gazetteer, loaded once.

Opening the index takes milliseconds; the text encoder takes seconds, so `Service.warm` loads it in
the background while the first page is drawn, and a query that comes earlier waits for it.
"""

import gc
import logging
import threading
from functools import cache, cached_property
from typing import TYPE_CHECKING

from mars_map import settings
from mars_map.errors import MarsMapError
from mars_map.index import TileIndex
from mars_map.maps.basemap import Basemaps
from mars_map.maps.heat import heat_png
from mars_map.planet.gazetteer import Gazetteer
from mars_map.search import Engine, Query, Result, open_engine
from mars_map.search.threshold import histogram

if TYPE_CHECKING:
    from mars_map.encoders.compact import CompactImageEncoder

_log = logging.getLogger(__name__)


class Service:
    """The program behind the page. Safe to share between threads; nothing in it is per session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._engine: Engine | None = None
        self._warming = threading.Lock()
        self._warm = False
        self.visited = threading.Event()
        """Set when a browser has loaded the page and begins to draw the map."""

    @property
    def engine(self) -> Engine:
        """The engine; its encoder loads at the first query in words. Raises like `open_engine`."""
        with self._lock:
            if self._engine is None:
                self._engine = open_engine(settings.INDEX_DIR, settings.MODEL_DIR)
            return self._engine

    @property
    def index(self) -> TileIndex:
        """The index that is searched. Raises like `open_engine`."""
        return self.engine.index

    @cached_property
    def image_encoder(self) -> "CompactImageEncoder":
        """What turns pictures into vectors, loaded at the first one. Raises ModelError."""
        from mars_map.encoders import load_image_encoder

        return load_image_encoder(settings.MODEL_DIR)

    @cached_property
    def gazetteer(self) -> Gazetteer:
        """Names of features. Raises FeatureNotFoundError where the table cannot be read."""
        return Gazetteer.load(settings.GAZETTEER_FILE)

    @cached_property
    def basemaps(self) -> Basemaps:
        """Basemaps and elevations; files are opened when they are first needed."""
        return Basemaps(settings.BASEMAP_DIR)

    @property
    def is_warm(self) -> bool:
        """Whether a query in words need not wait for the text encoder to load."""
        return self._warm

    def search(self, query: Query) -> Result:
        """Answer a query; scores are cached by the engine. Raises like `Engine.search`."""
        return self.engine.search(query)

    def warm(self) -> None:
        """Load the encoder, the vectors and the colours; who comes while that goes on, waits.

        What fails here is logged, and fails again with its sentence when a visitor asks for it.
        """
        with self._warming:
            if self._warm:
                return
            try:
                result = self.search(Query("impact crater", top_k=1))
                heat_png(result.scores, result.index.grid)
                _ = result.estimate, histogram(result).knee
            except MarsMapError as error:
                _log.warning("%s", error)
            # Torch and its kin stay for good: without them a collection takes a tenth of the time.
            gc.collect()
            gc.freeze()
            self._warm = True


@cache
def service() -> Service:
    """Return the service of this process."""
    return Service()
