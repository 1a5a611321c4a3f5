"""Plain text: markup, entities and invisible characters out; every word and sign of a title stays.

A "<" opens a tag only before the name of an HTML element, so "<consensus" is no tag; an "&" opens
an entity only before the name or number of one, so "AT&T" is none.
"""

from __future__ import annotations

import html.entities
import re
import unicodedata

import pyarrow as pa
import pyarrow.compute as pc

_ELEMENTS = (
    "a abbr acronym address applet area article aside audio b base basefont bdi bdo bgsound big "
    "blink blockquote body br button canvas caption center cite code col colgroup data datalist dd "
    "del details dfn dialog dir div dl dt em embed fieldset figcaption figure font footer form "
    "frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe image img input ins kbd "
    "label legend li link main map mark marquee math menu meta meter nav nobr noembed noframes "
    "noscript object ol optgroup option output p param picture pre progress q rp rt ruby s samp "
    "script section select slot small source span strike strong style sub summary sup svg table "
    "tbody td template textarea tfoot th thead time title tr track tt u ul var video wbr xmp"
).replace(" ", "|")
_ACTIVE = "script|style|iframe|frame|object|embed|applet|svg|math|img|link|meta|base|template"
_ATTRIBUTE = r"""[\s/]++[^\s<>"'=/]++\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'<>]*+)"""
_FLAGS = (
    "async|autoplay|checked|clear|compact|controls|defer|disabled|hidden|loop|muted|noresize|"
    "noshade|nowrap|open|readonly|required|reversed|selected"
)
_HIDDEN = re.compile(r"<(script|style)(?=[\s/>]|\Z).*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_HIDING = ("<s", "<S", "<\u017f")  # the long s is one where case is ignored
_TAG = re.compile(
    rf"""<!--.*?(?:-->|\Z) | <!\[CDATA\[ | \]\]> | <[!?](?:doctype|xml|entity)\b[^<>]*>?
    | </?(?:{_ELEMENTS})(?:{_ATTRIBUTE})++[\s/]*+>   # attributes may hold < and >
    | </?(?:{_ELEMENTS})[\s/]*+>
    | </?(?:{_ELEMENTS})[\s/][^<>=]*=[^<>]*>?
    | <(?:{_ELEMENTS})\s(?:\s*(?:{_FLAGS}))+[\s/]*>
    | </?(?:{_ACTIVE})(?=[\s/>]|\Z)[^<>]*>?
    | </[a-z][\w:.-]*\s*>                             # what is closed was opened as an element
    | <[a-z][\w:.-]*(?:\s+[\w:.-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'))+[\s/]*>
    | <[a-z]\w*:\w+[^<>]*/?>""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_PLAIN = re.compile(r"[!-%'-;=?-~]+(?: [!-%'-;=?-~]+)*", re.ASCII)
_DROPPED = frozenset({"Cf", "Cs"})
_SPACING = frozenset({"Cc", "Cn", "Co", "Zl", "Zp", "Zs"})
_LAYERS = 6

# What `_PLAIN` accepts, as RE2 understands it, so that a column is filtered without a loop.
_PLAIN_COLUMN = r"^[!-%'-;=?-~]+(?: [!-%'-;=?-~]+)*$"

_STRAY = re.compile(
    rb"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)|<(?![A-Za-z_:/!?\x80-\xff])|<(?=[^<>]*(?:<|\Z))|&([A-Za-z][A-Za-z0-9]{0,31};|#)?",
    re.DOTALL,
)


def clean_text(text: str) -> str:
    """One line of NFC text: markup, entities, control and invisible characters taken out.

    Escaping is undone layer by layer until nothing changes, so no entity or tag hides behind
    another. The words and signs are kept, whatever they say. The result may be empty.
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


def strays_escaped(document: bytes) -> bytes:
    """An XML document, with every "&" and "<" in it that opens nothing escaped.

    Well-formed documents pass as they are. Works on any encoding in which ASCII stands for itself.
    """
    return _STRAY.sub(_escaped, document)


def _escaped(found: re.Match[bytes]) -> bytes:
    sign, name = found[0], found[1]
    if sign == b"<":
        return b"&lt;"
    if sign.startswith(b"<") or name == b"#":
        return sign
    known = name is not None and name.decode() in html.entities.html5
    return sign if known else b"&amp;" + sign[1:]


def _peel(text: str) -> str:
    bare = text
    if "<" in text or "]]>" in text:
        # Most markup hides nothing, and to search for it takes as long as to remove the tags.
        hidden = any(opening in text for opening in _HIDING)
        bare = _TAG.sub(" ", _HIDDEN.sub(" ", text) if hidden else text)
    bare = html.unescape(bare)
    if not bare.isascii():
        bare = unicodedata.normalize("NFC", bare)
    if not bare.isprintable():
        bare = "".join(map(_visible, bare))
    return " ".join(bare.split())


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category in _DROPPED:
        return ""
    return " " if category in _SPACING else character
