"""The Streamlit page: the map, the panel on its left and the drawer on its right."""
