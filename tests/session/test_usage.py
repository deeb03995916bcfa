"""Arguments that cannot be meant end with exit code 2, before Spark starts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from jobs import evaluate_encoder, interest_embeddings, own_data, publish, request_embeddings, run_day, train_encoder, user_histories
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
        (train_encoder.main, ("--root", "{tmp}", "--trained-until", "0001-01-01T00:00:00+05:00"), "NOT_AN_INSTANT"),
        (train_encoder.main, ("--root", "{tmp}", "--trained-until", "9999-12-31T23:00:00-05:00"), "NOT_AN_INSTANT"),
        (request_embeddings.main, ("--root", "{tmp}", *DAY, "--token-budget", "0"), "NO_TOKENS"),
        (interest_embeddings.main, ("--root", "{tmp}", *DAY, "--token-budget", "-5"), "NO_TOKENS"),
        (run_day.main, ("--root", "{tmp}", *DAY, "--token-budget", "0"), "NO_TOKENS"),
        (run_day.main, ("--root", "{tmp}", *DAY, "--max-lateness-days", "-1"), "NOT_A_COUNT"),
        (evaluate_encoder.main, ("--root", "{tmp}", "--encoder", "any", "--probe-steps", "-1"), "NOT_A_COUNT"),
    ],
)
def test_it_is_refused(
    main: Callable[..., int], arguments: tuple[str, ...], code: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert main([argument.format(tmp=tmp_path) for argument in arguments]) == names.EXIT_USAGE
    assert code in caplog.text


@pytest.mark.parametrize(("root", "code"), [("{tmp}/mistyped", "NO_ROOT"), ("s3a://bucket/root", "NOT_A_ROOT")])
def test_a_root_that_is_none(root: str, code: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=code):
        context_of(RootArgs(root=root.format(tmp=tmp_path)), "test")
    assert list(tmp_path.iterdir()) == []


def test_a_root_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "root").write_text("")
    with pytest.raises(UsageError, match="NOT_A_ROOT"):
        context_of(RootArgs(root=str(tmp_path / "root")), "test")
