"""Where training starts: backbone and tokenizer, the image basis, the collaborative start, and the arrays that steps index.

Shapes: n items, f image features, c principal components of them, w width, v vocabulary.
"""

import logging
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from karma.config import TrainingConfig
from karma.model.backbone import Backbone, small_llama
from karma.model.encoder import KarmaEncoder
from karma.model.own_items import MOST_ANCHORS, whitening
from karma.tokenizer import TokenBag, bag_of, begin_and_end, token_ids, train_tokenizer
from karma.training.collaborative import collaborative_start, items_taken
from karma.training.data import Catalogue, Ints, TrainingData
from karma.training.examples import Split

log = logging.getLogger("karma.training")

WARM_UP_BATCH, WARM_UP_RATE = 64, 3e-3


@dataclass(frozen=True, kw_only=True)
class Texts:
    """Texts as tokens, to be read as bags or written one token after the other.

    Attributes:
        tokens: int64 [texts, m], padded with 0;  lengths: int64 [texts].
        begin, end: ids of the tokens around a text that is written.
    """

    tokens: Tensor
    lengths: Tensor
    begin: int
    end: int

    def to(self, device: torch.device) -> "Texts":
        """The same on ``device``."""
        return replace(self, tokens=self.tokens.to(device), lengths=self.lengths.to(device))

    def bag(self, places: Tensor) -> TokenBag:
        """The texts at ``places`` as flat tokens."""
        lengths = self.lengths[places]
        inside = torch.arange(self.tokens.shape[1]) < lengths[:, None]
        return TokenBag(self.tokens[places][inside], lengths.cumsum(0) - lengths)

    def written(self, places: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What a model reads (begin, then the text), what it must write (the text, then end), and where neither is padding.

        Returns: int64, int64 and bool, each [places, longest text + 1].
        """
        lengths = self.lengths[places]
        width = int(lengths.max()) if len(places) else 0
        steps = torch.arange(width + 1)
        text = self.tokens[places][:, :width]
        begin = torch.full((len(places), 1), self.begin)
        write = torch.cat([text, torch.zeros_like(begin)], 1).masked_fill(steps == lengths[:, None], self.end)
        return torch.cat([begin, text], 1), write, steps <= lengths[:, None]


@dataclass(frozen=True, kw_only=True)
class CatalogueTensors:
    """What a step reads of the catalogue.

    Attributes:
        texts: of the items;  queries: of the distinct queries.
        components: float32 [n, c], principal components of the image features;  has_visual: bool [n].
        rows: int64 [n], collaborative row, -1 for none.
    """

    texts: Texts
    queries: Texts
    components: Tensor
    has_visual: Tensor
    rows: Tensor

    def to(self, device: torch.device) -> "CatalogueTensors":
        """The same on ``device``."""
        parts = {name: getattr(self, name).to(device) for name in ("components", "has_visual", "rows")}
        return CatalogueTensors(texts=self.texts.to(device), queries=self.queries.to(device), **parts)


@dataclass(frozen=True, kw_only=True)
class Start:
    """An untrained encoder and what training it needs; ``lm_head`` float [v, w], ``item_ids`` of the collaborative rows."""

    model: KarmaEncoder
    tokenizer: PreTrainedTokenizerBase
    lm_head: Tensor
    tensors: CatalogueTensors
    item_ids: list[str]


def start(data: TrainingData, split: Split, config: TrainingConfig, *, progress: bool) -> Start:
    """Make the encoder that training starts from. Only events in ``split.trained`` are read."""
    encoder, catalogue = config.encoder, data.catalogue
    tokenizer, language_model = _language_model(config, catalogue.texts)
    texts = texts_of(tokenizer, catalogue.texts, encoder.max_tokens)
    if config.backbone.source is None and config.backbone.warm_up_steps:
        warm_up(language_model, texts, config.backbone.warm_up_steps, seed=config.seed, progress=progress)
    taken = items_taken(data.histories, split.trained) if encoder.use_collaborative else np.zeros(0, np.int64)
    backbone = Backbone(_body_of(language_model), keep_layers=encoder.use_lm)
    anchors = min(len(catalogue), MOST_ANCHORS) if encoder.use_own_items else 0
    model = KarmaEncoder(encoder, backbone, features=catalogue.features.shape[1], rows=len(taken), anchors=anchors)
    _set_visual_basis(model, catalogue)
    with torch.no_grad():
        model.tower.whiten_text(backbone.pool(texts.bag(torch.arange(len(catalogue)))))
    if model.tower.collaborative is not None:
        vectors = collaborative_start(
            data.histories, split.trained, taken, dim=encoder.dim, noise=config.collaborative_noise, seed=config.seed
        )
        model.tower.collaborative.weight.data.copy_(torch.from_numpy(vectors))
        if model.interest.own is not None:
            model.interest.own.map.weight.data.copy_(whitening(torch.from_numpy(vectors)))
    return Start(
        model=model,
        tokenizer=tokenizer,
        lm_head=_head_of(language_model),
        tensors=CatalogueTensors(
            texts=texts,
            queries=texts_of(tokenizer, data.histories.query_texts, encoder.max_tokens),
            components=model.tower.reduce(torch.from_numpy(catalogue.features)),
            has_visual=torch.from_numpy(catalogue.has_visual),
            rows=torch.from_numpy(_rows(taken, len(catalogue))),
        ),
        item_ids=[catalogue.item_ids[place] for place in taken],
    )


def _body_of(language_model: PreTrainedModel) -> PreTrainedModel:
    """The model below the head."""
    body = language_model.base_model
    if not isinstance(body, PreTrainedModel):
        raise TypeError(f"{type(language_model).__name__} has no body below its head")
    return body


def _head_of(language_model: PreTrainedModel) -> Tensor:
    """A copy of the output embeddings: training's own, so that the served embeddings are not tied to them."""
    head = language_model.get_output_embeddings()
    if not isinstance(head, nn.Linear):
        raise TypeError(f"{type(language_model).__name__} has no linear language-model head")
    return head.weight.detach().clone()


def _rows(taken: Ints, corpus: int) -> Ints:
    rows = np.full(corpus, -1, dtype=np.int64)
    rows[taken] = np.arange(len(taken))
    return rows


def _language_model(config: TrainingConfig, texts: list[str]) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    backbone = config.backbone
    if backbone.source is not None:
        tokenizer = AutoTokenizer.from_pretrained(backbone.source, revision=backbone.revision)
        return tokenizer, AutoModelForCausalLM.from_pretrained(backbone.source, revision=backbone.revision, dtype=torch.float32)
    made = train_tokenizer(texts, backbone.vocabulary)
    return made, small_llama(
        vocabulary=len(made), hidden=backbone.hidden, layers=backbone.layers, heads=backbone.heads,
        intermediate=backbone.intermediate, end=begin_and_end(made)[1],
    )  # fmt: skip


def texts_of(tokenizer: PreTrainedTokenizerBase, texts: list[str], max_tokens: int) -> Texts:
    """Tokens of rendered texts, at most ``max_tokens`` each."""
    bag = bag_of(token_ids(tokenizer, texts, max_tokens))
    lengths = torch.diff(bag.offsets, append=torch.tensor([len(bag.ids)]))
    tokens = torch.zeros(len(texts), int(lengths.max()) if len(texts) else 0, dtype=torch.int64)
    tokens[torch.arange(tokens.shape[1]) < lengths[:, None]] = bag.ids
    begin, end = begin_and_end(tokenizer)
    return Texts(tokens=tokens, lengths=lengths, begin=begin, end=end)


def warm_up(language_model: PreTrainedModel, texts: Texts, steps: int, *, seed: int, progress: bool) -> float:
    """Next-token training on the catalogue's texts, so that token embeddings mean something from the first step.

    Returns: the last step's loss, nats a token.
    """
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(language_model.parameters(), lr=WARM_UP_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, WARM_UP_RATE, total_steps=steps)
    loss = torch.tensor(0.0)
    for _ in tqdm(range(steps), desc="reading the catalogue", disable=not progress):
        read, write, real = texts.written(torch.randint(len(texts.lengths), (WARM_UP_BATCH,), generator=generator))
        logits = language_model(input_ids=read, use_cache=False).logits
        loss = nn.functional.cross_entropy(logits[real].float(), write[real])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(language_model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
    log.info("language model warm-up: %d steps, %.2f nats a token", steps, loss.item())
    return loss.item()


def _set_visual_basis(model: KarmaEncoder, catalogue: Catalogue) -> None:
    """Principal components of the images' features, scaled so that an image's components have a mean square norm of 1."""
    tower = model.tower
    if tower.visual is None or not catalogue.has_visual.any():
        return
    features = torch.from_numpy(catalogue.features[catalogue.has_visual]).double()
    mean = features.mean(0)
    variances, directions = torch.linalg.eigh(torch.cov(features.T, correction=0))
    kept = tower.visual_basis.shape[1]
    leading = directions[:, -kept:].flip(1)
    scale = variances[-kept:].clamp(min=0).sum().sqrt().clamp(min=1e-6)
    tower.visual_mean.copy_(mean.float())
    tower.visual_basis.copy_((leading / scale).float())
