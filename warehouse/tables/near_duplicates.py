"""Near duplicates: texts that say the same, found without comparing each with each.

Two texts are near duplicates when one has a single word more, or two more at one end, or when they
differ in one word that is the same but for its form ("raises", "raised"); the rest is equal and in
the same order. Words with digits and negations never count as small differences, and a text of
fewer than five words has none.

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

SAME_FORM = 72.0
"""Least rapidfuzz ratio (0 to 100) of two forms of a word; they also share three first letters."""

NEGATIONS = ("not", "no", "never", "without", "denies", "deny", "denied", "fails", "against")

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
    pairs = np.concatenate([_extended(encoded), _reformed(encoded)])
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
    from rapidfuzz import fuzz, process

    beginnings = pc.utf8_slice_codeunits(encoded.vocabulary, 0, 3).dictionary_encode()
    beginning = beginnings.indices.to_numpy().astype(np.int64)
    at = np.flatnonzero(_changeable(encoded.vocabulary)[encoded.word])
    key = encoded.without_word()[at] + _scrambled(beginning[encoded.word[at]])
    one, other = _meetings(key)
    one, other = at[one], at[other]
    forms, which = np.unique(
        np.column_stack([encoded.word[one], encoded.word[other]]), axis=0, return_inverse=True
    )
    alike = process.cpdist(
        encoded.vocabulary.take(pa.array(forms[:, 0])).to_pylist(),
        encoded.vocabulary.take(pa.array(forms[:, 1])).to_pylist(),
        scorer=fuzz.ratio,
        score_cutoff=SAME_FORM,
    ).astype(bool)
    met = alike[which.ravel()] if len(forms) else np.zeros(0, bool)
    return np.column_stack([encoded.owner[one[met]], encoded.owner[other[met]]])


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
    numeric = pc.match_substring_regex(vocabulary, r"\pN")
    negating = pc.is_in(vocabulary, pa.array(NEGATIONS))
    return np.asarray(pc.invert(pc.or_(numeric, negating)).to_numpy(zero_copy_only=False))


def _changeable(vocabulary: pa.Array) -> Flags:
    """Whether a word can have another form."""
    long = pc.greater_equal(pc.utf8_length(vocabulary), 4).to_numpy(zero_copy_only=False)
    return np.asarray(long & _small(vocabulary))


def _scrambled(number: Indices) -> Hashes:
    """64 well-mixed bits for each number (SplitMix64; Steele, Lea and Flood 2014)."""
    z = (number.astype(np.uint64) + np.uint64(1)) * np.uint64(_BASE)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
