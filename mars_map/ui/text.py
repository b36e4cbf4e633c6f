"""Texts of users, files and catalogues, made safe for Streamlit's Markdown."""

import re

import streamlit as st

_MARKUP = re.compile(r"([!-/:-@\[-`{-~])")
"""All ASCII punctuation: a backslash before it makes it plain in Markdown."""


def plain(text: str, limit: int = 80) -> str:
    """Return a text as Markdown that shows just these characters, shortened to `limit`.

    Labels and captions of Streamlit are Markdown: without this a query could become a link, a
    picture, a formula or a coloured word.
    """
    words = " ".join(text.split())
    if len(words) > limit:
        words = words[: limit - 1].rstrip() + "…"
    return _MARKUP.sub(r"\\\1", words)


def fact_table(rows: dict[str, str]) -> None:
    """Draw names and values as a table; values may come from anywhere and are shown as text."""
    lines = [f"| {name} | {plain(value, 400)} |" for name, value in rows.items()]
    with st.container(key="mars-facts"):
        st.markdown("\n".join(["| | |", "|-|-|", *lines]))
