"""What a file of events may cost the process that others look on with."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from app.domain import yamls
from app.domain.importing import steps
from app.web import importing
from tests.unit.test_serving import Noting, served


async def test_a_file_is_weighed_where_it_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    weighed_by: list[threading.Thread] = []

    def weighed(*args: Any, **rest: Any) -> Any:
        weighed_by.append(threading.current_thread())
        return steps(*args, **rest)

    monkeypatch.setattr(importing, "steps", weighed)
    async with served(Noting()) as client:
        answer = await client.post("/import", data={"text": "events: [{code: fire, name: Fire, keywords: [fire]}]"})
        assert answer.status == 200
    (thread,) = weighed_by
    assert thread is not threading.main_thread()


@pytest.mark.parametrize("path", ["/import", "/api/v1/yaml"])
async def test_no_file_is_larger_than_what_the_api_takes(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yamls, "MOST_BYTES", 50)
    file = "events: [{code: fire, name: Fire, keywords: [fire]}]"
    form: dict[str, Any] = {"data": {"text": file}}
    body: dict[str, Any] = {"data": file, "headers": {"Content-Type": "application/yaml"}}
    async with served(Noting()) as client:
        assert (await client.post(path, **(form if path == "/import" else body))).status == 413
