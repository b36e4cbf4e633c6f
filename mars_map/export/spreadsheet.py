"""CSV for spreadsheets and scripts. The outline of a tile is its west, south, east and north."""

from mars_map.export.provenance import Provenance
from mars_map.export.shapefile import TEXTS

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
"""First characters that make a spreadsheet run a text as a formula."""


def csv(provenance: Provenance) -> bytes:
    """Return the rows as UTF-8, comma-separated, with a line of names.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.
    """
    table = provenance.table().drop(columns="geometry")
    for name in TEXTS & set(table):
        table[name] = table[name].map(defuse)
    return table.to_csv(index=False, lineterminator="\n").encode()


def defuse(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_SIGNS) else text
