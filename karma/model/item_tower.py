"""The item tower: title and image, and where there is one the item's collaborative row, to one unit vector.

Shapes: n items, d dimensions, w width of the text embedding, f frozen image features, c principal components of them.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from karma.config import EncoderConfig

INITIAL_SPREAD = 0.02
"""Standard deviation of a fresh projection: content starts as a small correction of the collaborative part."""

WHITENING_RIDGE = 1e-3


class ItemTower(nn.Module):
    """``e_i = normalise(b_i id_i + W_t (text_i - mean) + W_v visual_i + c)``; b_i is 0 where an item has no row, or it was dropped.

    Source: the continuous-token interface of KARMA (arXiv 2603.22779); the additive form with a dropped collaborative
    part follows DropoutNet (Volkovs et al., 2017). An item without an image has a learnt vector in the place of W_v visual_i.
    Of an encoder's towers one alone ``reduces`` the features to components for all.
    """

    text_mean: Tensor
    visual_mean: Tensor
    visual_basis: Tensor

    def __init__(self, config: EncoderConfig, *, text_width: int, features: int, rows: int, reduces: bool = True) -> None:
        super().__init__()
        components = min(config.visual_components, features) if config.use_visual else 0
        self.text = nn.Linear(text_width, config.dim, bias=False) if config.use_text else None
        self.visual = nn.utils.skip_init(nn.Linear, components, config.dim, bias=False) if components else None
        self.no_visual = nn.Parameter(torch.zeros(config.dim)) if components else None
        self.collaborative = nn.Embedding(rows, config.dim) if config.use_collaborative and rows else None
        self.bias = nn.Parameter(
            torch.randn(config.dim) * INITIAL_SPREAD / 10
        )  # never zero: an item of which nothing is known has a vector
        self.register_buffer("text_mean", torch.zeros(text_width if config.use_text else 0))
        self.register_buffer("visual_mean", torch.zeros(features if components and reduces else 0))
        self.register_buffer("visual_basis", torch.zeros(features if components and reduces else 0, components))
        spread = INITIAL_SPREAD if self.collaborative is not None else text_width**-0.5
        # From a generator of its own: with and without images, all else starts alike at one seed.
        draws = {self.text: None, self.visual: torch.Generator().manual_seed(torch.initial_seed())}
        for layer, generator in draws.items():
            if layer is not None:
                nn.init.normal_(layer.weight, std=spread, generator=generator)

    @torch.no_grad()
    def whiten_text(self, text: Tensor, dense: int) -> None:
        """Let W_t read whitened texts, given what was read of them at the start [n, w]; whitened rows have a mean square norm of 1.

        Token embeddings of a language model lie in a narrow cone: their plain means find fewer items of like titles than random vectors do.
        They are the first ``dense`` columns; the directions of ``LatentSemantics`` after them have the lengths that they should have.
        """
        if self.text is None or len(text) < 2:
            return
        self.text_mean.copy_(text.mean(0))
        centred = (text - self.text_mean)[:, :dense]
        energies, directions = torch.linalg.eigh(torch.cov(centred.T.double(), correction=0))
        scales = (energies.clamp(min=0) + WHITENING_RIDGE * energies.mean().clamp(min=1e-12)) ** -0.5
        whitener = (directions * scales) @ directions.T / len(scales) ** 0.5
        self.text.weight[:, :dense] = (self.text.weight[:, :dense].double() @ whitener).float()

    def reduce(self, features: Tensor) -> Tensor:
        """Frozen features [n, f] to their principal components [n, c]; [n, 0] where the tower reads no image."""
        if self.visual is None:
            return features.new_zeros(len(features), 0)
        return (features - self.visual_mean) @ self.visual_basis

    def forward(self, text: Tensor, components: Tensor, has_visual: Tensor, rows: Tensor, keep: Tensor | None = None) -> Tensor:
        """Unit vectors of items.

        Args:
            text: float [n, w], what was read of the rendered text (``KarmaEncoder.read``).
            components: float [n, c], from ``reduce``; not read where ``has_visual`` is False.
            has_visual: bool [n].
            rows: int64 [n], collaborative row, -1 where the item has none.
            keep: bool [n], False where the collaborative part is dropped (training); None keeps all.

        Returns: float32 [n, d].
        """
        total = self.bias.expand(len(rows), -1)
        if self.text is not None:
            total = total + self.text(text - self.text_mean)
        if self.visual is not None and self.no_visual is not None:
            total = total + torch.where(has_visual[:, None], self.visual(components), self.no_visual)
        if self.collaborative is not None:
            known = rows >= 0 if keep is None else (rows >= 0) & keep
            total = total + self.collaborative(rows.clamp(min=0)) * known[:, None]
        return F.normalize(total.float(), dim=-1)

    def text_vector(self, text: Tensor) -> Tensor:
        """What was read of queries, [n, w], in the items' space [n, d], unit length; zeros without the text part."""
        if self.text is None:
            return text.new_zeros(len(text), len(self.bias))
        return F.normalize(self.text(text - self.text_mean).float(), dim=-1)
