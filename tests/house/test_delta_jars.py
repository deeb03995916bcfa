"""Where Delta's jars come from: a named folder, a cache, or Spark's resolver."""

from pathlib import Path

import pytest

from jobs.delta_jars import DELTA_PACKAGE, delta_jars
from jobs.errors import UsageError


def resolve_into(settings: dict[str, str], *names: str) -> None:
    """What Spark's resolver leaves behind while a session starts."""
    jars = Path(settings["spark.jars.ivy"]) / "jars"
    jars.mkdir(parents=True)
    for name in names:
        (jars / name).write_bytes(b"jar of " + name.encode())


def test_a_named_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "b.jar").touch()
    (tmp_path / "a.jar").touch()
    (tmp_path / "notes.txt").touch()
    with delta_jars({"KARMA_JARS": str(tmp_path)}, tmp_path / "cache") as settings:
        assert settings == {"spark.jars": f"{tmp_path}/a.jar,{tmp_path}/b.jar"}
    assert not (tmp_path / "cache").exists()


def test_a_named_folder_without_jars_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="KARMA_JARS"), delta_jars({"KARMA_JARS": str(tmp_path)}, tmp_path / "cache"):
        pass


def test_the_first_session_resolves_and_later_ones_ask_nobody(tmp_path: Path) -> None:
    with delta_jars({}, tmp_path) as first:
        assert first["spark.jars.packages"] == DELTA_PACKAGE
        resolve_into(first, "delta.jar", "storage.jar")
    with delta_jars({}, tmp_path) as second:
        assert set(second) == {"spark.jars"}
        assert [Path(jar).name for jar in second["spark.jars"].split(",")] == ["delta.jar", "storage.jar"]


def test_a_resolution_that_was_cut_short_is_done_again(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), delta_jars({}, tmp_path) as first:  # noqa: PT012
        resolve_into(first, "delta.jar")
        raise KeyboardInterrupt
    with delta_jars({}, tmp_path) as second:
        assert second["spark.jars.packages"] == DELTA_PACKAGE


@pytest.mark.parametrize("damage", [Path.unlink, lambda jar: jar.write_bytes(b"half")], ids=["gone", "truncated"])
def test_a_damaged_cache_is_resolved_again(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    with delta_jars({}, tmp_path) as first:
        resolve_into(first, "delta.jar")
    damage(Path(first["spark.jars.ivy"]) / "jars" / "delta.jar")
    with delta_jars({}, tmp_path) as second:
        assert "spark.jars.packages" in second
