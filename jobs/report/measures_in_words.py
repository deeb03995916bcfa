"""The measures of an encoder as rows of a table: the figure, what to hold it against, and which way is good."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jobs.report.encoder_facts import Ages, Measure

Figures = Mapping[str, Any]
NOT_MEASURED = "not measured"


def ages(figures: Figures) -> Ages | None:
    """None where no user has an event at the greatest age."""
    of = figures["age"]
    if not of["n"]:
        return None
    against_new = {
        int(age): {cut: (told["mean"], told["low"], told["high"]) for cut, told in by_cut.items()}
        for age, by_cut in of["differences"].items()
    }
    rates = sorted((int(age), rates) for age, rates in of["days"].items())
    return Ages(users=of["n"], rates=tuple(rates), against_new=against_new)


def measures_in_words(figures: Figures) -> tuple[Measure, ...]:
    """The measures beside HR@K, in the order of the page. ``figures``: what ``evaluate-encoder`` writes into the ledger."""
    return (
        _measure(
            figures, "JS@50", "users",
            lambda of: (_number(of["encoder"]), f"popularity {_number(of['popularity'])}, {_interval(of['difference'])}"),
            "Mean Jaccard similarity of the title words of the 50 nearest items and the target, the target left out. Higher: "
            "misses are near in words too.",
        ),
        _measure(
            figures, "gAUC", "users with both",
            lambda of: (_number(of["value"]), f"{_range(of)}chance 0.500; {of['dropped']:,} users of one kind dropped"),
            "Does the cosine put a user's clicked impressions before those passed over? Weighted by impressions.",
        ),
        *_cold(figures["cold"]),
        _measure(
            figures, "decodability", "users", lambda of: (f"{of['mean']:+.3f}", _interval(of)),
            "Nats a title token that a decoder of fixed size saves with the right vector against another user's. Higher; 0: "
            "the vector says nothing about the next title.",
        ),
        _measure(
            figures, "title among decoys", "users", lambda of: (_number(of["mean"]), f"{_range(of)}chance {_number(of['chance'])}"),
            "Share of users whose next title a linear map of the vector ranks first among 100 others. Higher.",
        ),
        _measure(
            figures, "categories of items", "categories", lambda of: (_number(of["macro AP"]), f"chance {_number(of['chance'])}"),
            "Macro average precision of a linear probe from item vectors to categories with at least 20 positives. Higher: content "
            "survived training.",
        ),
        _measure(
            figures, "sinks", "histories", lambda of: (_number(of["score"]), ""),
            "Share of (layer, head, history) in which one event draws over 0.3 of the attention of all later ones. Lower; near 1 the "
            "model reads one event.",
        ),
        *_uniformity(figures["spread"]),
    )  # fmt: skip


def _measure(figures: Figures, name: str, unit: str, said: Callable[[Figures], tuple[str, str]], reading: str) -> Measure:
    of = figures[name]
    if not of["n"]:
        return Measure(name=name, value=NOT_MEASURED, beside=str(of.get("why", "")), n="", reading=reading)
    value, beside = said(of)
    return Measure(name=name, value=value, beside=beside, n=f"{of['n']:,} {unit}", reading=reading)


def _cold(of: Figures) -> Iterator[Measure]:
    own = "Warm and cold targets, each ranked among items of its own kind alone: no kind can flood the other's list."
    equal = (
        "The same in the whole corpus, with one constant added to the score of every cold item, such that cold items fill their share "
        "of the catalogue in the top 50."
    )
    for name, key, reading in (("HR@50 cold", "among their own kind", own), ("HR@50 cold, equal share", "at an equal share", equal)):
        if not of["n"]:
            yield Measure(name=name, value=NOT_MEASURED, beside=str(of.get("why", "no target is cold")), n="", reading=reading)
        else:
            raw = f"; raw they fill {of['raw share']:.1%}, their share is {of['share']:.1%}" if key == "at an equal share" else ""
            beside = f"warm {_number(of[key]['warm'])}{raw}"
            yield Measure(name=name, value=_number(of[key]["cold"]), beside=beside, n=f"{of['n']:,} cold targets", reading=reading)


def _uniformity(spread: Figures) -> Iterator[Measure]:
    reading = "Log mean of exp(-2 |x - y|²) over pairs. Lower: the vectors cover the sphere; 0: one point."
    for cloud, of in spread.items():
        beside = f"effective rank {of['effective rank']:.1f}, mean cosine {of['mean cosine']:.3f}" if of else ""
        value = f"{of['uniformity']:.3f}" if of else NOT_MEASURED
        yield Measure(name=f"uniformity of {cloud}", value=value, beside=beside, n="", reading=reading)


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.3f}"


def _range(of: Figures) -> str:
    """What stands in front of the rest; nothing where too few were measured."""
    return f"95 % interval {of['low']:.3f} to {of['high']:.3f}; " if "low" in of else ""


def _interval(of: Figures) -> str:
    return f"difference {of['mean']:+.3f} [{of['low']:+.3f}, {of['high']:+.3f}]"
