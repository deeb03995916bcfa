"""The archive of Spark's classes: used where it fits, and no JVM minds where it does not."""

import os
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

from jobs.class_archive import keep, mapping_options, recording_options
from jobs.java import ensure_java, java_version, program_of
from tests.house.tree import ROOT

_MAIN = "org.apache.spark.deploy.SparkSubmit"
_TOY = """
import sys
from jobs.session import build_session, local_settings

options = "spark.driver.extraJavaOptions"
build_session("toy", {options: f'{local_settings()[options]} "-Xlog:class+load:file={sys.argv[1]}"'}).stop()
"""


@pytest.fixture(scope="module")
def java() -> Path:
    environ = dict(os.environ)
    ensure_java(environ)
    return program_of(environ)


def test_a_session_takes_sparks_classes_from_the_archive(java: Path, tmp_path: Path) -> None:
    """The set-up has made it for the Java that it found."""
    if java_version(java) != 17:
        pytest.skip("known of Java 17 alone: others may take no archive for Spark's class path")
    program, log = tmp_path / "toy.py", tmp_path / "classes.log"
    program.write_text(_TOY)
    subprocess.run([sys.executable, program, log], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    # Lambdas are no classes of a jar: the JVM spins them.
    loaded = [line for line in log.read_text().splitlines() if " org.apache.spark." in line and "$$Lambda" not in line]
    archived = [line for line in loaded if "shared objects file (top)" in line]
    assert len(archived) > 0.9 * len(loaded) > 1000


def test_without_an_archive_there_is_no_option(tmp_path: Path) -> None:
    assert mapping_options(tmp_path) == ""


def test_only_a_recording_that_java_takes_becomes_the_archive(java: Path, tmp_path: Path) -> None:
    """Of a JVM that ends at once: the draft is there when it has ended, not before, and for its class path alone."""
    options = recording_options(java, tmp_path)
    if not options:
        pytest.skip("this Java makes no archive")
    jars = sorted(str(jar) for jar in (Path(pyspark.__file__).parent / "jars").glob("spark-l*.jar"))
    recorded = [java, *options.replace('"', "").split(), "-cp", ":".join(jars), "org.apache.spark.launcher.Main", _MAIN, "--version"]
    assert not keep(java, tmp_path, ":".join(jars))
    subprocess.run(recorded, capture_output=True, check=False)
    kept = (tmp_path / "draft.jsa").read_bytes()
    assert not keep(java, tmp_path, jars[0].replace("spark-l", "another-l"))
    assert mapping_options(tmp_path) == ""
    (tmp_path / "draft.jsa").write_bytes(kept)
    assert keep(java, tmp_path, ":".join(jars))
    assert str(tmp_path / "spark.jsa") in mapping_options(tmp_path)


def test_an_archive_that_does_not_fit_is_passed_over_in_silence(java: Path, tmp_path: Path) -> None:
    """Another Java's, or a broken one."""
    (tmp_path / "spark.jsa").write_bytes(b"no archive")
    said = subprocess.run(
        [java, *mapping_options(tmp_path).replace('"', "").split(), "-version"], capture_output=True, text=True, check=True
    )
    assert "jsa" not in said.stdout + said.stderr
    assert "warning" not in said.stdout + said.stderr
