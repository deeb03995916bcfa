"""A picture of a published day: the map of interests, the ladder, the spectrum."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
import numpy.typing as npt

matplotlib.use("Agg")  # no display is assumed

from matplotlib import pyplot as plt


def draw_day(
    vectors: npt.NDArray[np.float32], history_len: npt.NDArray[np.int64], ladder: Mapping[str, float], title: str, path: Path
) -> Path:
    """Three panels: users on the first two principal axes, HR@50 by rung, singular values of the centred vectors.

    Args:
        vectors: float32 [users, dim], one published snapshot.
        history_len: int [users], events in each history; sets the colour.
        ladder: HR@50 by name; empty leaves the panel out.
    """
    centred = vectors - vectors.mean(axis=0)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    figure, panels = plt.subplots(1, 3 if ladder else 2, figsize=(15 if ladder else 10, 4.6), layout="constrained")
    places = centred @ axes[:2].T
    dots = panels[0].scatter(places[:, 0], places[:, 1], c=np.log10(np.maximum(history_len, 1)), s=9, cmap="viridis")
    figure.colorbar(dots, ax=panels[0], label="log10 events in the history")
    panels[0].set(title=f"{len(vectors)} interests", xlabel="first principal axis", ylabel="second principal axis")
    panels[1].semilogy(np.arange(1, len(singular) + 1), np.maximum(singular, 1e-6))
    panels[1].set(title="singular values (centred)", xlabel="rank")
    if ladder:
        order = sorted(ladder, key=lambda name: ladder[name])
        bars = panels[2].barh(
            order, [ladder[name] for name in order], color=["#d95f02" if "KARMA" in name else "#7f9ab5" for name in order]
        )
        panels[2].bar_label(bars, fmt="%.3f", padding=3)
        panels[2].set(title="HR@50 on the world's targets", xlim=(0, 1))
    figure.suptitle(title)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
    return path
