"""An archive of the classes that Spark loads: a JVM maps it, where it would read and verify ten thousand out of hundreds of jars.

With Java 17 a session then starts in half the time, and so does the first query of each kind (``docs/experiments.md``). The set-up makes
it (``jobs/ready_spark.py``). It belongs to one Java and one place of Spark's jars; the JVM itself checks both, and goes on without it where
they are others.
Source: JEP 350, dynamic CDS archives.
"""

import os
import subprocess
import sys
from pathlib import Path

# Beside the jars that it was made of: without an archive for it the JVM has nothing to say.
_QUIET = "-Xlog:cds=off -Xlog:cds+dynamic=off"


def archive_folder() -> Path:
    """Where this Python environment keeps its archives."""
    return Path(sys.prefix) / "class-archive"


def mapping_options(folder: Path | None = None) -> str:
    """JVM options that map the archive in ``folder`` (default: this environment's); empty where none was made."""
    archive = _archive(folder or archive_folder())
    return f'"-XX:SharedArchiveFile={archive}" {_QUIET}' if archive.is_file() else ""


def recording_options(java: Path, folder: Path) -> str:
    """JVM options that leave a draft of Spark's classes in ``folder`` when the JVM ends, on top of ``java``'s own, archived here.

    Empty where this Java makes no archive; not every one can.
    """
    folder.mkdir(parents=True, exist_ok=True)
    base = folder / "java.jsa"
    for outdated in (base, _archive(folder), _draft(folder)):  # an archive belongs to its base
        outdated.unlink(missing_ok=True)
    made = subprocess.run([java, "-Xshare:dump", f"-XX:SharedArchiveFile={base}"], capture_output=True, check=False)
    if made.returncode or not base.is_file():
        return ""
    return f'"-XX:SharedArchiveFile={base}" "-XX:ArchiveClassesAtExit={_draft(folder)}" {_QUIET}'


def keep(java: Path, folder: Path, class_path: str) -> bool:
    """Let the draft be the archive of ``folder``, if ``java`` takes it for ``class_path``; whether it did.

    Java 21 takes none for a class path that names a jar twice, as Spark's does; 17 takes it.
    """
    draft = _draft(folder)
    asked: list[str | Path] = [java, "-Xshare:on", f"-XX:SharedArchiveFile={draft}", "-cp", class_path, "-version"]
    if not draft.is_file() or subprocess.run(asked, capture_output=True, check=False).returncode:
        draft.unlink(missing_ok=True)
        return False
    os.replace(draft, _archive(folder))
    return True


def _archive(folder: Path) -> Path:
    return folder / "spark.jsa"


def _draft(folder: Path) -> Path:
    return folder / "draft.jsa"
