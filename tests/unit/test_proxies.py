"""Whose address a request comes from: nobody takes another one by writing it into a header."""

from __future__ import annotations

import pytest

from app.domain.proxies import client, neighbourhood, networks

TRUSTED = networks("10.0.0.0/8, fd00::/8,192.0.2.7")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.5", [], "203.0.113.5"),
        ("203.0.113.5", ["198.51.100.1"], "203.0.113.5"),  # a stranger says so
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.5"], "203.0.113.5"),
        ("10.0.0.1", ["198.51.100.1, 203.0.113.5"], "203.0.113.5"),  # the client has written the left one
        ("10.0.0.1", ["198.51.100.1", "203.0.113.5, 192.0.2.7"], "203.0.113.5"),
        ("10.0.0.1", ["10.0.0.9, 10.0.0.2"], "10.0.0.9"),  # somebody inside
        ("10.0.0.1", ["203.0.113.5, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["203.0.113.5:4711"], "203.0.113.5"),
        ("fd00::1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["2001:DB8::1"], "2001:db8::1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("", ["203.0.113.5"], ""),
    ],
)
def test_the_last_that_no_trusted_proxy_has(peer: str, forwarded: list[str], address: str) -> None:
    assert client(peer, forwarded, TRUSTED) == address


def test_without_trusted_proxies_no_header_counts() -> None:
    assert client("10.0.0.1", ["203.0.113.5"], networks("")) == "10.0.0.1"


@pytest.mark.parametrize(
    ("address", "neighbours"),
    [("203.0.113.5", "203.0.113.5"), ("2001:db8::1", "2001:db8::/64"), ("::1", "::/64"), ("", ""), ("unix", "unix")],
)
def test_who_has_an_address_of_ipv6_has_all_of_its_network(address: str, neighbours: str) -> None:
    assert neighbourhood(address) == neighbours
