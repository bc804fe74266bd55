"""What the tests against the real parts share: real worker processes, a producer, readers of what they leave."""

import pytest

for _name in ("chain", "events", "rows", "topics", "waiting", "workers"):
    pytest.register_assert_rewrite(f"tests.support.{_name}")
