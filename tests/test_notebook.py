"""The study of docs/ runs from the first to the last cell, and its outputs stay out of git."""

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from mars_map import api
from mars_map.errors import ExportError

STUDY = Path(__file__).parents[1] / "docs" / "study.ipynb"


def test_the_study_runs(tmp_path):
    notebook = nbformat.read(STUDY, as_version=4)
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    said = "".join(one.get("text", "") for cell in outputs for one in cell)
    assert "300 hits with" in said and "units," in said and "hits stayed" in said
    assert "Discriminant from 5 yes" in said, "ten labels are beyond Rocchio"
    sizes = {name: int(size) for size, name in (line.split() for line in said.splitlines()
             if line.endswith((".gpkg", ".kml", ".pdf", ".bib")))}  # fmt: skip
    assert len(sizes) == 4 and min(sizes.values()) > 1000
    assert any("image/png" in one.get("data", {}) for cell in outputs for one in cell)


def test_outputs_are_stripped():
    for cell in json.loads(STUDY.read_text())["cells"]:
        assert not cell.get("outputs") and not cell.get("execution_count")


def test_the_end_of_a_name_tells_the_format(small_result, tmp_path):
    for name, begin in (("a.geojson", b'{"type"'), ("B.KML", b"<?xml"), ("c.shp.zip", b"PK")):
        assert api.save(small_result, tmp_path / name).read_bytes().startswith(begin)
    with pytest.raises(ExportError, match="docx"):
        api.save(small_result, tmp_path / "a.docx")
