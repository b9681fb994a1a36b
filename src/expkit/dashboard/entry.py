"""What Streamlit's server runs: the pages of app.py, behind the gate."""

from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware

from expkit.dashboard.gate import Gate
from expkit.dashboard.server import HOSTS

app = st.App(Path(__file__).with_name("app.py"), middleware=[Middleware(Gate, hosts=HOSTS)])
