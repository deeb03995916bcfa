"""Has the space collapsed? Then training stops, loudly: a run that goes on would end with an artefact that only looks trained."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from karma.config import GuardConfig, TrainingConfig
from karma.model.blocks import BLOCKS

_CLOUDS = {"": "", **{f"_{block}": f" in the {block} block" for block in BLOCKS}}
"""The whole vectors, then each block: a dead one hides in the whole behind the other."""


class CollapseError(Exception):
    """Raised when vectors or losses have collapsed: the message names step, measure, figure, limit and a hint."""


@dataclass(frozen=True, kw_only=True)
class _Reading:
    measure: str
    figure: float
    limit: float
    upper: bool = False
    hint: str

    @property
    def is_beyond(self) -> bool:
        return self.figure > self.limit if self.upper else self.figure < self.limit

    def __str__(self) -> str:
        return f"{self.measure} is {self.figure:.4g}, {'at most' if self.upper else 'at least'} {self.limit:g} is sound"


def refuse_collapse(config: TrainingConfig, row: Mapping[str, float], vectors: Mapping[str, int]) -> None:
    """Judge a validation; before the end of the learning warm-up there is nothing to judge.

    Args:
        row: what was logged of it: step, losses, facts of the step, shapes of the clouds.
        vectors: how many "items" and "interests" the clouds have.

    Raises:
        CollapseError: a measure is beyond its limit in ``config.guard``.
    """
    if not config.guard.on or row["step"] < config.learning_warm_up:
        return
    beyond = [reading for reading in _readings(config.guard, row, vectors) if reading.is_beyond]
    if beyond:
        said = "; ".join(map(str, beyond))
        raise CollapseError(
            f"training has collapsed at step {int(row['step'])}: {said}. Hint: {beyond[0].hint}; if the data really are like this, move the"
            " limit in the configuration's [guard], or set on = false there."
        )


def _readings(guard: GuardConfig, row: Mapping[str, float], vectors: Mapping[str, int]) -> Iterator[_Reading]:
    """In the order of cause and effect: the first one that is beyond its limit says most."""
    if row["candidates"] > 1:
        yield _Reading(
            measure="the share of candidates that masks leave as negatives",
            figure=row["negatives"] / (row["candidates"] - 1), limit=guard.fewest_negatives,
            hint="users took nearly every item, or a mask hides what it should not (softmax.repeats, softmax.mask_window)",
        )  # fmt: skip
    yield _Reading(
        measure="the action loss in nats",
        figure=row["action"], limit=guard.lowest_loss,
        hint="the next item shows in what is read of the history, or nothing is left to tell it from",
    )  # fmt: skip
    for suffix, where in _CLOUDS.items():
        if vectors["items"] >= guard.fewest_vectors and f"effective_rank_items{suffix}" in row:
            yield _Reading(
                measure=f"the effective rank of the item vectors{where}",
                figure=row[f"effective_rank_items{suffix}"], limit=guard.lowest_rank,
                hint="all items lie on one line: a lower learning_rate or rate_collaborative, or more parts of the item vector",
            )  # fmt: skip
        if vectors["interests"] >= guard.fewest_vectors and f"mean_cosine_interests{suffix}" in row:
            yield _Reading(
                measure=f"the mean cosine of two interest vectors{where}",
                figure=row[f"mean_cosine_interests{suffix}"], limit=guard.highest_cosine, upper=True,
                hint="every user gets the same vector: a lower learning_rate or rate_backbone, or use_pool = true",
            )  # fmt: skip
