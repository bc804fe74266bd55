"""Whose address a request comes from, where proxies stand between: they add it to X-Forwarded-For, and anybody may."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Networks: TypeAlias = tuple[IPv4Network | IPv6Network, ...]


def networks(text: str) -> Networks:
    """Networks with commas between; an address alone is one, too. Raises ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def client(peer: str, forwarded: Iterable[str], trusted: Networks) -> str:
    """Who is at the other end: the last one that said so who is no trusted proxy.

    `forwarded` are the headers, each with commas between: every proxy adds whom it was asked by to the right, so that
    what stands left of a stranger is the stranger's own word.
    """
    said = [part.strip() for header in forwarded for part in header.split(",")]
    return _last_stranger([*said, peer], trusted)


def neighbourhood(address: str) -> str:
    """What one who has this address has surely: it itself, or of IPv6 all of a /64."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(found) if isinstance(found, IPv4Address) else str(IPv6Network((int(found), 64), strict=False))


def _last_stranger(said: Sequence[str], trusted: Networks) -> str:
    found = said[-1]
    for text in reversed(said):
        address = _address(text)
        if address is None:
            break  # the proxy right of it wrote down what is no address: itself is all that is known
        found = str(address)
        if not any(address in network for network in trusted):
            break
    return found


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """An address, which some proxies write with the port."""
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    try:
        found = ip_address(host.partition(":")[0] if host.count(":") == 1 else host)
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found
