"""Texts of users, files and catalogues, made safe for Streamlit's Markdown."""

import re

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
