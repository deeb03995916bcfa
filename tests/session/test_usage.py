"""Arguments that cannot be meant end with exit code 2, before Spark starts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import own_data, publish, train_encoder, user_histories
from jobs.cli import RootArgs, context_of
from jobs.errors import UsageError
from schemas import names

DAY = ("--ds", "2026-03-02")
TRAIN = ("--trained-until", "2026-03-02")
FILES = ("--events", "e.csv", "--items", "i.csv")


@pytest.mark.parametrize(
    ("main", "arguments", "code"),
    [
        (publish.main, ("--root", "{tmp}", *DAY, "--publication-lag-hours", "-24"), "LAG_OUTSIDE"),
        (publish.main, ("--root", "{tmp}", *DAY, "--publication-lag-hours", "nan"), "LAG_OUTSIDE"),
        (user_histories.main, ("--root", "{tmp}", *DAY, "--n-max", "0"), "N_MAX_OUTSIDE"),
        (train_encoder.main, ("--root", "{tmp}", *TRAIN, "--config", "{tmp}/none.toml"), "NOT_A_CONFIG"),
        (own_data.main, ("--out", "{tmp}", *FILES, "--config", "{tmp}/none.toml"), "NOT_A_CONFIG"),
    ],
)
def test_it_is_refused(
    main: Callable[..., int], arguments: tuple[str, ...], code: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert main([argument.format(tmp=tmp_path) for argument in arguments]) == names.EXIT_USAGE
    assert code in caplog.text


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("")
    with pytest.raises(UsageError, match="NOT_A_ROOT"):
        context_of(RootArgs(root=str(tmp_path / "root")), "test")
