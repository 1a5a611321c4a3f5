"""Turning what a feed calls a title into one line of plain text."""

from __future__ import annotations

import html
import re
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

_PLAIN = re.compile(r"[!-%'-;=?-~]+(?: [!-%'-;=?-~]+)*", re.ASCII)
_HIDDEN = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<(?:!--.*?(?:-->|\Z)|[a-z/!?][^<>]*>?)", re.IGNORECASE | re.DOTALL)
_DROPPED = frozenset({"Cf", "Cs"})
_SPACING = frozenset({"Cc", "Cn", "Co", "Zl", "Zp", "Zs"})
_LAYERS = 6

# What `_PLAIN` accepts, as RE2 understands it, so that a column is filtered without a loop.
_PLAIN_COLUMN = r"^[!-%'-;=?-~]+(?: [!-%'-;=?-~]+)*$"


def clean_text(text: str) -> str:
    """One line of NFC text: markup, entities, control and invisible characters taken out.

    Escaping is undone layer by layer until nothing changes, so no entity or tag hides behind
    another. The words themselves are kept, whatever they say. The result may be empty.
    """
    if _PLAIN.fullmatch(text):
        return text
    for _ in range(_LAYERS):
        peeled = _peel(text)
        if peeled == text:
            return text
        text = peeled
    # Only a hostile text is wrapped this often; what is left must not become markup again.
    return " ".join(re.sub(r"[<>&]", " ", text).split())


def _peel(text: str) -> str:
    bare = html.unescape(_TAG.sub(" ", _HIDDEN.sub(" ", text)))
    if not bare.isascii():
        bare = unicodedata.normalize("NFC", bare)
    if not bare.isprintable():
        bare = "".join(map(_visible, bare))
    return " ".join(bare.split())


def clean_column(texts: pa.Array) -> pa.Array:
    """`clean_text` for every value of a string column; null stays null.

    Values that are plain already, nearly all in practice, are passed through untouched.
    """
    texts = texts.cast(pa.string())
    odd = pc.invert(pc.match_substring_regex(texts, _PLAIN_COLUMN))
    odd_texts = texts.filter(odd).dictionary_encode()
    cleaned = pa.array([clean_text(text) for text in odd_texts.dictionary.to_pylist()], pa.string())
    replacements = cleaned.take(odd_texts.indices)
    return pc.replace_with_mask(texts, pc.fill_null(odd, False), replacements)


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in _DROPPED:
        return ""
    return " " if category in _SPACING else character
