"""Settings: what is wrong is said of the setting, not found out by a connection that fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from app.settings import Settings, state_dir


@pytest.mark.parametrize("places", ["localhost:1", "a.example:9092,b.example:9093", "[::1]:9092", "10.0.0.1:65535"])
def test_places_of_kafka(places: str) -> None:
    assert Settings.model_validate({"kafka": places}).kafka == places


@pytest.mark.parametrize("name", ["kafka", "cassandra"])
@pytest.mark.parametrize("places", ["", "localhost", "a:b", "a:1,", "a:1,b", "a:65536", "a:1 b:2", "::1:9092", ":9092"])
def test_what_is_no_place_is_refused(name: str, places: str) -> None:
    with pytest.raises(ValidationError, match="write host:port, with commas between several"):
        Settings.model_validate({name: places})


def test_cassandras_nodes_have_one_port() -> None:
    """The driver knows one port for all."""
    with pytest.raises(ValidationError, match="the same port"):
        Settings.model_validate({"cassandra": "a:9042,b:9043"})


def test_credentials_and_their_files_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="STARLING_KAFKA_USERNAME and STARLING_KAFKA_PASSWORD"):
        Settings.model_validate({"kafka_security_protocol": "SASL_SSL", "kafka_username": "ada"})
    with pytest.raises(ValidationError, match="does not point to a file"):
        Settings.model_validate({"kafka_ca_file": tmp_path / "none"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x_url", "api.example.org"),
        ("x_url", "http://"),
        ("x_url", "ws://api.example.org"),
        ("bluesky_url", "https://jetstream.example.org"),
        ("bluesky_url", ""),
        ("bluesky_url", "jetstream.example.org"),
        ("bluesky_url", "wss://"),
        ("x_bearer_token", "two\nlines"),
        ("x_bearer_token", "tökén"),
    ],
)
def test_addresses_and_tokens_of_sources_are_checked(name: str, value: str) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({name: value})


def test_an_empty_directory_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose files pass on variables that are not set as empty ones; posts were kept wherever the process ran."""
    monkeypatch.setenv("STARLING_SPOOL_DIR", "")
    assert Settings().spool_dir is None
    monkeypatch.setenv("STARLING_STATE_DIR", "")
    monkeypatch.chdir(tmp_path)
    assert state_dir() == tmp_path / ".starling"


def test_a_token_from_a_file_may_end_with_a_line_end() -> None:
    token = Settings.model_validate({"x_bearer_token": "secret\n"}).x_bearer_token
    assert token is not None
    assert token.get_secret_value() == "secret"
    assert Settings.model_validate({"x_bearer_token": ""}).x_bearer_token is None
