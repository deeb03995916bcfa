"""Where training starts: backbone and tokenizer, the image basis, the collaborative start, and the arrays that steps index.

Shapes: n items, f image features, c principal components of them, w width, v vocabulary.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from karma.config import TrainingConfig
from karma.model.adapters import tune
from karma.model.backbone import Backbone, small_llama
from karma.model.encoder import KarmaEncoder
from karma.model.own_items import MOST_ANCHORS, appeal_of_takers, whitening
from karma.precision import training_device
from karma.tokenizer import begin_and_end, train_tokenizer
from karma.training.collaborative import collaborative_start, items_taken, takers_of
from karma.training.data import Catalogue, Ints, TrainingData
from karma.training.examples import Split
from karma.training.latent_semantics import latent_directions
from karma.training.pretrained import body_of, head_of, load_pretrained, load_text_encoder, trim_head
from karma.training.texts import Texts, read_by, texts_of
from karma.training.warm_up import warm_up

_ONE_IMAGE = 1e-6
"""Of the features' mean square: images that vary less are one."""


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
    """An untrained encoder and what training it needs.

    Attributes:
        tokenizer: of whatever reads texts, and so the one that is served.
        lm_head: float [v, w], where the head that writes texts starts: training's own, so that the served embeddings are not tied to it.
        item_ids: of the collaborative rows.
    """

    model: KarmaEncoder
    tokenizer: PreTrainedTokenizerBase
    lm_head: Tensor
    tensors: CatalogueTensors
    item_ids: list[str]


def start(data: TrainingData, split: Split, config: TrainingConfig, *, progress: bool) -> Start:
    """Make the encoder that training starts from. Of the events only those in ``split.trained`` are read; of
    the texts, all items' and all queries'."""
    encoder, catalogue = config.encoder, data.catalogue
    tokenizer, language_model = _language_model(config, catalogue.texts)
    texts = texts_of(tokenizer, catalogue.texts, encoder.max_tokens)
    if config.backbone.source is not None:
        texts = replace(texts, head_rows=trim_head(language_model, texts.written_tokens()))
    if steps := config.backbone.warms_up_for:
        warm_up(
            language_model, texts, steps, rate=config.backbone.warm_up_rate, seed=config.seed, progress=progress, device=training_device()
        )
    taken = items_taken(data.histories, split.trained) if encoder.use_collaborative else np.zeros(0, np.int64)
    backbone = Backbone(body_of(language_model), keep_layers=encoder.use_lm)
    tune(backbone, config.backbone)
    queries = texts_of(tokenizer, data.histories.query_texts, encoder.max_tokens)
    text_encoder = None
    if config.text_encoder.source is not None:
        tokenizer, text_encoder = load_text_encoder(config.text_encoder, longest=encoder.max_tokens)
        texts = read_by(text_encoder, tokenizer, texts, catalogue.texts, encoder.max_tokens)
        queries = read_by(text_encoder, tokenizer, queries, data.histories.query_texts, encoder.max_tokens)
    model = KarmaEncoder(
        encoder, backbone, features=catalogue.features.shape[1], rows=len(taken), text_encoder=text_encoder,
        anchors=min(len(catalogue), MOST_ANCHORS) if encoder.use_own_items else 0,
    )  # fmt: skip
    _set_visual_basis(model, catalogue)
    _set_text_basis(model, texts, config.seed)
    _set_collaborative_start(model, data, split, taken, config)
    return Start(
        model=model,
        tokenizer=tokenizer,
        lm_head=head_of(language_model).weight.detach().clone(),
        tensors=CatalogueTensors(
            texts=texts,
            queries=queries,
            components=model.tower.reduce(torch.from_numpy(catalogue.features)),
            has_visual=torch.from_numpy(catalogue.has_visual),
            rows=torch.from_numpy(_rows(taken, len(catalogue))),
        ),
        item_ids=[catalogue.item_ids[place] for place in taken],
    )


def _set_collaborative_start(model: KarmaEncoder, data: TrainingData, split: Split, taken: Ints, config: TrainingConfig) -> None:
    """Rows of the items ``taken``, and what the own items' path reads of them at first; nothing where there is no such part."""
    if model.tower.collaborative is None:
        return
    dim, noise = config.encoder.pooled.dim, config.collaborative_noise
    vectors = torch.from_numpy(collaborative_start(data.histories, split.trained, taken, dim=dim, noise=noise, seed=config.seed))
    model.tower.collaborative.weight.data.copy_(vectors)
    if model.interest.own is not None:
        takers = torch.from_numpy(takers_of(data.histories, split.trained, taken))
        model.interest.own.map.weight.data.copy_(whitening(vectors))
        model.interest.own.appeal.data.copy_(appeal_of_takers(vectors, takers))


def _rows(taken: Ints, corpus: int) -> Ints:
    rows = np.full(corpus, -1, dtype=np.int64)
    rows[taken] = np.arange(len(taken))
    return rows


def _language_model(config: TrainingConfig, texts: list[str]) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    backbone = config.backbone
    if backbone.source is not None:
        return load_pretrained(backbone, longest=config.encoder.history_length + config.encoder.max_tokens + 1)
    made = train_tokenizer(texts, backbone.vocabulary)
    return made, small_llama(
        vocabulary=len(made), hidden=backbone.hidden, layers=backbone.layers, heads=backbone.heads,
        intermediate=backbone.intermediate, end=begin_and_end(made)[1],
    )  # fmt: skip


@torch.no_grad()
def _set_text_basis(model: KarmaEncoder, texts: Texts, seed: int) -> None:
    """How the tower starts to read texts, from all that the catalogue has."""
    everything = torch.arange(len(texts.lengths))
    if model.semantics is not None:
        directions = latent_directions(
            texts.bag(everything), vocabulary=len(model.semantics.table), directions=model.semantics.width, seed=seed
        )
        model.semantics.table.copy_(directions)
    read = model.read(texts.read(everything))
    for tower in model.towers:
        tower.whiten_text(read, read.shape[1] - (0 if model.semantics is None else model.semantics.width))


def _set_visual_basis(model: KarmaEncoder, catalogue: Catalogue) -> None:
    """Principal components of the images' features, scaled so that an image's components have a mean square norm of 1.

    Where all images are one, nothing tells them apart: components of the next one, on that scale, would be millions. They are 0 then.
    """
    tower = model.tower
    if tower.visual is None or not catalogue.has_visual.any():
        return
    features = torch.from_numpy(catalogue.features[catalogue.has_visual]).double()
    mean = features.mean(0)
    variances, directions = torch.linalg.eigh(torch.cov(features.T, correction=0))
    if variances.sum() <= _ONE_IMAGE * features.square().sum(1).mean():
        return
    kept = tower.visual_basis.shape[1]
    leading = directions[:, -kept:].flip(1)
    scale = variances[-kept:].clamp(min=0).sum().sqrt()
    tower.visual_mean.copy_(mean.float())
    tower.visual_basis.copy_((leading / scale).float())
