"""The mars_map application: `streamlit run app.py`."""

import streamlit as st

from mars_map import web
from mars_map.ui.map import FILES

app = st.App("mars_map/ui/page.py", routes=web.routes(FILES), lifespan=web.lifespan)
