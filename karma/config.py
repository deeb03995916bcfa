"""What an encoder is and how it is trained: frozen configurations, loadable from ``conf/encoder/*.toml``."""

import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from schemas import names

HIGHEST_SEED = 2**32 - 1
"""What numpy and scikit-learn take."""


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class PretrainedModelError(Exception):
    """Raised when a configuration names a pretrained model that cannot be used: the message says what was expected, got, and a way out."""

    def __init__(self, message: str, *, expected: object, got: object, hint: str) -> None:
        super().__init__(f"{message} (expected: {expected}; got: {got}) Hint: {hint}")


class SourceConfig(Config):
    """Where a pretrained model comes from.

    Attributes:
        source: folder or hub id of a transformers model with its tokenizer; None: there is none.
        revision: commit or tag of a hub id; name one, or a run depends on what the hub serves that day.
    """

    source: str | None = None
    revision: str | None = None


class TextEncoderConfig(SourceConfig):
    """A frozen text encoder (any ``AutoModel``) whose sentence vectors the tower reads in the place of the backbone's token embeddings
    and of latent semantics.

    It reads item texts and queries, in training and when served; the artefact holds it whole. The backbone still writes texts.
    """


class LowRankConfig(Config):
    """Low-rank adapters: a matrix W becomes ``W + alpha / rank * B A``, of which B (from zero) and A alone learn.

    Attributes:
        dropout: share of A's inputs left out in training.
        target_modules: names of the layers to adapt, or "all-linear".

    Source: LoRA (Hu et al., ICLR 2022).
    """

    rank: int = Field(default=8, ge=1)
    alpha: int = Field(default=16, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: Literal["all-linear"] | tuple[str, ...] = "all-linear"


class BackboneConfig(SourceConfig):
    """The causal language model that reads a history, and whose token embeddings read item texts and queries (``latent_semantics`` too).

    Attributes:
        source: folder or hub id of any Hugging Face causal LM with its tokenizer; None makes a Llama of the sizes below.
        keep_layers: numbers, from 0, of the layers of ``source`` that are kept; None keeps all. Spread them evenly, the first two and
            the last among them: a model cut after its first layers predicts worse than chance.
        tuning: what of the model learns: "full", all of it; "lora", adapters beside its layers' matrices, merged into them when it is
            exported; "frozen", nothing. Under the last two the token embeddings stay as they are as well, so that the tower reads
            texts through fixed ones and a projection that learns.
        lora: the adapters, where ``tuning`` asks for them.
        vocabulary: most tokens that the tokenizer made from the catalogue may have.
        warm_up_steps: next-token steps on the catalogue's texts before training, with all weights learning whatever ``tuning`` says;
            None: 200 for a model made here, none for a pretrained one.
        warm_up_rate: its highest learning rate. The default suits a model made here or cut to a few layers; a whole one wants a lower one.
    """

    keep_layers: tuple[NonNegativeInt, ...] | None = None
    tuning: Literal["full", "lora", "frozen"] = "full"
    lora: LowRankConfig = LowRankConfig()
    hidden: PositiveInt = 128
    layers: PositiveInt = 2
    heads: PositiveInt = 4
    intermediate: PositiveInt = 384
    vocabulary: PositiveInt = 4096
    warm_up_steps: NonNegativeInt | None = None
    warm_up_rate: float = Field(default=3e-3, gt=0)

    @model_validator(mode="after")
    def _kept_layers_are_of_a_pretrained_model(self) -> Self:
        if self.keep_layers is None:
            return self
        if self.source is None:
            raise ValueError("keep_layers chooses among the layers of source, but source is not set: use layers")
        if not self.keep_layers or list(self.keep_layers) != sorted(set(self.keep_layers)):
            raise ValueError(f"keep_layers must ascend and name at least one layer, got {list(self.keep_layers)}")
        return self

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> Self:
        if self.source is None and self.hidden % (2 * self.heads):  # rotary positions turn pairs of components
            raise ValueError(f"each of heads = {self.heads} needs an even share of hidden = {self.hidden}")
        return self

    @property
    def warms_up_for(self) -> int:
        """Steps of the warm-up: ``warm_up_steps``, or its default."""
        default = 200 if self.source is None else 0
        return default if self.warm_up_steps is None else self.warm_up_steps


class EncoderConfig(Config):
    """The part that is served.

    Attributes:
        dim: length of item and interest vectors.
        history_length: the newest events of a history that the encoder reads; at least 2, since a typed query takes one of the places.
        event_types: names in the order of their numbers.
        use_lm, use_pool: the two paths to the interest vector; at least one.
        reading_dim: components of ``dim`` that belong to the language model alone, beside the pool's: there items are their content, and
            the interest is the model's state. 0 adds the state to the pool's vector, over the same items; there the collaborative part may
            be a shortcut past what the model could read (docs/experiments.md).
        use_own_items: beside the pool, how often each item was taken, and a step that brings the vector near those items again;
            for shops where the same item is taken again.
        use_collaborative, use_text, use_visual: the three parts of an item vector; at least one.
        latent_semantics: directions of latent semantic analysis that are read of item texts and queries beside the token embeddings, which
            learn; 0 leaves them out, as does a frozen text encoder. The artefact holds as many numbers for each token of the vocabulary.
        kernel_exponents: the pooling path's recency kernels start at rank^-exponent, one kernel each.
        visual_components: principal components of the frozen image features that the tower reads.
        max_tokens: most tokens read of an item's text or a query.
    """

    dim: int = Field(default=256, ge=2)
    history_length: int = Field(default=100, ge=2)
    event_types: tuple[str, ...] = names.EVENT_TYPES
    reading_dim: NonNegativeInt = 0
    use_lm: bool = True
    use_pool: bool = True
    use_own_items: bool = False
    use_collaborative: bool = True
    use_text: bool = True
    use_visual: bool = True
    kernel_exponents: tuple[float, ...] = Field(default=(1.0, 0.3), min_length=1)
    latent_semantics: NonNegativeInt = 384
    visual_components: PositiveInt = 128
    max_tokens: PositiveInt = 32

    @model_validator(mode="after")
    def _something_is_read(self) -> Self:
        if not (self.use_lm or self.use_pool):
            raise ValueError("both paths to the interest vector are off: set use_lm or use_pool")
        if self.use_own_items and not (self.use_pool and self.use_collaborative):
            raise ValueError("use_own_items needs the pooling path and the collaborative part: set use_pool and use_collaborative")
        if self.reading_dim and not (self.use_lm and self.use_pool and (self.use_text or self.use_visual)):
            raise ValueError("reading_dim needs both paths, and text or images to read: set use_lm, use_pool and use_text or use_visual")
        if self.reading_dim and not 2 <= self.reading_dim <= self.dim - 2:  # of one component a unit vector has nothing to learn
            raise ValueError(f"each block needs at least 2 of dim = {self.dim} components, got reading_dim = {self.reading_dim}")
        if not (self.use_collaborative or self.use_text or self.use_visual):
            raise ValueError("all parts of the item vector are off: set use_collaborative, use_text or use_visual")
        return self

    @property
    def pooled(self) -> Self:
        """Of the pool's block, or of the whole vector where there is one block."""
        return self.model_copy(update={"dim": self.dim - self.reading_dim, "reading_dim": 0})

    @property
    def reading(self) -> Self | None:
        """Of the language model's block, where it has one: its items have no collaborative part."""
        changes = {"dim": self.reading_dim, "reading_dim": 0, "use_collaborative": False, "use_own_items": False}
        return self.model_copy(update=changes) if self.reading_dim else None


class ObjectiveConfig(Config):
    """Weights of the losses, and the decoder that only training has. A weight of 0 switches an objective off.

    Attributes:
        generation: (i) the backbone's next-token loss on the next item's text, given the history.
        reconstruct_interest, reconstruct_item: (ii) the same text decoded from u alone; an item's text from e_i alone.
        visual: the next item's image features from u.
        visual_by: "mse", their mean squared error; "diffusion", that of the noise in noisy ones, told from u (to be compared: the paper
            found it worse).
        ramp_steps: the knowledge weights grow linearly from 0 over these steps, so that they do not starve the action loss.
        prefix_tokens: tokens that the reconstruction decoder gets in place of a vector.
        decoded: most vectors of a micro-batch, of interests and of items each, whose text is decoded; else decoding would be most of the
            time of a step of hundreds of histories.
    """

    action: NonNegativeFloat = 1.0
    generation: NonNegativeFloat = 0.1
    reconstruct_interest: NonNegativeFloat = 0.1
    reconstruct_item: NonNegativeFloat = 0.1
    visual: NonNegativeFloat = 0.1
    visual_by: Literal["mse", "diffusion"] = "mse"
    ramp_steps: NonNegativeInt = 100
    prefix_tokens: PositiveInt = 4
    decoder_hidden: PositiveInt = 128
    decoder_layers: PositiveInt = 1
    decoded: PositiveInt = 64

    @property
    def decoder_heads(self) -> int:
        """One for every 32 components."""
        return max(1, self.decoder_hidden // 32)

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.decoder_hidden % (2 * self.decoder_heads):  # rotary position embeddings turn pairs of components
            raise ValueError(
                f"decoder_hidden = {self.decoder_hidden} has {self.decoder_heads} heads and must be a multiple of {2 * self.decoder_heads}"
            )
        return self

    @model_validator(mode="after")
    def _something_is_trained(self) -> Self:
        if not (self.action or self.generation or self.reconstruct_interest or self.reconstruct_item or self.visual):
            raise ValueError("all objectives are off: give one of them a weight above 0")
        return self


class SoftmaxConfig(Config):
    """The action loss's candidates.

    Attributes:
        full_up_to: corpora of at most this many items use every item as a candidate; larger ones are sampled.
        uniform: uniform candidates beside the batch's own targets, where sampled.
        repeats: whether an item that the user has taken may be a target again; if not, items seen so far are masked here, and
            in every ranking (``mask_seen``).
        mask_window: also mask, by id, every other item that the user takes anywhere in the window (they are no true negatives).
        exposed: most items that were shown to the user without a click on the way to a target, the newest, that are negatives of that
            row beside the candidates, without a correction for sampling; 0 is none. Only where the softmax is sampled: a full one
            has every item as a negative, once and uncorrected, and these among them.
        temperature: where the learnt temperature starts; it stays within [0.01, 1].
    """

    full_up_to: NonNegativeInt = 20_000
    uniform: NonNegativeInt = 1024
    repeats: bool = True
    mask_window: bool = False
    exposed: NonNegativeInt = 0
    temperature: float = Field(default=0.07, ge=0.01, le=1.0)

    @property
    def mask_seen(self) -> bool:
        """Whether items that a user has seen are neither candidates nor targets, in training and in every ranking of what was trained: an
        encoder that never had them as negatives fills its lists with them."""
        return not self.repeats


class GuardConfig(Config):
    """Limits beyond which a validation counts as a collapse and the run stops; read from the end of the learning warm-up on.

    They lie far from where sound runs have been: effective ranks of 3 to 180, mean cosines up to .94 (language model alone).

    Attributes:
        on: False trains on, whatever the vectors look like.
        fewest_vectors: a cloud of fewer is not judged: in a small shop sound vectors may well lie close together.
        fewest_negatives: least share of the candidates, the target aside, that masks leave a row. Near 0 the action loss is 0 for any
            vectors, which is how masks by similarity hide a collapse.
        lowest_loss: least action loss in nats; 1e-4 is a probability of .9999 for every target.
        lowest_rank: least effective rank of the item vectors, of which 1 is a line and 2 a plane.
        highest_cosine: largest mean cosine of two interest vectors; at .995 users differ by 6 degrees, which bf16 resolves no more.
    """

    on: bool = True
    fewest_vectors: int = 100
    fewest_negatives: float = 0.01
    lowest_loss: float = 1e-4
    lowest_rank: float = 1.5
    highest_cosine: float = 0.995


class TrainingConfig(Config):
    """One training run. The artefact's name is ``name`` and 12 hex digits of the data's fingerprint and of this.

    Attributes:
        protocol: a label of the data for the manifest, set by the job that made them: what they leave out. Training treats both alike.
        ties: "strict": a target is strictly later than the events that predict it; "in_order": ties count in their order.
        targets: "next": one item a position; "basket": all items of the next time stamp in equal shares, predicted at the end of a
            basket alone (positions inside it would train completion of the basket, which is another task).
        held_out_users: share of users whose last target is held out to choose the best checkpoint.
        windows, positions: histories a micro-batch, and positions with an action loss in each.
        accumulate: micro-batches a step, whose losses are averaged; the processes that train together share them.
        shown_queries: share of the windows whose target was taken with a query (in the target's own row) that end with that query,
            so that a query appended last asks "what next, given that this was just typed".
        event_dropout, collaborative_dropout: shares of events left out of a history, of items left without their collaborative part.
        collaborative_noise: length of the random vector added to the collaborative start (helps where items repeat).
        rate_collaborative, rate_residual, rate_backbone: factors on ``learning_rate``.
        final_rate: factor on the learning rates that a half cosine reaches at the end; 1 keeps them constant from the warm-up on.
        clip: most that the gradient norm may be, for the encoder and for the decoders separately.
        choose: the checkpoint that is kept, "best" by a validation, or "last": arms of a comparison then have taken equally many steps.
        patience: validations without a better one before the run ends; with the last one kept none ends it.
        max_seconds: no step begins later than this after the start of training; such a run is not reproducible.
        threads: of torch while it trains; None leaves it as it is. On a machine that others use, two threads that wait for each
            other were ten times slower than one.
        precision: "auto" takes bf16 where the processor computes in it.
    """

    name: str = Field(default="karma", pattern=r"^\w[\w.+-]*$", max_length=100)
    seed: int = Field(default=0, ge=0, le=HIGHEST_SEED)
    encoder: EncoderConfig = EncoderConfig()
    backbone: BackboneConfig = BackboneConfig()
    text_encoder: TextEncoderConfig = TextEncoderConfig()
    objectives: ObjectiveConfig = ObjectiveConfig()
    softmax: SoftmaxConfig = SoftmaxConfig()
    guard: GuardConfig = GuardConfig()
    protocol: Literal["time_split", "leave_last_out"] = "time_split"
    ties: Literal["strict", "in_order"] = "strict"
    targets: Literal["next", "basket"] = "next"
    held_out_users: float = Field(default=0.5, gt=0, le=1)
    steps: PositiveInt = 500
    windows: PositiveInt = 32
    positions: PositiveInt = 16
    accumulate: PositiveInt = 1
    shown_queries: float = Field(default=0.3, ge=0, le=1)
    event_dropout: float = Field(default=0.1, ge=0, lt=1)
    collaborative_dropout: float = Field(default=0.1, ge=0, lt=1)
    collaborative_noise: NonNegativeFloat = 0.0
    learning_rate: PositiveFloat = 1e-3
    rate_collaborative: NonNegativeFloat = 0.5
    rate_residual: NonNegativeFloat = 0.2
    rate_backbone: NonNegativeFloat = 1.0
    weight_decay: NonNegativeFloat = 0.01
    learning_warm_up: NonNegativeInt = 50
    final_rate: float = Field(default=0.05, ge=0, le=1)
    clip: PositiveFloat = 1.0
    validate_every: PositiveInt = 50
    choose: Literal["best", "last"] = "best"
    patience: PositiveInt = 5
    max_seconds: PositiveFloat | None = None
    threads: PositiveInt | None = None
    precision: Literal["auto", "bf16", "fp32"] = "auto"

    @model_validator(mode="after")
    def _objectives_have_what_they_train(self) -> Self:
        if self.objectives.generation and not self.encoder.use_lm:
            raise ValueError("objectives.generation trains the language model, but encoder.use_lm is false")
        if self.objectives.visual and not self.encoder.use_visual:
            raise ValueError("objectives.visual tells image features that the item tower reads, but encoder.use_visual is false")
        if self.targets == "basket" and self.ties != "strict":
            raise ValueError('targets = "basket" needs ties = "strict": a basket is what shares one time stamp')
        if self.backbone.tuning == "lora" and not self.encoder.use_lm:
            raise ValueError('backbone.tuning = "lora" adapts the language model\'s layers, but encoder.use_lm is false')
        if self.text_encoder.source is not None and not self.encoder.use_text:
            raise ValueError("text_encoder reads item texts, but encoder.use_text is false")
        return self

    @classmethod
    def load(cls, path: Path) -> Self:
        """The configuration of a TOML file. Raises pydantic.ValidationError, naming the field, for an unknown or bad one."""
        return cls.model_validate(tomllib.loads(Path(path).read_text(encoding="utf-8")))

    def for_processes(self, processes: int) -> Self:
        """The same with ``accumulate`` raised to the next multiple of ``processes``, so that each has as many micro-batches a step."""
        return self.model_copy(update={"accumulate": -(-self.accumulate // processes) * processes})
