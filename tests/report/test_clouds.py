"""Norms, spectra and the map, against values that follow from how the vectors were made."""

import numpy as np
import pandas as pd
import pytest

from jobs.report.clouds import cloud_of, interest_map, spread_out
from jobs.report.people import spread_over_lengths

RNG = np.random.default_rng(3)


def test_norms_are_those_of_the_rows_and_the_rest_is_of_their_directions() -> None:
    cloud = cloud_of("items", np.array([[3, 4, 0], [0, 0, 2], [0, 0, 1]], np.float32), total=9)
    assert cloud.norm_range == (1, 2, 5)
    assert cloud.singular == pytest.approx([np.sqrt(2), 1, 0], abs=1e-6)
    assert cloud.cosines == pytest.approx([0, 1])
    assert (cloud.total, cloud.dim) == (9, 3)


def test_a_zero_row_is_seen_in_the_norms_and_breaks_nothing() -> None:
    cloud = cloud_of("items", np.array([[0, 0], [1, 0], [0, 1]], np.float32), total=3)
    assert cloud.norm_range[0] == 0
    assert cloud.shape is not None
    assert cloud.shape.vectors == 2


def area_of(interests: np.ndarray, items: np.ndarray):  # type: ignore[no-untyped-def, type-arg]
    users = [f"u{n}" for n in range(len(interests))]
    return interest_map(
        interests.astype(np.float32), items.astype(np.float32), lengths=np.ones(len(interests), np.int64), user_ids=users,
        newest=[()] * len(users), titles=["t"] * len(items), all_users=len(users), all_items=len(items),
    )  # fmt: skip


def test_the_axes_are_those_along_which_the_interests_differ() -> None:
    """Planted: much along the third coordinate, less along the first, nothing elsewhere."""
    planted = np.zeros((50, 4))
    planted[:, 2], planted[:, 0] = RNG.normal(scale=3, size=50), RNG.normal(scale=1, size=50)
    area = area_of(planted, np.eye(4))
    centre = planted.mean(axis=0)
    assert np.abs(np.corrcoef(area.users[:, 0], planted[:, 2])[0, 1]) > 0.99
    assert sum(area.explained) == pytest.approx(1)
    assert area.explained[0] > area.explained[1]
    assert area.items[1] == pytest.approx(area.items[3], abs=1e-6), "coordinates along which no interest differs"
    assert np.linalg.norm(area.items[2]) == pytest.approx(np.hypot(1 - centre[2], centre[0]), rel=1e-4)


def test_the_side_of_an_axis_does_not_depend_on_the_solver() -> None:
    planted = RNG.normal(size=(20, 5))
    turned = area_of(planted[::-1], np.eye(5))
    assert area_of(planted, np.eye(5)).items == pytest.approx(turned.items, abs=1e-4)


@pytest.mark.parametrize(("users", "items"), [(1, 1), (1, 0), (0, 1), (2, 5), (3, 0)])
def test_a_few_vectors_are_placed_as_well(users: int, items: int) -> None:
    area = area_of(np.eye(6)[:users], np.eye(6)[:items])
    assert (area.users.shape, area.items.shape) == ((users, 2), (items, 2))
    assert np.isfinite(area.users).all()
    assert len(area.labelled) <= items


def test_labels_lie_far_apart() -> None:
    crowd = RNG.normal(scale=0.01, size=(100, 2))
    corners = np.array([[5, 5], [-5, 5], [5, -5], [-5, -5]])
    assert set(range(100, 104)) <= set(spread_out(np.concatenate([crowd, corners]), 5))


def test_equal_places_get_one_label() -> None:
    assert spread_out(np.zeros((7, 2)), 5) == (0,)


@pytest.mark.parametrize(("count", "lengths"), [(3, [1, 5, 9]), (9, list(range(1, 10))), (20, list(range(1, 10)))])
def test_people_are_spread_over_the_lengths(count: int, lengths: list[int]) -> None:
    users = pd.DataFrame({"user_id": [f"u{n}" for n in range(9)], "history_len": [9, 1, 8, 2, 7, 3, 6, 4, 5]})
    assert list(spread_over_lengths(users, count).history_len) == lengths
