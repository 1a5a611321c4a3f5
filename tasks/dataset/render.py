"""How an example is worded: a template with named places, read here and filled in SQL."""

from __future__ import annotations

from string import Formatter

from pydantic import BaseModel, ConfigDict, Field, model_validator

# The order in which the warehouse passes the fields to its format(); names are the templates'.
EXAMPLE_FIELDS = ("ticker", "session", "headlines", "headline_count")
HEADLINE_FIELDS = ("title", "source", "summary")


class TemplateError(ValueError):
    """A template names a field that does not exist, or is not a template at all."""


class RenderSpec(BaseModel):
    """The words around the facts. Templates are data: places like `{ticker}`, nothing else.

    At most `max_headlines` are shown, the latest if there are more, oldest first; each title is
    put on one line and cut to `max_title_chars`. The answer is one of `answers` (up, down).
    The default shows no date: a pre-trained model may remember what happened on a day.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: str = "{ticker} news:\n{headlines}\nDirection:"
    headline_template: str = "- {title}"
    separator: str = "\n"
    max_headlines: int = Field(default=3, ge=1)
    max_title_chars: int = Field(default=160, ge=1)
    answers: tuple[str, str] = ("up", "down")

    @model_validator(mode="after")
    def _readable(self) -> RenderSpec:
        positional(self.template, EXAMPLE_FIELDS)
        positional(self.headline_template, HEADLINE_FIELDS)
        if not all(self.answers) or self.answers[0] == self.answers[1]:
            raise ValueError(f"answers are {self.answers}; expected two different words.")
        return self


def positional(template: str, fields: tuple[str, ...]) -> str:
    """`template` with each named place replaced by its number in `fields`.

    The result is a format string in which `{0}` is the first field; doubled braces stay literal.
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
        if name not in fields or specification or conversion:
            raise TemplateError(
                f"The template has the place {{{name}}}; expected one of "
                f"{', '.join(f'{{{field}}}' for field in fields)}, without conversion or format."
            )
        pieces.append(f"{{{fields.index(name)}}}")
    return "".join(pieces)
