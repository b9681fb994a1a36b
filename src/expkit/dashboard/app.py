"""What Streamlit runs for every visit and every click: the navigation, and the page that was chosen."""

import streamlit as st

from expkit.dashboard import look, navigation
from expkit.dashboard.views import compare, library, run, runs, sweeps

st.set_page_config(page_title="expkit", page_icon=look.icon(), layout="wide")
st.html(look.STYLE)
st.logo(look.LOGO, size="medium")

navigation.pages = {
    "runs": st.Page(runs.show, title="Runs", icon=":material/table_rows:", url_path="runs", default=True),
    "compare": st.Page(compare.show, title="Compare", icon=":material/stacked_line_chart:", url_path="compare"),
    "sweeps": st.Page(sweeps.show, title="Sweeps", icon=":material/grid_on:", url_path="sweeps"),
    "library": st.Page(library.show, title="Library", icon=":material/menu_book:", url_path="library"),
    "run": st.Page(run.show, title="One run", icon=":material/science:", url_path="run"),
}
st.navigation(list(navigation.pages.values()), position="top").run()
