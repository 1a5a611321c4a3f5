"""Words and signs of a title survive cleaning and ill-formed feeds; markup does not."""

from __future__ import annotations

from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.ingest.headlines.parsing import parse_feed
from tasks.ingest.headlines.plain_text import clean_text

KEPT = [
    "Harlow Q2 EPS $1.11 <consensus $1.20, shares fall",
    "Bitcoin<Ethereum this week, exchange says",
    "P/E<15: five cheap stocks",
    "Margins <a third of rivals', >40% of sales",
    "EPS < estimates, sales > estimates",
    "Debt <baseline> of plan",
    "S&P 500 hits record",
    "AT&T raises dividend; M&A, R&D & Q&A",
    "P&G beats",
]


@pytest.mark.parametrize("title", KEPT)
def test_words_and_signs_of_a_title_survive(title: str) -> None:
    assert clean_text(title) == title
    assert clean_text(escape(title)) == title
    assert clean_text(escape(escape(title))) == title


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("<b>Harlow</b> rises", "Harlow rises"),
        ('<a href="https://x.example/?a>b">Harlow</a> rises', "Harlow rises"),
        ("&lt;p class=x&gt;Harlow rises&amp;lt;br/&amp;gt;", "Harlow rises"),
        ("Harlow<script>alert('x')</script> rises", "Harlow rises"),
        ("Harlow rises <img src=x onerror=alert(1)", "Harlow rises"),
        ('Harlow <font color="red" size=2>rises', "Harlow rises"),
        ("<![CDATA[Harlow rises]]>", "Harlow rises"),
        ("<!-- draft -->Harlow rises", "Harlow rises"),
        ("<o:p>Harlow</o:p> <x-price unit='usd'>rises</x-price>", "Harlow rises"),
        ("Harlow &ndash; AT&amp;T &#39;deal&#39;", "Harlow – AT&T 'deal'"),
    ],
)
def test_markup_goes_and_its_words_stay(marked: str, plain: str) -> None:
    assert clean_text(marked) == plain


def titles(*spelled: str) -> list[str]:
    items = "".join(
        f"<item><title>{title}</title><guid>{number}</guid>"
        "<pubDate>Tue, 09 Jul 2024 13:05:00 GMT</pubDate></item>"
        for number, title in enumerate(spelled)
    )
    body = f"<rss version='2.0'><channel><title>Wire</title>{items}</channel></rss>"
    return [item.title for item in parse_feed(body.encode()).items]


WORDS = st.sampled_from(
    [
        "S&P",
        "AT&T",
        "P&G",
        "R&D",
        "<consensus",
        "Bitcoin<Ethereum",
        "P/E<15",
        "&",
        "<",
        "$1.11",
        "up",
    ]
)
SPELLINGS = st.sampled_from(
    [
        escape,
        lambda title: f"<![CDATA[{title}]]>",
        lambda title: title,
        lambda title: escape(title, {}),
    ]
)


@settings(deadline=None, max_examples=60, database=None)
@given(
    st.lists(st.tuples(st.lists(WORDS, min_size=1, max_size=6), SPELLINGS), min_size=1, max_size=4)
)
def test_an_ill_formed_feed_keeps_the_words_of_its_titles(
    drawn: list[tuple[list[str], object]],
) -> None:
    plain = [" ".join(["Harlow", *words]) for words, _ in drawn]
    spelled = [spell(title) for title, (_, spell) in zip(plain, drawn, strict=True)]  # type: ignore[operator]
    assert titles(*spelled) == plain


def test_an_ill_formed_feed_with_html_entities_keeps_its_words() -> None:
    assert titles("EPS < $2, P/E > 15: S&P 500&nbsp;up &mdash; AT&T; <b>P&G</b>") == [
        "EPS < $2, P/E > 15: S&P 500 up — AT&T; P&G"
    ]


@pytest.mark.parametrize(
    ("title", "source", "expected"),
    [
        ("Harlow rises - The Kestrel Ledger", "The Kestrel Ledger", "Harlow rises"),
        ("Harlow rises – Kestrel &amp; Sons", "Kestrel &amp; Sons", "Harlow rises"),
        ("Harlow Metals - Buy", "The Kestrel Ledger", "Harlow Metals - Buy"),
        ("Harlow Metals - Buy", None, "Harlow Metals - Buy"),
        (" - The Kestrel Ledger", "The Kestrel Ledger", "- The Kestrel Ledger"),
        ("The Kestrel Ledger", "The Kestrel Ledger", "The Kestrel Ledger"),
    ],
)
def test_publisher_goes_where_the_feed_names_it_and_nothing_else_does(
    title: str, source: str | None, expected: str
) -> None:
    named = f'<source url="https://k.example">{source}</source>' if source else ""
    item = f"<item><title>{title}</title><pubDate>Mon, 06 Jan 2020 10:30:00 GMT</pubDate>{named}"
    body = f"<rss version='2.0'><channel><title>s</title>{item}</item></channel></rss>"
    [read] = parse_feed(body.encode()).items
    assert read.title == expected
