"""What others have of a tile: the CTX quad to download, products of the PDS, Mars Trek."""

import streamlit as st

from mars_map.planet.elsewhere import place_links


def elsewhere(bounds: tuple[float, float, float, float]) -> None:
    """Draw the links of a box: west, south, east, north in degrees."""
    links = " · ".join(f"[{link.title}]({link.address})" for link in place_links(bounds))
    st.caption(f"Elsewhere: {links}. These open outside of mars_map and need a network.")
