"""Files that are whole or not there.

Own code, since `atomicwrites` is no longer maintained, and since it hands out an open file where
rasterio, safetensors and pyarrow want a path to write to.
"""

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` to write to; it takes the place of `target` at the end.

        with whole_file(path) as part:
            part.write_text("all of it")

    Nobody sees half a file: where the block raises or the program is killed, an older `target`
    stays as it was. After a power cut either of them is there, whole. Raises what the block raises,
    and OSError where the disk does not take the file.
    """
    # A name of its own for every writer, of other processes and hosts too; 40 characters of the
    # target's tell people what was cut short, and leave room in the 255 bytes of a name.
    part = target.with_name(f".{target.name[:40]}.{secrets.token_hex(8)}.part")
    try:
        yield part
        _bring_to_disk(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    # Some network file systems cannot do this for a folder; the file is there even so.
    with contextlib.suppress(OSError):
        _bring_to_disk(target.parent)


def _bring_to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, would outlast a power cut."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
