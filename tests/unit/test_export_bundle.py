"""The tar of a file and its manifest."""

from __future__ import annotations

import io
import tarfile
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from app.exporting import bundle

MADE = datetime(2024, 5, 1, tzinfo=UTC)
SIZES = st.sampled_from([0, 1, 511, 512, 513, 1024, bundle.BLOCK, bundle.BLOCK + 1])


@given(SIZES, SIZES, st.sampled_from(["flood.csv", "flood-" + 120 * "x" + ".parquet"]))
def test_it_holds_both_and_its_length_is_known(data: int, manifest: int, name: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        paths = [Path(directory, one) for one in ("data", "manifest.json")]
        for path, size in zip(paths, (data, manifest), strict=True):
            path.write_bytes(bytes(range(256)) * (size // 256) + b"z" * (size % 256))
        parts = bundle.members(name, *paths)
        content = b"".join(bundle.blocks(parts, MADE))
        assert len(content) == bundle.length(parts)
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            assert tar.getnames() == [f"{name}.manifest.json", name]
            assert [tar.extractfile(one).read() for one in tar.getmembers()] == [  # type: ignore[union-attr]
                paths[1].read_bytes(),
                paths[0].read_bytes(),
            ]
