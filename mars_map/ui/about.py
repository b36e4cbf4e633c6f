"""About this index: what is searched, who made it, and how good the encoder is."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from mars_map.search.calibration import CALIBRATION_FILE
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
    figures = read_figures(service().model_folder, manifest.model.sha256)
    if figures:
        _show_figures(figures)
    calibration = read_figures(service().model_folder, manifest.model.sha256, CALIBRATION_FILE)
    if calibration:
        _show_checks(calibration)
    st.caption("Keys: / to type a query, n and p for the next and previous hit, Esc to close.")


def read_figures(folder: Path, sha256: str, file: str = FIGURES_FILE) -> dict[str, Any] | None:
    """Return what was measured of the model with that hash; None where that is not recorded."""
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        figures = json.loads((folder / file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return figures if config.get("weights_sha256") == sha256 else None


def _show_figures(figures: dict[str, Any]) -> None:
    test = figures["test"]
    st.markdown("**How good the encoder is**")
    st.caption(
        f"Average precision on {test['tiles']:,} tiles of areas that the training never saw: "
        "queries in wordings that it was trained on, in other wordings, and by an example tile. "
        "Chance is the precision of a random order."
    )
    _figure_table(test["landforms"], test["mean"], "Landform")
    cells = test["one_degree"]
    st.caption(
        f"The same on {cells['cells']:,} cells of one degree, by catalogues and named features "
        "alone: every cell where none is listed counts as wrong."
    )
    _figure_table(cells["classes"], cells["mean"], "Class")


def _figure_table(rows: dict[str, dict[str, float]], mean: dict[str, float], heading: str) -> None:
    frame = pd.DataFrame.from_dict(rows, orient="index")[list(COLUMNS)]
    frame.loc["mean"] = [mean[name] for name in COLUMNS]
    frame.index = frame.index.str.replace("_", " ")
    table = frame.rename(columns=COLUMNS).rename_axis(heading)
    number = st.column_config.NumberColumn(format="%.3f", width=58)
    st.dataframe(table, column_config=dict.fromkeys(COLUMNS.values(), number))


def _show_checks(calibration: dict[str, Any]) -> None:
    """Tell how well estimates and the limits of what is known stood up on ground left out."""
    checks = calibration["checks"]
    test = checks["test"]["unseen, best 0.3%"]
    left_out = checks["left_out_validation"]["unseen, best 0.3%"]
    words = calibration["familiarity"]["other_half"]
    st.markdown("**What its estimates are worth**")
    st.caption(
        f"Of wordings that training never used {words['unseen_accepted']:.0%} are taken as known, "
        f"and of words for no landform of Mars {words['never_accepted']:.0%}. Over "
        f"{test['queries']:,} queries in wordings that training never used, on the test blocks, "
        f"estimates expected {test['mean_estimate']:.0%} of the hits to be right, and "
        f"{test['mean_truth']:.0%} were; the 90 % interval held the truth in "
        f"{test['interval_holds']:.0%}. On validation blocks left out of the fit the three figures "
        f"are {left_out['mean_estimate']:.0%}, {left_out['mean_truth']:.0%} and "
        f"{left_out['interval_holds']:.0%}."
    )
