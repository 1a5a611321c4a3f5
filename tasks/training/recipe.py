"""Fine-tuning recipe: what to train and how, one small YAML file read into one frozen object."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

RECIPES = Path(__file__).parent / "recipes"

_RENAMED = """
knows_until=knowledge_cutoff vocabulary=vocab_size hidden=hidden_size layers=num_hidden_layers
intermediate=intermediate_size heads=num_attention_heads key_value_heads=num_key_value_heads
head_size=head_dim tied_embeddings=tie_word_embeddings rank=r alpha=lora_alpha dropout=lora_dropout
targets=target_modules epochs=num_train_epochs batch_rows=batch_size log_steps=logging_steps
accumulate=gradient_accumulation_steps warmup_fraction=warmup_ratio evaluate_steps=eval_steps
max_gradient_norm=max_grad_norm patience=early_stopping_patience checkpoint_steps=save_steps
quantisation=quantization
"""
FORMER_KEYS: dict[str, str] = dict(re.findall(r"(\w+)=(\w+)", _RENAMED))
"""Keys of former recipes and their names now: those of transformers and peft. No name is in two
sections. Files with former keys are read for one more release; stored recipes and ids for good.
"""


class TrainingError(RuntimeError):
    """Training or scoring could not be done; the message says why and what to do next."""


class RecipeError(TrainingError, ValueError):
    """A recipe is unknown, malformed, or asks for something impossible."""


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ModelShape(_Spec):
    """The sizes of a Llama-shaped decoder, as its config.json spells them."""

    vocab_size: int = Field(ge=16)
    """Tokens of the vocabulary."""
    hidden_size: int = Field(ge=8)
    """Width of the residual stream."""
    intermediate_size: int = Field(ge=8)
    """Width of the feed-forward layers."""
    num_hidden_layers: int = Field(ge=1)
    """Number of layers."""
    num_attention_heads: int = Field(ge=1)
    """Heads of queries."""
    num_key_value_heads: int = Field(ge=1)
    """Heads of keys and values."""
    head_dim: int = Field(ge=2)
    """Width of a head."""
    tie_word_embeddings: bool = False
    """Whether input and output embeddings are the same weights."""


class _Base(_Spec):
    """What every base model has."""

    name: str
    """Name of the model, on the hub or your own."""
    shape: ModelShape
    """The sizes of the decoder, as its config.json spells them."""
    knowledge_cutoff: date | None = None
    """Last day that the base's training data can hold, none if none does. Where the publisher does
    not say, it is the end of the month in which the weights appeared."""


class RandomBase(_Base):
    """A Llama of random weights with a tokenizer built from a text in the source: for tests."""

    kind: Literal["random"] = "random"
    """Weights drawn from a seed."""
    licence: str = "MIT"
    """Licence of the weights."""
    weights_seed: int = 0
    """Seed of the weights."""
    words: str = ""
    """Learned by the tokenizer too, so that each word is one token if the vocabulary allows."""


class PackagedBase(_Base):
    """A GGUF file inside an installed Python distribution, found without importing it."""

    kind: Literal["packaged"] = "packaged"
    """Weights inside an installed distribution."""
    licence: str
    """Licence of the weights."""
    distribution: str
    """Name of the Python distribution."""
    version: str
    """Version of the distribution that is expected."""
    file: str
    """Path of the GGUF file inside it."""


class HubBase(_Base):
    """Weights on the Hugging Face hub."""

    kind: Literal["hub"] = "hub"
    """Weights fetched from the hub."""
    licence: str
    """Licence of the weights."""
    revision: str = "main"
    """Branch, tag or commit."""
    gated: bool = False
    """Whether they need an accepted licence and a token."""


class FolderBase(_Base):
    """A folder in the transformers layout with safetensors weights."""

    kind: Literal["folder"] = "folder"
    """Weights in a folder of yours."""
    licence: str = "unknown"
    """Licence of the weights."""
    path: Path
    """The folder."""


Base = Annotated[RandomBase | PackagedBase | HubBase | FolderBase, Field(discriminator="kind")]


class LoraSpec(_Spec):
    """The adapter, as peft's LoraConfig spells it."""

    r: int = Field(default=8, ge=1)
    """Rank of the adapter."""
    lora_alpha: float = Field(default=16, gt=0)
    """The update is scaled by `lora_alpha / r`."""
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of the adapter's inputs that is dropped in training."""
    target_modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj")
    """Projections that get an adapter."""


class PromptSpec(_Spec):
    """How a row becomes tokens. A longer prompt loses tokens from its middle, never its end."""

    up: str = "up"
    """Label that is scored for up; a space is put before it unless the prompt already ends with
    white space."""
    down: str = "down"
    """The same for down."""
    max_tokens: int = Field(default=256, ge=8)
    """Most tokens of a prompt."""
    end_of_text: bool = True
    """Train the model to stop after the label."""

    @model_validator(mode="after")
    def _labels_differ(self) -> PromptSpec:
        if not self.up or not self.down or self.up == self.down:
            raise ValueError(f"up and down must be two different words, got {self.up!r} twice")
        return self


class ScheduleSpec(_Spec):
    """How long and how fast to learn, as transformers' TrainingArguments spell it."""

    train_rows: int | None = Field(default=None, ge=1)
    """Most training rows, drawn by the seed; none: all."""
    validation_rows: int | None = Field(default=None, ge=1)
    """Most validation rows, drawn by the seed; none: all."""
    num_train_epochs: float = Field(default=1, gt=0)
    """How often the rows are seen; may be a fraction."""
    batch_size: int = Field(default=16, ge=1)
    """Rows of a batch, per process; with packing, bins."""
    gradient_accumulation_steps: int = Field(default=1, ge=1)
    """Batches of one step."""
    learning_rate: float = Field(default=2e-4, gt=0)
    """Highest learning rate; it falls along a cosine."""
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1)
    """Share of the steps in which it rises."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decay of the weights, per step and unit of learning rate."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Norm that gradients are clipped to."""
    logging_steps: int = Field(default=1, ge=1)
    """Steps between two logged losses."""
    eval_steps: int | None = Field(default=None, ge=1)
    """Steps between two validations; none: before and after only."""
    early_stopping_patience: int | None = Field(default=None, ge=1)
    """Validations without a lower cross-entropy after which training stops; the best checkpoint is
    kept. None: it does not stop."""
    save_steps: int | None = Field(default=None, ge=1)
    """Steps between two checkpoints; with early stopping `eval_steps`. None: none is kept."""

    @model_validator(mode="after")
    def _patience_needs_evaluations(self) -> ScheduleSpec:
        if self.early_stopping_patience is not None and self.eval_steps is None:
            raise ValueError(
                "early_stopping_patience needs eval_steps: without evaluations nothing can stop"
            )
        return self


class ComputeSpec(_Spec):
    """Precision, quantization and batching. `auto` takes bfloat16 where it is fast."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Precision; `auto` takes bfloat16 where it is fast."""
    quantization: Literal["none", "nf4"] = "none"
    """`nf4` holds the base's weights in 4 bits."""
    packing: bool = False
    """Whether several rows share a bin."""
    pack_tokens: int = Field(default=512, ge=16)
    """Tokens of a bin."""
    group_by_length: bool = True
    """Whether rows of like length share a batch."""
    gradient_checkpointing: bool = False
    """Compute activations anew in the backward pass: less memory, more time."""
    score_batch_tokens: int = Field(default=1024, ge=1)
    """Most tokens of a batch when scoring."""


class Recipe(_Spec):
    """One way to fine-tune one base model. The whole of it is stored with every model."""

    name: str
    """Name of the recipe."""
    base: Base
    """The base model; `kind` says where its weights come from."""
    lora: LoraSpec = LoraSpec()
    """The adapter."""
    prompt: PromptSpec = PromptSpec()
    """How a row becomes tokens."""
    schedule: ScheduleSpec = ScheduleSpec()
    """How long and how fast to learn."""
    compute: ComputeSpec = ComputeSpec()
    """Precision, quantization and batching."""

    @model_validator(mode="before")
    @classmethod
    def _read_former_keys(cls, content: Any) -> Any:
        return _with_keys(content, FORMER_KEYS)

    def canonical(self, *sections: str) -> dict[str, Any]:
        """The recipe, or some sections of it, as JSON values to compute ids from.

        Keys are the former ones: a model keeps the id it was given under them.
        """
        content = self.model_dump(mode="json", include=set(sections) or None)
        former = {now: before for before, now in FORMER_KEYS.items()}
        return dict(_with_keys(content, former))


def _with_keys(content: Any, names: Mapping[str, str]) -> Any:
    """Nested mappings under other names; a key whose new name is there too stays, to be refused."""
    if not isinstance(content, dict):
        return content
    return {
        key if names.get(key) in content else names.get(key, key): _with_keys(value, names)
        for key, value in content.items()
    }


def _keys(content: Any) -> Iterator[str]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield key
            yield from _keys(value)


def recipe_names() -> tuple[str, ...]:
    """The names of the recipes that ship with the package, in alphabetical order."""
    stems = (path.stem for path in RECIPES.glob("*.yaml"))
    return tuple(sorted(stem for stem in stems if not stem.endswith(".accelerate")))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Read a recipe by its name (`smollm2-135m`) or from a YAML file.

    Raises RecipeError if there is none of that name or a key or value is not valid.
    """
    text = str(name_or_path)
    shipped = RECIPES / f"{text}.yaml"
    path = shipped if re.fullmatch(r"[\w.-]+", text) and shipped.is_file() else Path(text)
    if not path.is_file():
        raise RecipeError(
            f"There is no recipe {text!r}: expected one of {', '.join(recipe_names())}, "
            "or the path of a YAML file. Check the spelling, or write such a file."
        )
    return parse_recipe(path.read_text(encoding="utf-8"), source=path.name)


def parse_recipe(text: str, source: str) -> Recipe:
    """A recipe from YAML text; `source` names it in errors. Raises RecipeError.

    Former keys are read with a FutureWarning that names the new ones.
    """
    try:
        content: Any = yaml.safe_load(text)
        recipe = Recipe.model_validate(content)
    except yaml.YAMLError as error:
        raise RecipeError(f"Recipe {source} is not YAML: {error}. Correct the file.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top level"
        raise RecipeError(
            f"Recipe {source} is not valid at {where}: {first['msg']}, got {first['input']!r}. "
            "Correct this key; docs/reference/training.md lists them all."
        ) from error
    former = [f"{key} is now {FORMER_KEYS[key]}" for key in _keys(content) if key in FORMER_KEYS]
    if former:
        warnings.warn(
            f"Recipe {source} has keys by their former names, which the next release will refuse. "
            f"Rename them: {', '.join(former)}.",
            FutureWarning,
            stacklevel=2,
        )
    return recipe
