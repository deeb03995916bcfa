"""Which Java a session gets. The runtimes here are scripts that answer ``-version``."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from jobs.java import ensure_java, java_version, packaged_java_home


def fake_java(home: Path, version: str) -> Path:
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-01-01' >&2\n")
    java.chmod(0o755)
    return java


@pytest.mark.parametrize(("text", "major"), [("17.0.15", 17), ("21", 21), ("1.8.0_292", 8), ("25-ea", 25)])
def test_the_major_version_is_read(tmp_path: Path, text: str, major: int) -> None:
    assert java_version(fake_java(tmp_path, text)) == major


def test_what_does_not_run_has_no_version(tmp_path: Path) -> None:
    broken = fake_java(tmp_path, "17")
    broken.write_text("#!/bin/sh\nexit 1\n")
    assert java_version(broken) == 0
    assert java_version(tmp_path / "nowhere" / "java") == 0


def test_java_home_comes_first(tmp_path: Path) -> None:
    fake_java(tmp_path / "home", "21.0.1")
    fake_java(tmp_path / "other", "17.0.1")
    environ = {"JAVA_HOME": str(tmp_path / "home"), "PATH": f"{tmp_path}/other/bin:/bin:/usr/bin"}
    before = dict(environ)
    assert "21" in ensure_java(environ)
    assert environ == before


def test_an_old_java_home_gives_way_to_the_path(tmp_path: Path) -> None:
    fake_java(tmp_path / "home", "1.8.0_292")
    fake_java(tmp_path / "other", "17.0.1")
    environ = {"JAVA_HOME": str(tmp_path / "home"), "PATH": f"{tmp_path}/other/bin:/bin:/usr/bin"}
    assert "17" in ensure_java(environ)
    assert "JAVA_HOME" not in environ


def test_the_packaged_one_where_there_is_none(tmp_path: Path) -> None:
    fake_java(tmp_path / "other", "11.0.2")
    environ = {"PATH": f"{tmp_path}/other/bin"}
    assert "packaged" in ensure_java(environ)
    assert java_version(Path(environ["JAVA_HOME"], "bin", "java")) == 21


def test_the_packaged_one_starts_with_the_module_that_it_lacks(tmp_path: Path) -> None:
    """Spark's launcher always asks for it; the runtime itself refuses to start with it."""
    java = packaged_java_home(tmp_path) / "bin" / "java"
    arguments = ["--add-modules=jdk.incubator.vector", "-Dname=a value", "-XshowSettings:properties", "-version"]
    answer = subprocess.run([java, *arguments], capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert "name = a value" in answer.stderr


def test_the_shim_is_written_once(tmp_path: Path) -> None:
    java = packaged_java_home(tmp_path) / "bin" / "java"
    written = java.stat().st_mtime_ns
    packaged_java_home(tmp_path)
    assert java.stat().st_mtime_ns == written
    java.write_text("#!/bin/sh\n")  # a half-written one
    packaged_java_home(tmp_path)
    assert java_version(java) == 21


def test_the_packaged_one_trusts_what_the_machine_trusts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Java itself lists what it took from the store: the one certificate of the bundle, and not the broken one beside it."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(f"# a company's own\n{own_certificate()}\n-----BEGIN CERTIFICATE-----\nbm9uc2Vuc2U=\n-----END CERTIFICATE-----\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    java = packaged_java_home(tmp_path / "environment") / "bin" / "java"
    (store,) = java.parent.parent.glob("*.p12")
    keytool = [java, "-m", "java.base/sun.security.tools.keytool.Main", "-list", "-v", "-storepass", "changeit", "-keystore", store]
    listed = subprocess.run(keytool, capture_output=True, text=True)
    assert listed.stdout.count("Entry type: trustedCertEntry") == 1, listed.stdout
    assert "CN=Our Proxy" in listed.stdout
    assert f"trustStore={store}" in java.read_text()


def own_certificate() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Our Proxy")])
    since = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(7)
    signed = builder.not_valid_before(since).not_valid_after(since + timedelta(days=365)).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()
