"""Cassandra whose only node comes back under another address, as a pod does."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from app.clients.cassandra import TRANSIENT, session
from app.local.stack import Stack
from tests.support.place import place
from tests.support.proxy import Proxy
from tests.support.waiting import until

ASKED = "SELECT cluster_name FROM system.local"


def test_cassandra_is_found_again_under_another_address(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """One session, as a worker has: it was asked for ever at the address that is nobody's any more."""
    at, look_up = ["127.0.0.2"], socket.getaddrinfo

    def resolved(host: str, *rest: Any, **more: Any) -> Any:
        return look_up(at[0] if host == "cassandra.example" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    with place(stack) as settings, Proxy(settings.cassandra, ("127.0.0.2", 0)) as before:
        named = settings.model_copy(update={"cassandra": f"cassandra.example:{before.port}"})
        with session(named) as asking, Proxy(settings.cassandra, ("127.0.0.3", before.port)):
            known = asking.execute(ASKED).one()
            before.cut()
            with pytest.raises(TRANSIENT):
                asking.execute(ASKED)
            at[0] = "127.0.0.3"

            def answers() -> bool:
                try:
                    return bool(asking.execute(ASKED).one() == known)
                except TRANSIENT:
                    return False

            until(answers, "Cassandra answers")
            (host,) = asking.cluster.metadata.all_hosts()
            assert host.endpoint.address == "127.0.0.3", "the old one is forgotten"
