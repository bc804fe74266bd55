"""One plain question to each server: does it really answer? Without a client library, so `status` is quick."""

from __future__ import annotations

import http.client
import socket
import struct

TIMEOUT = 3.0
MAX_ANSWER = 1 << 20
KAFKA_METADATA = 3
CQL_STARTUP, CQL_QUERY, CQL_READY, CQL_RESULT = 0x01, 0x07, 0x02, 0x08


def kafka_answers(host: str, port: int) -> bool:
    """Tell whether Kafka lists a broker, as it does once it takes requests."""
    client = b"starling"
    # Metadata, version 1, of no topic at all.
    request = struct.pack(f">hhih{len(client)}si", KAFKA_METADATA, 1, 1, len(client), client, 0)
    try:
        with socket.create_connection((host, port), TIMEOUT) as link:
            link.sendall(struct.pack(">i", len(request)) + request)
            (size,) = struct.unpack(">i", _exactly(link, 4))
            answer = _exactly(link, size)
    except (OSError, EOFError, struct.error):
        return False
    _, brokers = struct.unpack_from(">ii", answer)
    return bool(brokers >= 1)


def cassandra_answers(host: str, port: int) -> bool:
    """Tell whether Cassandra answers a query by its native protocol."""
    version = struct.pack(">HH11sH5s", 1, 11, b"CQL_VERSION", 5, b"3.0.0")
    query = b"SELECT release_version FROM system.local"
    try:
        with socket.create_connection((host, port), TIMEOUT) as link:
            if _ask_cql(link, CQL_STARTUP, version) != CQL_READY:
                return False
            body = struct.pack(f">i{len(query)}sHB", len(query), query, 1, 0)  # consistency ONE, no flags
            return _ask_cql(link, CQL_QUERY, body) == CQL_RESULT
    except (OSError, EOFError, struct.error):
        return False


def web_answers(host: str, port: int, page: str) -> bool:
    """Tell whether a worker's page answers with 200."""
    link = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    try:
        link.request("GET", page)
        return link.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        link.close()


def _ask_cql(link: socket.socket, opcode: int, body: bytes) -> int:
    """Send a frame of protocol version 4, give the answer's opcode."""
    link.sendall(struct.pack(">BBhBi", 4, 0, 0, opcode, len(body)) + body)
    _, _, _, answer, size = struct.unpack(">BBhBi", _exactly(link, 9))
    _exactly(link, size)
    return int(answer)


def _exactly(link: socket.socket, size: int) -> bytes:
    if not 0 <= size <= MAX_ANSWER:
        raise EOFError("not the answer of such a server")
    data = b""
    while len(data) < size:
        if not (more := link.recv(size - len(data))):
            raise EOFError("closed")
        data += more
    return data
