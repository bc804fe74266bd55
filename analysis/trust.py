"""Cassandra's authorities as Spark wants them: its Java reads trust stores, not bundles of PEM.

`python -m analysis.trust CA.pem STORE.p12` makes one, which every node of a Spark cluster must have at the same place.

The connector looks whether one of these has signed a node's certificate, and not for whom: it compares no names
(`DefaultConnectionFactory` of 3.5 has that switched off, whatever the options say).
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from app.errors import UserError
from app.local.java import certificates, make_store
from app.settings import Settings, state_dir

_SSL = "spark.cassandra.connection.ssl"
# By default the connector offers TLS_RSA_WITH_AES_128_CBC_SHA and _256_ alone: no server speaks these whose key is on
# a curve, as cert-manager's are here, and what was said is known to who ever gets the key.
_SUITES = (
    *("TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256"),
    *("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"),
    *("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
)


def options(master: str, settings: Settings) -> dict[str, str]:
    """Spark's options for Cassandra by TLS; none where it is reached in the clear. Raises UserError."""
    authorities, store = settings.cassandra_ca_file, settings.spark_trust_store
    if authorities is None:
        return {}
    if store is not None:
        _check(authorities, store)
    elif master.startswith("local"):
        store = state_dir() / "spark" / f"{hashlib.sha256(authorities.read_bytes()).hexdigest()[:16]}.p12"
        store.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made(authorities, store)
    else:
        raise UserError(
            "Cassandra is reached by TLS: STARLING_SPARK_TRUST_STORE must name a trust store that all nodes of Spark "
            f"have ({_how(authorities)})"
        )
    return {
        f"{_SSL}.enabled": "true",
        f"{_SSL}.trustStore.path": str(store),
        f"{_SSL}.enabledAlgorithms": ",".join(_SUITES),
    }


def _check(authorities: Path, store: Path) -> None:
    """Refuse a store that is not of these authorities: from Java that would be a stack, minutes later."""
    from cryptography.hazmat.primitives.serialization import pkcs12  # noqa: PLC0415 - slow to import, and seldom needed

    try:
        held = {one.certificate for one in pkcs12.load_pkcs12(store.read_bytes(), None).additional_certs}
    except OSError as error:
        raise UserError(
            f"STARLING_SPARK_TRUST_STORE: {store} cannot be read ({error.strerror}; {_how(authorities)})"
        ) from None
    except ValueError:
        raise UserError(
            f"STARLING_SPARK_TRUST_STORE: {store} is no PKCS#12 without a password ({_how(authorities)})"
        ) from None
    if held.isdisjoint(certificates(authorities)):
        raise UserError(
            f"STARLING_SPARK_TRUST_STORE: {store} holds no authority of {authorities} ({_how(authorities)})"
        )


def _how(authorities: Path) -> str:
    return f"`python -m analysis.trust {authorities} STORE.p12` makes one"


def made(authorities: Path, store: Path) -> None:
    """Make the store of a bundle. Raises UserError, OSError."""
    if not make_store(authorities, store):
        raise UserError(f"{authorities} holds no certificate")


if __name__ == "__main__":
    made(*map(Path, sys.argv[1:]))
