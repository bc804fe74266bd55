"""The scenarios stand beside the tests; their assertions shall tell as much."""

from __future__ import annotations

import pytest

for _name in ("broker", "kills", "outage"):
    pytest.register_assert_rewrite(f"tests.chaos.{_name}")
