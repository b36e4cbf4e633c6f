"""About this index: what is searched, who made it, and how good the encoder is."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from mars_map import settings
from mars_map.ui.text import fact_table
from mars_map.web import service

FIGURES_FILE = "figures.json"
"""What the training measured, in the model's folder."""
COLUMNS = {"trained": "Words", "unseen": "Other", "similar": "Tile", "base_rate": "Chance"}
"""Figures that are shown of each landform, and their headings."""
CONFIG_FILE = "config.json"


def about_tab() -> None:
    """Tell what is searched, who made it, how good the encoder is, and which keys there are."""
    index = service().index
    manifest = index.manifest
    grid = manifest.grid.to_dict()
    if manifest.synthetic:
        st.warning("This planet is synthetic: its vectors are made up and say nothing about Mars.")
    fact_table(
        {
            "Tiles": f"{index.n_tiles:,}",
            "Grid": ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in grid.items()),
            "Vectors": f"{index.dim} dimensions, {manifest.quantisation}",
            "Source": manifest.source,
            "Licence": manifest.licence,
            "Made": manifest.created,
            "CRS": manifest.crs,
            "Model": manifest.model.id,
            "Model sha256": manifest.model.sha256,
            "Index digest": index.digest,
        }
    )
    figures = read_figures(settings.MODEL_DIR, manifest.model.sha256)
    if figures:
        _show_figures(figures)
    st.caption("Keys: / to type a query, n and p for the next and previous hit, Esc to close.")


def read_figures(folder: Path, sha256: str) -> dict[str, Any] | None:
    """Return what was measured of the model with that hash; None where that is not recorded."""
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        figures = json.loads((folder / FIGURES_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return figures if config.get("weights_sha256") == sha256 else None


def _show_figures(figures: dict[str, Any]) -> None:
    st.markdown("**How good the encoder is**")
    st.caption(
        f"Average precision on {figures['tiles']:,} tiles of areas that the training never saw: "
        "queries in wordings that it was trained on, in other wordings, and by an example tile. "
        "Chance is the precision of a random order."
    )
    rows = pd.DataFrame.from_dict(figures["landforms"], orient="index")[list(COLUMNS)]
    rows.loc["mean"] = [figures["mean"][name] for name in COLUMNS]
    rows.index = rows.index.str.replace("_", " ")
    table = rows.rename(columns=COLUMNS).rename_axis("Landform")
    number = st.column_config.NumberColumn(format="%.2f", width=58)
    st.dataframe(table, column_config=dict.fromkeys(COLUMNS.values(), number))
