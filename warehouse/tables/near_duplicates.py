"""Near duplicates: texts that say the same, found without comparing each with each.

Two texts are near duplicates when one has a single word more, or two more at one end, when they
differ in one word that is the same but for its ending ("raises", "raised"), or when one breaks off
("…") where the other goes on; the rest is equal and in the same order. Words with digits, negations
and words that turn the news round never count as small differences, and a text of fewer than five
words has none.

Every text is hashed with each of its words left out (Mor and Fraenkel's deletion neighbourhood),
so near duplicates meet under a common hash. It depends on the two texts alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

SHORTEST = 5
"""Words in the shorter of two near duplicates, at least."""

CUT = "…"
"""The last word of a text that breaks off."""

TURNING = (
    r"^(not?|none|nor|never|neither|without|against|unlikely|despite|instead|almost|nearly|"
    r"rumou?r\w*|reportedly|alleged\w*|allegation\w*|possibl[ey]|potential\w*|perhaps|may|might|"
    r"could|would|should|maybe|likely|hopes?|fake|false|hoax|former|ex|un\w{4,}ed|"
    r"den(y|ie[sd]|ying|ial)|fail(s|ed|ing|ure)?|refus(es?|ed|ing|al)|reject(s|ed|ing|ion)?|"
    r"block(s|ed|ing)|cancel\w*|halt(s|ed|ing)?|suspend(s|ed|ing)?|delay(s|ed|ing)?|"
    r"postpon(es?|ed|ing)|collaps(es?|ed|ing)|end(s|ed|ing)?|stop(s|ped)?|drop(s|ped)?|"
    r"abandon(s|ed)?|withdraw(s|n)?|withdrew|scrap(s|ped)?|resum(es?|ed)|revers(es?|ed|al)|"
    r"avoid(s|ed)?|oppos(es?|ed)|stall(s|ed)?|break(s|ing)? ?down|terminat(es?|ed|ion)|dead|off|"
    r"up|down|higher|lower|more|less|above|below|over|under|before|after|"
    r"ris(es?|ing|en)|rose|fall(s|en|ing)?|fell|gain(s|ed)?|los(s|es?|ing|ses)|lost|"
    r"beat(s|en)?|miss(es|ed)?|jump(s|ed)?|plung(es?|ed)|surg(es?|ed)|tumbl(es?|ed)|"
    r"buy|sell|hold|overweight|underweight|outperform|underperform|neutral|upgrad\w*|downgrad\w*|"
    r"win(s|ning)?|won|first|second|third|half|double[sd]?|record|only|all|both)$"
)
"""Words that make other news of the same words: negations, hedges, reversals, directions."""

_ENDINGS = (
    (r"(ies|ied|ying)$", "y"),
    (r"^(.{3,}?)(ing|ed|es|s|e)$", r"\1"),
    *((f"{letter}{letter}$", letter) for letter in "bdgmnprt"),
)
"""What makes one stem of the forms of a word, in this order."""

_MOST_FORMS = 256
_BASE = 0x9E3779B97F4A7C15
_UNBASE = np.uint64(pow(_BASE, -1, 1 << 64))

Indices = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Texts:
    """Texts laid end to end: text t has the words at starts[t] up to starts[t + 1].

    `total[s]` is the sum of hash(word) * BASE^place, modulo 2^64, over all words before position s,
    so that any span of a text has its hash by one subtraction.
    """

    vocabulary: pa.Array
    word: Indices
    owner: Indices
    starts: Indices
    total: Hashes

    def whole(self) -> Hashes:
        """The hash of each text."""
        return self.total[self.starts[1:]] - self.total[self.starts[:-1]]

    def without_word(self) -> Hashes:
        """For each word, the hash of its text without it."""
        at = np.arange(len(self.word))
        before = self.total[at] - self.total[self.starts[self.owner]]
        after = self.total[self.starts[self.owner + 1]] - self.total[at + 1]
        return before + after * _UNBASE

    def without_first_two(self) -> Hashes:
        """The hash of each text without its first two words."""
        return (self.total[self.starts[1:]] - self.total[self.starts[:-1] + 2]) * _UNBASE * _UNBASE

    def without_last_two(self) -> Hashes:
        """The hash of each text without its last two words."""
        return self.total[self.starts[1:] - 2] - self.total[self.starts[:-1]]


def near_duplicates(texts: pa.Array) -> pa.Table:
    """All near-duplicate pairs among distinct texts, as columns `one` and `other`, one < other.

    A text is lower-case words with single spaces between. A phrase that comes with more than
    256 forms of one word is a template and yields no pairs by that word.
    """
    texts = texts.filter(pc.greater_equal(pc.count_substring(texts, " "), SHORTEST - 1))
    if not len(texts):
        return pa.table({"one": pa.array([], pa.string()), "other": pa.array([], pa.string())})
    encoded = _encoded(texts)
    pairs = np.concatenate([_extended(encoded), _reformed(encoded), _continued(encoded)])
    # A doubled word ("up up") makes a text meet itself.
    pairs = np.unique(np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1), axis=0)
    left, right = texts.take(pa.array(pairs[:, 0])), texts.take(pa.array(pairs[:, 1]))
    swapped = pc.greater(left, right)
    return pa.table(
        {"one": pc.if_else(swapped, right, left), "other": pc.if_else(swapped, left, right)}
    )


def _encoded(texts: pa.Array) -> _Texts:
    lists = pc.split_pattern(texts.cast(pa.string()), " ")
    encoded = lists.flatten().dictionary_encode()
    word = encoded.indices.to_numpy().astype(np.int64)
    starts = lists.offsets.to_numpy().astype(np.int64)
    owner = np.repeat(np.arange(len(texts)), np.diff(starts))
    place = np.arange(len(word)) - starts[owner]
    powers = np.full(int(place.max()) + 1, _BASE, np.uint64)
    powers[0] = 1
    term = _scrambled(word) * np.cumprod(powers)[place]
    total = np.concatenate([np.zeros(1, np.uint64), np.cumsum(term, dtype=np.uint64)])
    return _Texts(encoded.dictionary, word, owner, starts, total)


def _extended(encoded: _Texts) -> Indices:
    """Pairs of which one has a small word more, or up to two small words more at one end."""
    small = _small(encoded.vocabulary)[encoded.word]
    first, last = encoded.starts[:-1], encoded.starts[1:] - 1
    everyone = np.arange(len(first))
    longer = np.concatenate([encoded.owner[small], everyone, everyone])
    shortened = np.concatenate(
        [encoded.without_word()[small], encoded.without_first_two(), encoded.without_last_two()]
    )
    at_ends = np.concatenate([small[first] & small[first + 1], small[last] & small[last - 1]])
    usable = np.concatenate([np.ones(int(small.sum()), bool), at_ends])
    longer, shortened = longer[usable], shortened[usable]
    shorter = pc.index_in(pa.array(shortened), value_set=pa.array(encoded.whole()))
    met = shorter.is_valid().to_numpy(zero_copy_only=False)
    return np.column_stack([shorter.drop_null().to_numpy().astype(np.int64), longer[met]])


def _reformed(encoded: _Texts) -> Indices:
    """Pairs that differ in one word, which is the same word in another form."""
    stems = encoded.vocabulary
    for ending, replacement in _ENDINGS:
        stems = pc.replace_substring_regex(stems, ending, replacement)
    stem = stems.dictionary_encode().indices.to_numpy().astype(np.int64)
    # Other numbers than those of words, or a stem would pass for a first word.
    stem += 1 << 40
    at = np.flatnonzero(_changeable(encoded.vocabulary)[encoded.word])
    one, other = _meetings(encoded.without_word()[at] + _scrambled(stem[encoded.word[at]]))
    return np.column_stack([encoded.owner[at[one]], encoded.owner[at[other]]])


def _continued(encoded: _Texts) -> Indices:
    """Pairs of which one breaks off where the other goes on."""
    marked = encoded.vocabulary.index(CUT).as_py()
    last = encoded.starts[1:] - 1
    cut = np.flatnonzero(encoded.word[last] == marked)
    place = np.arange(len(encoded.word))
    begun = encoded.total[place] - encoded.total[encoded.starts[encoded.owner]]
    beginnings = pa.array(encoded.total[last[cut]] - encoded.total[encoded.starts[cut]])
    found = pc.index_in(pa.array(begun), value_set=beginnings)
    met = found.is_valid().to_numpy(zero_copy_only=False)
    shorter = cut[found.drop_null().to_numpy().astype(np.int64)]
    pairs = np.column_stack([shorter, encoded.owner[met]])
    return np.asarray(pairs, np.int64)


def _meetings(key: Hashes) -> tuple[Indices, Indices]:
    """All pairs of positions with equal keys, of keys that occur at most _MOST_FORMS times."""
    order = np.argsort(key)
    ends = np.flatnonzero(np.diff(key[order], append=~key[order[-1:]]))
    count = np.diff(ends, prepend=-1)
    size = np.repeat(count, count)
    kept = np.flatnonzero((size > 1) & (size <= _MOST_FORMS))
    order, ordered = order[kept], key[order][kept]
    ones, others = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for distance in range(1, int(size[kept].max(initial=1))):
        near = np.flatnonzero(ordered[distance:] == ordered[:-distance])
        ones.append(order[near])
        others.append(order[near + distance])
    return np.concatenate(ones), np.concatenate(others)


def _small(vocabulary: pa.Array) -> Flags:
    """Whether adding a word leaves the message the same, as far as words can tell."""
    turning = pc.match_substring_regex(vocabulary, TURNING)
    return np.asarray(~_numeric(vocabulary) & ~np.asarray(turning.to_numpy(zero_copy_only=False)))


def _changeable(vocabulary: pa.Array) -> Flags:
    """Whether a word can have another form."""
    long = pc.greater_equal(pc.utf8_length(vocabulary), 4).to_numpy(zero_copy_only=False)
    return np.asarray(long & ~_numeric(vocabulary))


def _numeric(vocabulary: pa.Array) -> Flags:
    numeric = pc.match_substring_regex(vocabulary, r"\pN")
    return np.asarray(numeric.to_numpy(zero_copy_only=False))


def _scrambled(number: Indices) -> Hashes:
    """64 well-mixed bits for each number (SplitMix64; Steele, Lea and Flood 2014)."""
    z = (number.astype(np.uint64) + np.uint64(1)) * np.uint64(_BASE)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
