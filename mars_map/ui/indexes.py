"""Which index is searched: a choice in the panel where there is more than one."""

from html import escape
from urllib.parse import urlencode

import streamlit as st

from mars_map.errors import MarsMapError
from mars_map.search import Query
from mars_map.ui.state import PageState
from mars_map.ui.text import plain
from mars_map.web import service
from mars_map.web.indexes import INDEX_PARAM, is_synthetic
from mars_map.web.params import query_to_params

MADE_UP = "This planet is synthetic: its vectors are made up and say nothing about Mars."


def index_switch(state: PageState) -> None:
    """Say what is searched where that is not plain Mars, and offer the other indexes.

    Another index is another map, so its link loads the page anew; words and limits come along,
    tiles do not, because their names mean other places there.
    """
    folders = service().folders
    if len(folders) > 1:
        with st.popover(f"Index: {plain(service().index_name, 40)}", width="stretch"):
            for name, folder in folders.items():
                note = " (synthetic)" if is_synthetic(folder) else ""
                here = " — shown now" if name == service().index_name else ""
                # A plain link, not a widget: the browser's own navigation, in the same tab.
                st.html(
                    f'<a class="mars-index" href="{_address(name, state.query)}" target="_self">'
                    f"{escape(name + note + here)}</a>"
                )
    try:
        if service().index.manifest.synthetic:
            st.html(f'<p class="mars-made-up">{MADE_UP}</p>')
    except MarsMapError:
        return  # the map says what is wrong


def _address(name: str, query: Query | None) -> str:
    kept = {}
    if query is not None and query.words and not (query.tiles or query.yes or query.no):
        kept = query_to_params(query.with_(filters=()))
    return escape("?" + urlencode({INDEX_PARAM: [name], **kept}, doseq=True))
