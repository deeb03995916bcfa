"""What the packaged Java trusts: the certificates that this machine trusts, where a company's proxy may have added its own."""

import hashlib
import os
import ssl
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore

# Certificates are public; Java wants a password for the file all the same.
PASSWORD = "changeit"
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine, macOS
)
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


def machine_bundle() -> Path | None:
    """The file of certificates that programs on this machine trust: SSL_CERT_FILE, or the system's; None where there is none."""
    named = ssl.get_default_verify_paths().cafile
    return next((Path(path) for path in (named, *_BUNDLES) if path and Path(path).is_file()), None)


def trust_store(folder: Path) -> Path | None:
    """A trust store that Java reads, in ``folder``, made of the machine's bundle once; None where the machine has no bundle."""
    bundle = machine_bundle()
    if bundle is None:
        return None
    pem = bundle.read_bytes()
    store = folder / f"trusted-{hashlib.sha256(pem).hexdigest()[:12]}.p12"
    if not store.is_file():
        entries = [PKCS12Certificate(certificate, str(number).encode()) for number, certificate in enumerate(_certificates(pem))]
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as draft:
            draft.write(serialize_java_truststore(entries, BestAvailableEncryption(PASSWORD.encode())))
        os.replace(draft.name, store)
    return store


def _certificates(pem: bytes) -> list[x509.Certificate]:
    """Those that can be read: bundles carry a few that break the rules, and warnings about them help nobody here."""
    readable = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for block in pem.split(_BEGIN)[1:]:
            with suppress(ValueError):
                readable.append(x509.load_pem_x509_certificate(_BEGIN + block.partition(_END)[0] + _END + b"\n"))
    return readable
