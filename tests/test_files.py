"""Files that are whole or not there."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from mars_map.files import whole_file


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("before")
    return path


def test_the_file_takes_its_place_at_the_end(target):
    with whole_file(target) as part:
        part.write_text("after")
        assert target.read_text() == "before"
    assert target.read_text() == "after"
    assert list(target.parent.iterdir()) == [target]


def test_a_writer_that_fails_leaves_the_older_file_and_nothing_else(target):
    with pytest.raises(TypeError), whole_file(target) as part, part.open("wb") as file:
        file.writelines([b"half", "no bytes"])
    assert target.read_text() == "before"
    assert list(target.parent.iterdir()) == [target]


def test_a_writer_that_is_killed_leaves_the_older_file(target):
    code = (
        "import os, sys; from pathlib import Path; from mars_map.files import whole_file\n"
        "with whole_file(Path(sys.argv[1])) as part: part.write_text('half'); os._exit(9)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(target)], check=False).returncode == 9
    assert target.read_text() == "before"


def test_nothing_written_is_an_error(target):
    with pytest.raises(FileNotFoundError), whole_file(target):
        pass
    assert target.read_text() == "before"


def test_the_longest_name_that_a_disk_takes(tmp_path):
    path = tmp_path / ("𝕄" * 63)
    with whole_file(path) as part:
        part.write_text("whole")
    assert path.read_text() == "whole"


def test_writers_at_once_never_mix(target):
    texts = {letter * 200_000 for letter in "abcdefgh"}

    def write(text):
        with whole_file(target) as part:
            part.write_text(text)
        return target.read_text()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(write, sorted(texts))) <= texts
    assert target.read_text() in texts
