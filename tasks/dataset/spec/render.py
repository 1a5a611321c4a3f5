"""How an example is worded: a template with named places, read here and filled in SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import Formatter

from pydantic import BaseModel, ConfigDict, Field, model_validator

# The order in which the warehouse passes the fields to its format(); names are the templates'.
CONTEXT_FIELDS = ("returns", "volume_change", "market_return", "days_since_news")
EXAMPLE_FIELDS = ("ticker", "session", "headlines", "headline_count", *CONTEXT_FIELDS)
HEADLINE_FIELDS = ("title", "source", "summary", "age")

FEATURE_PLACE = re.compile(r"features|feature\.[a-z][a-z0-9_]*(\.age)?")
"""Fields of a template that a data set's features fill; which there are, only its spec knows."""
FEATURE_MARK = "\x01"
"""Stands on both sides of the number of such a place until the warehouse fills it."""


class TemplateError(ValueError):
    """A template names a field that does not exist, or is not a template at all."""


class RenderSpec(BaseModel):
    """The words around the facts. Templates are data: places like `{ticker}`, nothing else.

    The default shows no date: a pre-trained model may remember what happened on a day.

    Context, all of it as known at the decision: `{returns}` are those of the last `return_window`
    finished sessions, close to close, oldest first; `{volume_change}` is the last one's volume
    against the mean of the `return_window` before it; `{market_return}` the mean return of all
    tickers of the exchange in it; `{days_since_news}` the days since the session before that had
    news; a headline's `{age}` is in full hours. What is not known reads `?`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: str = "{ticker} news:\n{headlines}\nDirection:"
    """The prompt: places for ticker, session, headlines, context and own columns."""
    headline_template: str = "- {title}"
    """One headline: places for title, source, summary and age."""
    separator: str = "\n"
    """Text between two headlines."""
    max_headlines: int = Field(default=3, ge=1)
    """At most so many are shown, the latest if there are more, oldest first."""
    max_title_chars: int = Field(default=160, ge=1)
    """Each title is put on one line and cut to so many characters."""
    answers: tuple[str, str] = ("up", "down")
    """The answer for up and the one for down."""
    return_window: int = Field(default=5, ge=1, le=60)
    """Sessions that returns and volume look back."""
    mask: str | None = None
    """Word that replaces the ticker, its cashtag and its known names, so that a model cannot answer
    by what it remembers of a company. None: nothing is replaced."""
    max_tokens: int | None = Field(default=None, ge=1)
    """The oldest headlines are dropped until `tokenizer` counts no more than that; the question
    itself never is. None: no limit."""
    tokenizer: str | None = None
    """Name of the tokenizer that counts; whoever builds the data set brings it. None: no limit."""

    @property
    def feature_places(self) -> tuple[str, ...]:
        """The template's places for features, as written there."""
        return tuple(sorted(filter(FEATURE_PLACE.fullmatch, filter(None, _names(self.template)))))

    @property
    def uses_context(self) -> bool:
        """Whether the template asks for prices or for the distance to earlier news."""
        return not _names(self.template).isdisjoint(CONTEXT_FIELDS)

    @property
    def uses_summary(self) -> bool:
        """Whether a headline is shown with its summary."""
        return "summary" in _names(self.headline_template)

    @property
    def uses_age(self) -> bool:
        """Whether a headline is shown with its age."""
        return "age" in _names(self.headline_template)

    def without_news(self) -> RenderSpec:
        """The same question about ticker and session alone, for the recall probe.

        The question is the template's last line, where that holds no place. Names are shown even
        where the spec masks them: what is asked is what the model knows by them.
        """
        question = self.template.splitlines()[-1] if self.template.strip() else ""
        if not question.strip() or _names(question) != {None}:
            question = "Direction:"
        return RenderSpec(template="{ticker} on {session}\n" + question, answers=self.answers)

    def leave_one_out(self, text: str, count: int) -> tuple[str, ...]:
        """An example's prompt `text` with each of its `count` headlines left out in turn.

        The places are found again by the template, so nothing else of the prompt changes but the
        number of headlines, where it is shown. Raises TemplateError where the headlines cannot be
        told apart: the template shows none, or a title holds the separator.
        """
        if not count:
            return ()
        parts = [(literal, name) for literal, name, _, _ in Formatter().parse(self.template)]
        pattern = "".join(
            re.escape(literal) + ("" if name is None else _PLACES.get(name, ".*?"))
            for literal, name in parts
        )
        shown = [name for _, name in parts]
        found = re.fullmatch(pattern, text) if shown.count("headlines") == 1 else None
        pieces = found["headlines"].split(self.separator) if found else []
        each = self.headline_template.count(self.separator) + 1
        if found is None or len(pieces) != count * each:
            raise TemplateError(
                f"The prompt {text[:60]!r} cannot be parted into its {count} headlines by the "
                f"template {self.template!r}, which must show {{headlines}} once, with a separator "
                "that no title holds."
            )
        lines = [self.separator.join(pieces[k * each : (k + 1) * each]) for k in range(count)]
        return tuple(_without(found, lines, k, self.separator) for k in range(count))

    @model_validator(mode="after")
    def _readable(self) -> RenderSpec:
        positional(self.template, EXAMPLE_FIELDS, dict.fromkeys(self.feature_places, 0))
        positional(self.headline_template, HEADLINE_FIELDS)
        words = (self.template, self.headline_template, self.separator, self.mask or "")
        if any(FEATURE_MARK in text for text in words):
            raise ValueError("a template holds the control character U+0001; take it out.")
        if not all(self.answers) or self.answers[0] == self.answers[1]:
            raise ValueError(f"answers are {self.answers}; expected two different words.")
        if (self.max_tokens is None) != (self.tokenizer is None):
            raise ValueError(
                "max_tokens and tokenizer go together: a budget means nothing without the name "
                f"of the tokenizer that counts; got {self.max_tokens} and {self.tokenizer}."
            )
        return self


_PLACES = {"headlines": "(?P<headlines>(?s:.*))", "headline_count": r"(?P<headline_count>\d+)"}


def _without(found: re.Match[str], lines: list[str], left_out: int, separator: str) -> str:
    """The matched prompt without one of its headline lines, and with their number one less."""
    now = {"headlines": separator.join(lines[:left_out] + lines[left_out + 1 :])}
    if "headline_count" in found.groupdict():
        now["headline_count"] = str(int(found["headline_count"]) - 1)
    text = found.string
    for name in sorted(now, key=found.start, reverse=True):
        text = text[: found.start(name)] + now[name] + text[found.end(name) :]
    return text


def _names(template: str) -> set[str | None]:
    return {name for _, name, _, _ in Formatter().parse(template)}


def positional(
    template: str, fields: tuple[str, ...], features: Mapping[str, int] | None = None
) -> str:
    """`template` with each named place replaced by its number in `fields`.

    The result is a format string in which `{0}` is the first field; doubled braces stay literal.
    A place of `features` becomes its number between two FEATURE_MARKs.
    Raises TemplateError for an unknown field, a conversion, a format specification or a lone
    brace.
    """
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise TemplateError(f"The template {template!r} cannot be read: {error}.") from error
    pieces = []
    for literal, name, specification, conversion in parts:
        pieces.append(literal.replace("{", "{{").replace("}", "}}"))
        if name is None:
            continue
        if features and name in features and not specification and not conversion:
            pieces.append(f"{FEATURE_MARK}{features[name]}{FEATURE_MARK}")
            continue
        if name not in fields or specification or conversion:
            raise TemplateError(
                f"The template has the place {{{name}}}; expected one of "
                f"{', '.join(f'{{{field}}}' for field in fields)}, without conversion or format."
            )
        pieces.append(f"{{{fields.index(name)}}}")
    return "".join(pieces)
