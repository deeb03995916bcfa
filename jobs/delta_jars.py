"""Delta's jars on Spark's class path: a named folder, or resolved once by their coordinates and then taken from a cache."""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from jobs.errors import UsageError

DELTA_PACKAGE = "io.delta:delta-spark_4.2_2.13:4.4.0"
JARS_FOLDER_VARIABLE = "KARMA_JARS"
# Spark ships all of these itself, mostly in a newer version. Left out, 8 jars (13 MB) are fetched instead of 30 (87 MB), and a
# half-filled local Maven cache cannot break the resolution (it does for slf4j-api and jsr305).
EXCLUDES = (
    "com.fasterxml.jackson.core:*",
    "com.github.luben:*",
    "com.google.code.findbugs:*",
    "commons-logging:*",
    "commons-pool:*",
    "io.airlift:*",
    "org.apache.hadoop:*",
    "org.apache.logging.log4j:*",
    "org.apache.parquet:*",
    "org.locationtech.jts:*",
    "org.roaringbitmap:*",
    "org.scala-lang:*",
    "org.slf4j:*",
    "org.xerial.snappy:*",
)
_CACHE = Path(__file__).resolve().parents[1] / "var" / "cache" / "jars"


@contextmanager
def delta_jars(environ: Mapping[str, str] | None = None, cache: Path = _CACHE) -> Iterator[dict[str, str]]:
    """The Spark settings that bring Delta, for a session that is started inside the ``with`` block.

    With KARMA_JARS in ``environ`` (default: this process's): the jars of that folder. Else the jars in ``cache``, without asking any
    server; or, the first time, Spark's resolver fetches them into ``cache`` while the session starts, one process at a time.
    Raises UsageError where KARMA_JARS names no folder with jars.
    """
    environ = os.environ if environ is None else environ
    named = environ.get(JARS_FOLDER_VARIABLE)
    if named:
        yield {"spark.jars": _joined(_jars_of(Path(named)))}
        return
    place = cache / hashlib.sha256(json.dumps([DELTA_PACKAGE, EXCLUDES]).encode()).hexdigest()[:12]
    if jars := _resolved(place):
        yield {"spark.jars": _joined(jars)}
        return
    with _alone_in(place):
        jars = _resolved(place)  # another process may have been faster
        yield {"spark.jars": _joined(jars)} if jars else _resolver_settings(place)
        if not jars:
            _remember(place)


def _resolver_settings(place: Path) -> dict[str, str]:
    return {"spark.jars.packages": DELTA_PACKAGE, "spark.jars.excludes": ",".join(EXCLUDES), "spark.jars.ivy": str(place)}


def _jars_of(folder: Path) -> list[Path]:
    jars = sorted(folder.glob("*.jar"))
    if not jars:
        hint = f"it must hold the jars of {DELTA_PACKAGE} and of what that needs"
        raise UsageError("NO_JARS", f"{JARS_FOLDER_VARIABLE} names no folder with jars", got=folder, hint=hint)
    return jars


def _joined(jars: list[Path]) -> str:
    return ",".join(str(jar.resolve()) for jar in jars)


def _list_of(place: Path) -> Path:
    return place / "resolved.json"


def _resolved(place: Path) -> list[Path]:
    """The jars of an earlier resolution; empty where there was none, or where a jar is gone or has another size."""
    try:
        sizes: dict[str, int] = json.loads(_list_of(place).read_text())
        jars = {place / "jars" / name: size for name, size in sizes.items()}
        return sorted(jars) if all(jar.stat().st_size == size for jar, size in jars.items()) else []
    except (OSError, ValueError):
        return []


def _remember(place: Path) -> None:
    """Written last: a resolution that was cut short leaves no list, and is done again."""
    draft = place / "resolved.draft"
    draft.write_text(json.dumps({jar.name: jar.stat().st_size for jar in (place / "jars").glob("*.jar")}, indent=1))
    os.replace(draft, _list_of(place))


@contextmanager
def _alone_in(place: Path) -> Iterator[None]:
    place.mkdir(parents=True, exist_ok=True)
    with (place / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
