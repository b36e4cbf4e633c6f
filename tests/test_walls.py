"""Who may know whom: the walls of docs/architecture.md."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "mars_map"
BELOW = {
    "errors": set(),
    "files": set(),
    "settings": set(),
    "scheduler": {"errors"},
    "planet": {"errors"},
    "encoders": {"errors", "files", "settings"},
    "index": {"planet", "errors", "settings"},
    "mosaics": {"planet", "errors"},
    "imports": {"index", "planet", "errors", "settings"},
    "covariates": {"planet", "errors", "settings"},
    "search": {"covariates", "encoders", "index", "planet", "scheduler", "errors", "settings"},
    "maps": {"mosaics", "search", "index", "planet", "errors", "settings"},
    "analysis": {"evaluation", "covariates", "maps", "search", "planet", "errors"},
    "export": {"analysis", "covariates", "maps", "search", "index", "planet", "errors", "files"},
    "evaluation": {"search", "encoders", "index", "planet", "errors", "settings"},
    "build": {"mosaics", "encoders", "index", "planet", "scheduler", "errors", "files", "settings"},
    "training": {
        "build",
        "evaluation",
        "search",
        "encoders",
        "index",
        "planet",
        "errors",
        "files",
        "settings",
    },
}
TOP = {"web", "ui", "cli", "api"}


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_knows_only_those_below_it(path):
    room = _room(path)
    names = _imports(path)
    ours = {name.split(".")[1] for name in names if name.startswith("mars_map.")} - {room}
    if room in BELOW:
        # `mars_map.build.default` alone may start a training: `build-default --train` asks for it.
        extra = {"training"} if path.name == "default.py" and room == "build" else set()
        assert ours <= BELOW[room] | extra
    elif room not in ("__init__", "__main__"):
        assert room in TOP, f"docs/architecture.md does not know the package {room}"
        assert "ui" not in ours and "cli" not in ours
    if room != "ui":
        assert not any(name.split(".")[0] == "streamlit" for name in names)


def test_opening_an_index_imports_nothing_heavy():
    code = (
        "import sys, mars_map.search, mars_map.index, mars_map.planet.regions;"
        "print(*{'torch','transformers','streamlit','geopandas','rasterio','matplotlib','folium'}"
        " & set(sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []
