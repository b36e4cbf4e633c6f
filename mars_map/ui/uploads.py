"""Files that a visitor brings, written where libraries that want a path can read them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from streamlit.runtime.uploaded_file_manager import UploadedFile


@contextmanager
def on_disk(upload: UploadedFile) -> Iterator[Path]:
    """Write an upload to a folder that is gone afterwards; its name is made harmless."""
    name = re.sub(r"[^\w.+ -]", "_", Path(upload.name.replace("\\", "/")).name).lstrip(".")[-80:]
    with TemporaryDirectory(prefix="mars_map-") as folder:
        path = Path(folder) / (name or "upload")
        path.write_bytes(upload.getbuffer())
        yield path
