"""The driver's connection, set up for large batches.

The driver cuts what it sends into pieces of 4 kB, a system call each, and while the socket's buffer is full it refuses
every further request (ConnectionBusy, "overloaded") without trying. A batch of ours may have 500 kB, so of several
sent at once most were refused, tried again, and encoded again. How much is in flight is bounded by the writer itself.
"""

from __future__ import annotations

from cassandra.cluster import Cluster


class Connection(Cluster.connection_class):
    """Sends in larger pieces; what does not fit into the socket's buffer waits in the driver's queue."""

    out_buffer_size = 64 * 1024
    in_buffer_size = 64 * 1024

    @property
    def _socket_writable(self) -> bool:
        """What the driver looks at before it accepts a request."""
        return True

    @_socket_writable.setter
    def _socket_writable(self, writable: bool) -> None:
        """The driver notes here that the buffer is full; its loop goes on once there is room."""
