"""Where the nodes of a network stand on a plot: what is joined draws together, everything else apart."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 200
_TO_THE_MIDDLE = 0.05  # else parts that nothing joins drift away from each other for ever


def places(nodes: int, edges: Sequence[tuple[int, int]]) -> NDArray[np.float64]:
    """A row (x, y) for each node (Fruchterman and Reingold, 1991); the same network has always the same places."""
    turn = 2 * np.pi * np.arange(nodes) / max(nodes, 1)
    at = np.column_stack((np.cos(turn), np.sin(turn)))
    apart = np.sqrt(4 / max(nodes, 1))
    ends = np.array(edges, dtype=np.int64).reshape(-1, 2)
    for left in np.linspace(0.2, 0.005, _ROUNDS):
        between = at[:, None] - at[None]
        distance = np.maximum(np.linalg.norm(between, axis=2), 1e-6)
        moved = (between * (apart / distance)[..., None] ** 2).sum(axis=1) - at * _TO_THE_MIDDLE
        along = at[ends[:, 0]] - at[ends[:, 1]]
        pull = along * (np.linalg.norm(along, axis=1) / apart)[:, None]
        np.add.at(moved, ends[:, 0], -pull)
        np.add.at(moved, ends[:, 1], pull)
        length = np.maximum(np.linalg.norm(moved, axis=1), 1e-6)[:, None]
        at = at + moved / length * np.minimum(length, left)
    return at
