"""A store of pictures that forgets the least recently used ones when it is full."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from mars_map.maps.basemap import Picture


class PictureCache:
    """Encoded pictures by key, up to a number of bytes in all. Safe to share between threads."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._entries: OrderedDict[Hashable, Picture] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes stored now."""
        return self._size

    def get(self, key: Hashable, make: Callable[[], Picture]) -> Picture:
        """Return the picture under the key, made now if it is not there.

        Two threads that miss at once both make it: that costs time, but no thread ever waits.
        """
        with self._lock:
            if key in self._entries:
                self._entries.move_to_end(key)
                return self._entries[key]
        picture = make()
        with self._lock:
            if key in self._entries:
                self._size -= len(self._entries.pop(key).body)
            self._entries[key] = picture
            self._size += len(picture.body)
            while self._size > self._limit and len(self._entries) > 1:
                self._size -= len(self._entries.popitem(last=False)[1].body)
        return picture
