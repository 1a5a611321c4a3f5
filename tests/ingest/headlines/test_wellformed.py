"""The quick reading of a well-formed feed is feedparser's, or is left to it.

NEWSVANE_FEED_MUTATIONS=50000 tries that many spoiled feeds instead of a few hundred.
"""

from __future__ import annotations

import os
import random
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import feedparser
import pytest

from tasks.ingest.headlines import wellformed
from tasks.ingest.headlines.feed_shapes import IGNORED
from tasks.ingest.headlines.parsing import FeedParseError, in_utf8, parse_feed, read_by_feedparser
from tasks.ingest.headlines.wellformed import Entries, read_wellformed

MUTATIONS = int(os.environ.get("NEWSVANE_FEED_MUTATIONS", "400"))
READ = ("title", "link", "id", "published", "updated", "created", "summary")

RSS = """<?xml version="1.0" encoding="UTF-8"?>
<!-- made -->
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:atom="http://www.w3.org/2005/Atom"
 xmlns:media="http://search.yahoo.com/mrss/" xmlns:slash="http://purl.org/rss/1.0/modules/slash/">
<channel><title>Wire</title><link>https://wire.example</link><description>News</description>
<atom:link href="https://wire.example/rss" rel="self" type="application/rss+xml"/>
<language>en-us</language><pubDate>Tue, 02 Jan 2024 10:00:00 GMT</pubDate>
<image><url>https://wire.example/i.png</url><title>Wire image</title><link>https://w.example</link>
</image><ttl>5</ttl>
<item><title>Acme &amp; Co&amp;#8217;s outlook <![CDATA[raised <b>again</b>]]></title>
<link>https://wire.example/1?a=1&amp;b=2</link><guid isPermaLink="false">w-1</guid>
<pubDate>Tue, 02 Jan 2024 09:30:00 +0100</pubDate><category domain="d">AAPL</category>
<description>&lt;p&gt;Said &lt;b&gt;so&lt;/b&gt;.&lt;/p&gt;</description>
<source url="https://s.example/rss">Paper</source><dc:creator>Ann</dc:creator>
<media:content url="https://m.example/1.jpg" type="image/jpeg"/><slash:comments>3</slash:comments>
<enclosure url="https://m.example/1.mp3" length="5" type="audio/mpeg"/></item>
<item><guid>https://wire.example/2</guid><title>Société Générale — Zürich £5</title>
<content:encoded><![CDATA[<p>Long words</p>]]></content:encoded>
<dc:date>2024-01-02T08:00:00Z</dc:date></item>
<item><media:title>Other words</media:title><title>Third</title><author>a@b.example (Bo)</author>
<description/><content:encoded>All of it</content:encoded><comments>https://c.example</comments>
<pubDate>Mon, 01 Jan 2024 23:00 EST</pubDate></item>
</channel></rss>"""
ATOM = """<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="en"><title type="text">Wire</title>
<id>urn:w</id><updated>2024-01-02T10:00:00Z</updated><link rel="self" href="https://w.example/a"/>
<author><name>Ann</name><email>a@b.example</email><uri>https://a.example</uri></author>
<entry><title type="html">Acme &amp;amp; Co &lt;b&gt;up&lt;/b&gt;</title><id>urn:w:1</id>
<link href="https://w.example/1"/><link rel="edit" href="https://w.example/e/1"/>
<updated>2024-01-02T09:00:00+01:00</updated><published>2024-01-02T07:00:00.250Z</published>
<summary>Short</summary><content type="html">&lt;p&gt;Long&lt;/p&gt;</content></entry>
<entry><id>https://w.example/2</id><title>Second – words</title><category term="AAPL"/>
<published>2024-01-01T07:00:00Z</published><content>All of it</content>
<author><name>Bo</name></author></entry></feed>"""
OLD = """<rss version="0.91"><channel><title>Old</title><item><title>One</title>
<link>http://o.example/1</link><description>d</description></item></channel></rss>"""

SNIPPETS = (
    "<title>More</title>", "<title/>", "<link>http://x.example/a;b&amp;c;</link>", "<link/>",
    "<link>http:////x.example</link>", '<link href="x" rel="alternate"/>', "<guid>g</guid>",
    '<guid isPermaLink="true">http:///g</guid>', "<guid/>", "<pubDate>soon</pubDate>", "<pubDate/>",
    "<updated>2024-01-01T00:00:00Z</updated>", "<dc:date>2024-01-01</dc:date>",
    "<description>d2</description>", "<summary>s</summary>", "<content>c</content>",
    "<content:encoded>e</content:encoded>", "<media:title>m</media:title>",
    "<media:description>md</media:description>",
    "<media:group><media:title>g</media:title></media:group>", "<source>S</source>",
    "<source><title>T</title></source>", "<atom:title>at</atom:title>",
    '<atom:link href="http://al.example"/>', "<image><title>i</title></image>",
    "<textinput><title>t</title></textinput>", "<author><name>n</name></author>",
    "<slash:x>1</slash:x>", "<dc:title>dt</dc:title>", "<date>2020-01-01</date>", "<x:y>z</x:y>",
    "<created>2024-01-01T00:00:00Z</created>", "<b>bold</b>", "<!-- c -->", "<?pi a < b ?>",
    "&amp;", "&nbsp;", "&#8217;", "&#x80;", "&#146;", "&bogus;", "<![CDATA[ <i>x</i> ]]>",
    "\u00c3\u00a9", "\u0093", "<", "&", " ", "\u00a0", "\ufeff", "<item><title>in</title></item>",
    "<entry/>", "<item/>", "<language>de</language>", "<svg/>", "<div>d</div>", "</item>",
    "<channel/>", "<!DOCTYPE rss>", '<!ENTITY a "b">', "\u000b", "<links>l</links>",
    "<itunes:summary>i</itunes:summary>", "<tags>a,b</tags>",
    "<a:title xmlns:a='http://www.w3.org/2005/Atom'>q</a:title>",
    "<title xmlns='http://u.example'>u</title>",
)  # fmt: skip
ATTRIBUTES = (
    ' xml:base="http://base.example/a/"', ' base="http://b.example/"', ' type="html"',
    ' TYPE="XHTML"', ' type="xhtml"', ' type="image/png"', ' mode="base64"',
    ' href="http://h.example"', ' rel="SELF"', ' rel="alternate"', ' isPermaLink="true"',
    ' ispermalink="false"', ' url="http://u.example"', ' xml:lang="de"', ' lang=""',
    ' xmlns:q="http://q.example"', ' lastmod="2020-01-01"', ' src="s"',
    ' xmlns="http://purl.org/rss/1.0/"', ' xmlns:r="http://purl.org/rss/1.0/"', ' term="t"',
    ' xmlns:dc="http://search.yahoo.com/mrss/"', ' version="0.92"', ' rdf:about="x"', ' xmlns=""',
    ' xmlns:media="http://purl.org/dc/elements/1.1/"', ' xmlns:m="http://search.yahoo.com/mrss/"',
)  # fmt: skip
WORDS = re.compile(r"</?[\w:]+")
PARTS = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<[^>]*>|[^<]+", re.DOTALL)
LEAVES = re.compile(
    rf"<([\w:]+)[^<>]*(?<!/)>(?:[^<]|<!\[CDATA\[.*?\]\]>)*</\1>|{PARTS.pattern}", re.DOTALL
)
"""Whole elements where they have no children, so that most of what is moved stays well-formed."""


def read_fields(entries: Entries) -> tuple[str, str, list[dict[str, Any]]]:
    """All that the pipeline reads of a feed."""
    version, feed, found = entries

    def text(of: dict[str, Any], name: str) -> Any:
        value = dict.get(of, name)
        return value if isinstance(value, str) else ""

    def source(of: dict[str, Any]) -> str:
        value = dict.get(of, "source")
        return text(value, "title") if isinstance(value, dict) else ""

    return (
        version,
        text(feed, "title"),
        [{name: text(one, name) for name in READ} | {"source": source(one)} for one in found],
    )


def is_same(body: bytes, content_type: str = "") -> bool:
    """Whether the quick path took the feed; fails where it reads it otherwise than feedparser."""
    try:
        text, _ = in_utf8(body, content_type)
    except (FeedParseError, LookupError, ValueError):
        return False
    quick = read_wellformed(text)
    if quick is None:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        slow = read_by_feedparser(text)
    assert read_fields(quick) == read_fields(slow), text.decode("utf-8", "replace")
    return True


def spoiled(text: str, chance: random.Random) -> bytes:
    """The feed with one or two things changed, moved, doubled or put in."""
    pieces = LEAVES if chance.random() < 0.8 else PARTS
    for _ in range(chance.randint(1, 2)):
        parts = [found[0] for found in pieces.finditer(text)]
        at = chance.randrange(len(parts))
        one = parts[at]
        match chance.randrange(9):
            case 0:
                parts.insert(at, chance.choice(SNIPPETS))
            case 1 if one.startswith("<") and one.endswith(">"):
                name = WORDS.match(one)
                end = name.end() if name else 1
                parts[at] = one[:end] + chance.choice(ATTRIBUTES) + one[end:]
            case 2:
                del parts[at]
            case 3:
                parts.insert(chance.randrange(len(parts)), one)
            case 4:
                other = chance.randrange(len(parts))
                parts[at], parts[other] = parts[other], one
            case 5:
                parts[at] = one.swapcase()
            case 6:
                end = at + chance.randint(2, 4)
                place = chance.randrange(len(parts))
                parts[place:place] = parts[at:end]
            case 7:
                place = chance.randrange(len(one) + 1)
                parts[at] = one[:place] + chance.choice(SNIPPETS) + one[place:]
            case _:
                del parts[at : at + 3]
        text = "".join(parts) or "<"
    return with_damage(text.encode("utf-8", "surrogatepass"), chance)


def with_damage(body: bytes, chance: random.Random) -> bytes:
    """One in ten has bytes in it that may be no text."""
    if chance.random() < 0.1:
        place = chance.randrange(len(body))
        body = body[:place] + chance.randbytes(chance.randint(0, 3)) + body[place + 1 :]
    return body


@pytest.mark.parametrize("feed", [RSS, ATOM, OLD], ids=["rss 2.0", "atom", "rss 0.91"])
@pytest.mark.parametrize(
    ("encoding", "content_type"),
    [
        ("utf-8", ""),
        ("utf-8-sig", "application/rss+xml"),
        ("cp1252", "text/xml; charset=windows-1252"),
        ("cp1252", "application/xml; charset=utf-8"),
    ],
)
def test_usual_feeds_are_read_quickly_in_any_encoding(
    feed: str, encoding: str, content_type: str
) -> None:
    assert is_same(feed.encode(encoding), content_type)


def test_a_feed_in_sixteen_bits_is_read_quickly_once_it_is_in_utf_8() -> None:
    assert is_same(RSS.replace("UTF-8", "utf-16").encode("utf-16"), "application/xml")


def test_every_snippet_in_every_place_of_an_item_is_read_as_feedparser_reads_it() -> None:
    taken = Counter[bool]()
    for feed, end in ((RSS, "</item>"), (ATOM, "</entry>"), (OLD, "</item>")):
        first, rest = feed.split(end, 1)
        start = first.rindex(end.replace("/", "")) + len(end) - 1
        for snippet in SNIPPETS:
            for changed in (first + snippet, first[:start] + snippet + first[start:]):
                taken[is_same((changed + end + rest).encode("utf-8", "surrogatepass"))] += 1
    assert taken[True] > 40 < taken[False]


def test_spoiled_feeds_are_read_as_feedparser_reads_them() -> None:
    chance = random.Random(20240102)
    taken = sum(is_same(spoiled(chance.choice((RSS, ATOM, OLD)), chance)) for _ in range(MUTATIONS))
    print(f"{taken:,} of {MUTATIONS:,} spoiled feeds were read by the quick path")
    assert taken > MUTATIONS / 20


@pytest.mark.shared_data
def test_real_feeds_and_spoiled_ones_are_read_as_feedparser_reads_them(shared_data: Path) -> None:
    files = sorted((shared_data / "recorded" / "rss_corpora").rglob("*.xml"))
    taken = [path for path in files if is_same(path.read_bytes())]
    assert len(taken) > 20
    chance = random.Random(7)
    texts = [text for path in taken if len(text := path.read_text("utf-8", "replace")) < 30_000]
    again = sum(is_same(spoiled(chance.choice(texts), chance)) for _ in range(MUTATIONS // 4))
    print(f"{len(taken)} of {len(files)} real feeds, {again:,} of {MUTATIONS // 4:,} spoiled ones")
    assert again > MUTATIONS / 40


@pytest.mark.parametrize("prefix", IGNORED)
def test_feedparser_handles_no_element_of_the_prefixes_that_are_ignored(prefix: str) -> None:
    handled = [
        name
        for name in dir(feedparser.api.StrictFeedParser)
        if re.match(rf"_(?:start|end)_{prefix}_", name)
    ]
    assert handled == []


BOMB = "<!DOCTYPE r [<!ENTITY a 'lol'><!ENTITY b '&a;&a;&a;&a;'>]>"


@pytest.mark.parametrize(
    "head",
    [BOMB, BOMB.swapcase(), "<!DOCTYPE rss SYSTEM 'file:///etc/passwd'>", "<!DOCTYPE rss>",
     "<!-- <!DOCTYPE x> -->", "<?xml-stylesheet href='file:///etc/passwd'?>"],
)  # fmt: skip
def test_no_declaration_reaches_the_quick_path(head: str) -> None:
    """Entities, external files and instructions are not for a parser without guards."""
    body = f"<?xml version='1.0' encoding='utf-8'?>{head}{OLD}".encode()
    assert read_wellformed(body) is None
    if "ENTITY" in head.upper():
        with pytest.raises(FeedParseError, match="declares entities"):
            parse_feed(body)


def test_a_large_or_a_deep_document_is_left_to_feedparser(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = "<?xml version='1.0' encoding='utf-8'?>"
    deep = OLD.replace("<item>", "<item>" + "<b>" * 20_000 + "</b>" * 20_000)
    assert read_wellformed((declared + deep).encode()) is None
    assert read_wellformed((declared + OLD).encode()) is not None
    for limit in ("MOST_BYTES", "MOST_TAGS"):
        with monkeypatch.context() as less:
            less.setattr(wellformed, limit, 5)
            assert read_wellformed((declared + OLD).encode()) is None
