"""Every setting of Starling, in one place.

A value comes from, first wins: the environment (`STARLING_…`), the running local stack (`stack.json` in
`STARLING_STATE_DIR`, written by `starling up`), the default here.
"""

from __future__ import annotations

import os
import re
from datetime import time
from email.utils import getaddresses
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, FilePath, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, JsonConfigSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from app.domain.proxies import networks

STACK_FILE = "stack.json"
SOURCES = ("x", "x-v1", "bluesky")
SPARK_MASTER = r"^(local(\[(\d+|\*)\])?|spark://\S+)$"


def state_dir() -> Path:
    """Where the local stack keeps its data, logs and addresses."""
    return Path(os.environ.get("STARLING_STATE_DIR") or ".starling").absolute()


_PLACE = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\s,:\[\]]+):\d{1,5}")


_MAIL = re.compile(r"[^\s@<>,;:\"()\[\]]+@[^\s@<>,;:\"()]+")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Settings(BaseSettings):
    """Settings by group; each says its unit and, where it is not obvious, its reason."""

    model_config = SettingsConfigDict(env_prefix="STARLING_", extra="ignore", frozen=True)

    # --- Kafka
    kafka: str = Field("127.0.0.1:9092", description="bootstrap servers, host:port, comma between them")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    kafka_username: str | None = Field(None, description="for SASL")
    kafka_password: SecretStr | None = Field(None, description="for SASL")
    kafka_ca_file: FilePath | None = Field(None, description="CA bundle that signs the brokers' certificates")
    topic_prefix: str = Field(
        "", description="before every topic name and consumer group; for tests and shared brokers"
    )
    partitions: int = Field(4, ge=1, description="of raw and classified topics; at least the most workers wanted")
    replication: int = Field(1, ge=1, description="of every topic; 3 in production")
    raw_retention_hours: float = Field(24, gt=0, description="how long raw posts stay, to hear the past")

    # --- Cassandra
    cassandra: str = Field(
        "127.0.0.1:9042", description="contact points, host:port, comma between them, all of one port"
    )
    cassandra_username: str | None = Field(None, description="where Cassandra asks for one")
    cassandra_password: SecretStr | None = Field(None, description="of that user")
    cassandra_ca_file: FilePath | None = Field(None, description="CA bundle; given, connections are encrypted")
    cassandra_tls_name: str = Field(
        "", description="name that all nodes' certificates bear, where that is not the address of each"
    )
    cassandra_datacenter: str = Field("datacenter1", description="the one near the workers", pattern=r"^[\w.-]+$")
    cassandra_replication: int = Field(1, ge=1, description="copies of each row; 3 in production")
    keyspace: str = Field("twitter_analytics", pattern=r"^[a-z][a-z0-9_]{0,47}$", description="of all tables")

    # --- worker
    session_timeout: float = Field(10, ge=6, description="seconds until a dead worker's partitions move")
    batch_records: int = Field(32, ge=1, description="records an agent takes at once; 32 of 64 posts are about 8 MB")
    batch_within: float = Field(0.1, gt=0, description="seconds an agent waits for a batch to fill")
    write_concurrency: int = Field(16, ge=1, description="Cassandra batches in flight")
    rematch_rate: float = Field(3000, gt=0, description="raw posts a second that a rematch reads at most")
    stall_seconds: float = Field(
        60, gt=0, description="a record waits and nothing is committed: /healthz fails after this"
    )
    web_host: str = Field("127.0.0.1", description="where pages are served; 0.0.0.0 in a pod")
    web_port: int = Field(6066, ge=1, le=65535, description="port of the pages, the API and health")
    log_format: Literal["auto", "json", "console"] = Field("auto", description="auto: console on a terminal, else JSON")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")

    # --- pages and API
    web_url: str | None = Field(None, description="where people reach the pages, if not on this machine: https://…")
    web_names: str = Field("", description="other names by which it is asked, as a Service's; comma between")
    trusted_proxies: str = Field(
        "", description="networks of proxies whose X-Forwarded-For is believed, comma between; none at first"
    )
    web_auth: bool = Field(True, description="ask who somebody is; false: whoever reaches the port may do everything")
    token_secret: SecretStr | None = Field(
        None, description="signs tokens and sessions, at least 32 characters; without, one is made in the state dir"
    )
    session_hours: float = Field(12, gt=0, le=720, description="how long a person stays signed in, at most 30 days")
    oidc_issuer: str | None = Field(None, description="identity provider whose tokens count too: https://…")
    oidc_audience: str = Field("starling", description="that its tokens must name")
    oidc_rank_claim: str = Field("starling_role", description="its claim that holds viewer, editor or admin")

    # --- tracker and replay
    record_posts: int = Field(64, ge=1, description="posts in a raw record at most")
    record_linger: float = Field(0.1, ge=0, description="seconds a post waits for its record to fill at most")

    spool_dir: Path | None = Field(None, description="where posts are kept while Kafka is away; else in the state dir")
    spool_megabytes: int = Field(10_000, ge=16, description="kept there at most; beyond that a gap is written down")

    # --- live sources
    sources: str = Field("bluesky", description="live sources, comma between them: x, x-v1, bluesky; or none")
    x_url: str = Field("https://api.x.com", description="of X API v2")
    x_bearer_token: SecretStr | None = Field(None, description="of the X app, for sources x and x-v1")
    x_rules: int = Field(1000, ge=1, description="rules that the X plan allows at once")
    x_rules_seconds: float = Field(60, ge=1, description="after which it is looked again whether X still has its rules")
    x_rule_length: int = Field(1024, ge=64, description="characters that the X plan allows a rule")
    x_query_length: int = Field(512, ge=64, description="characters that the X plan allows a query of recent search")
    x_backfill_minutes: int = Field(0, ge=0, le=5, description="that the X plan can deliver after a reconnect")
    x_search: bool = Field(False, description="fill gaps and hear the past from recent search; its posts are paid for")
    x_counts: bool = Field(False, description="ask X's recent counts in previews; its plan limits these requests")
    x_reads_soft: int | None = Field(None, ge=0, description="posts read from X a month, beyond which it is told")
    x_reads_hard: int | None = Field(None, ge=0, description="posts read from X a month, at which it is left")
    x_v1_url: str = Field("https://stream.twitter.com", description="of a server that speaks statuses/filter (v1.1)")
    bluesky_url: str = Field("wss://jetstream.us-east.bsky.network", description="of a Jetstream server")
    bluesky_wire: Literal["v1", "v2"] = Field("v2", description="its wire: v2 (subscribeEvents) or v1 (subscribe)")
    bluesky_zstd: bool = Field(False, description="have frames compressed (v2 only): less traffic, more CPU")
    bluesky_filter: bool = Field(False, description="keep only posts that match an event; rematch hears no more then")

    # --- notices
    notify_webhook: SecretStr | None = Field(None, description="address that notices are posted to")
    notify_webhook_secret: SecretStr | None = Field(None, description="signs what is posted (HMAC-SHA256)")
    notify_webhook_plain: bool = Field(False, description="allow http:// to other hosts than this one")
    notify_smtp_host: str = Field("", description="mail server that notices are sent by")
    notify_smtp_port: int = Field(587, ge=1, le=65535, description="of it; 465 with tls")
    notify_smtp_security: Literal["starttls", "tls", "none"] = Field("starttls", description="starttls, tls or none")
    notify_smtp_username: str | None = Field(None, description="where the server asks for one")
    notify_smtp_password: SecretStr | None = Field(None, description="of that user")
    notify_mail_from: str = Field("", description="address that mails come from")
    notify_mail_to: str = Field("", description="addresses that mails go to, comma between them")
    notify_mail_daily_at: time | None = Field(None, description="HH:MM (UTC): one mail a day; else as it happens")
    notify_ca_file: FilePath | None = Field(None, description="CA bundle of the webhook's or mail server's certificate")
    notify_window: float = Field(60, ge=0, description="seconds after a message in which notices wait for the next")
    notify_gap_seconds: float = Field(60, ge=5, description="seconds that a gap lasts before it is told, and its end")
    notify_dead_letters: int = Field(60, ge=1, description="dead letters a minute, beyond which it is told")

    # --- exports
    export_dir: Path | None = Field(None, description="where exports are kept; else in the state dir")
    export_megabytes: int = Field(10_000, ge=1, description="kept there at most, those being written too")
    export_days: float = Field(7, gt=0, description="until the file of an export is removed")
    export_jobs: int = Field(2, ge=1, le=16, description="exports that a manager writes at once")
    exports_in_hand: int = Field(3, ge=1, description="exports that a person may have waiting or running")
    exports_a_day: int = Field(50, ge=1, description="exports that a person may ask for in 24 hours")

    # --- previews
    previews_a_minute: int = Field(6, ge=1, description="previews that a person may ask a manager for")

    # --- search
    searches_a_minute: int = Field(60, ge=2, description="searches of stored posts that a person may ask a manager for")
    searches_at_once: int = Field(4, ge=1, description="of these at the same time")

    # --- cluster
    provisioning: Literal["off", "dry-run", "on"] = Field(
        "off", description="have a manager run trackers and workers in Kubernetes: off, dry-run (only tell) or on"
    )
    cluster_namespace: str = Field("", pattern=r"^[a-z0-9-]*$", description="of these; else the pod's, or KUBECONFIG's")
    lag_metric_port: int = Field(6443, ge=1, le=65535, description="where managers tell autoscalers the lag, by TLS")
    lag_metric_cert: FilePath | None = Field(None, description="certificate there; without, one is made at each start")
    lag_metric_key: FilePath | None = Field(None, description="its key")
    autoscaler: Literal["hpa", "others"] = Field("hpa", description="hpa, or others: KEDA or people scale the workers")
    workers_least: int = Field(1, ge=1, description="workers while there is something to do")
    workers_most: int = Field(4, ge=1, description="workers otherwise")
    workers_most_hot: int = Field(4, ge=1, description="workers while a hot event collects, or the workers lag")
    worker_cpu_percent: int = Field(90, ge=1, le=100, description="of the CPU requested, above which workers are added")
    worker_lag_seconds: int = Field(30, ge=1, description="that workers are behind, above which some are added")
    workers_calm_seconds: int = Field(300, ge=0, le=3600, description="of less load until a worker is taken away")

    # --- analysis
    spark_master: str = Field(
        "local[*]",
        pattern=SPARK_MASTER,
        description="where Spark works: here, or spark://host:7077",
    )
    spark_trust_store: Path | None = Field(
        None, description="made of Cassandra's CA by `python -m analysis.trust`, at this place on all nodes of spark://"
    )

    # --- CLI
    command_timeout: float = Field(20, gt=0, description="seconds to wait for the manager's answer")
    connect_timeout: float = Field(8, gt=0, description="seconds until Kafka or Cassandra counts as not reachable")

    @model_validator(mode="after")
    def _workers(self) -> Settings:
        if not self.workers_least <= self.workers_most <= self.workers_most_hot:
            raise ValueError("workers_least, workers_most and workers_most_hot must not fall")
        if (self.lag_metric_cert is None) != (self.lag_metric_key is None):
            raise ValueError("STARLING_LAG_METRIC_CERT and STARLING_LAG_METRIC_KEY belong together")
        if self.provisioning != "off" and self.workers_most_hot > self.partitions:
            raise ValueError(
                f"workers_most_hot is {self.workers_most_hot}, but a topic has {self.partitions} partitions: "
                "more workers would have nothing to do"
            )
        return self

    @field_validator("kafka", "cassandra")
    @classmethod
    def _places(cls, value: str) -> str:
        if not all(_PLACE.fullmatch(place) and int(place.rpartition(":")[2]) < 65536 for place in value.split(",")):
            raise ValueError("write host:port, with commas between several")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        try:
            networks(value)
        except ValueError as wrong:
            raise ValueError(f"write networks as 10.0.0.0/8, with commas between several: {wrong}") from None
        return value

    @field_validator("x_url", "x_v1_url", "bluesky_url")
    @classmethod
    def _address(cls, value: str, info: ValidationInfo) -> str:
        schemes = ("ws", "wss") if info.field_name == "bluesky_url" else ("http", "https")
        scheme, mark, rest = value.partition("://")
        if scheme not in schemes or not mark or not rest.strip("/") or not value.isprintable() or " " in value:
            raise ValueError(f"write {schemes[1]}://host or {schemes[0]}://host:port")
        return value

    @field_validator("x_bearer_token")
    @classmethod
    def _token(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value().strip() if value is not None else ""  # a file's last line has an end
        if not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError("a token has no blanks, line breaks or characters beyond ASCII")
        return SecretStr(text) if text else None

    @field_validator("web_url", "oidc_issuer")
    @classmethod
    def _reached(cls, value: str | None) -> str | None:
        if not value:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or not value.isprintable() or " " in value:
            raise ValueError("write https://host or http://host:port")
        return value.rstrip("/")

    @field_validator("token_secret")
    @classmethod
    def _signing(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value().strip() if value is not None else ""
        if text and len(text) < 32:
            raise ValueError("at least 32 characters")
        return SecretStr(text) if text else None

    @field_validator("notify_webhook")
    @classmethod
    def _webhook(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value().strip() if value is not None else ""
        if not text:
            return None
        try:
            parts = urlsplit(text)
            sound = parts.scheme in ("http", "https") and parts.hostname and text.isprintable() and " " not in text
        except ValueError:
            sound = False
        if not sound:
            raise ValueError("write https://host/path")
        return SecretStr(text)

    @field_validator("notify_webhook_secret")
    @classmethod
    def _secret(cls, value: SecretStr | None) -> SecretStr | None:
        text = value.get_secret_value().strip() if value is not None else ""  # a file's last line has an end
        return SecretStr(text) if text else None

    @field_validator("notify_mail_from", "notify_mail_to")
    @classmethod
    def _mail_addresses(cls, value: str, info: ValidationInfo) -> str:
        addresses = [address for _, address in getaddresses([value])] if value else []
        if not value.isprintable() or not all(_MAIL.fullmatch(address) for address in addresses):
            raise ValueError("write name@host, with commas between several")
        if info.field_name == "notify_mail_from" and len(addresses) > 1:
            raise ValueError("write one address")
        return value

    @field_validator("notify_mail_daily_at")
    @classmethod
    def _utc(cls, value: time | None) -> time | None:
        if value is not None and value.tzinfo is not None:
            raise ValueError("write HH:MM, which is UTC")
        return value

    @field_validator("spool_dir", "export_dir", mode="before")
    @classmethod
    def _directory(cls, value: object) -> object:
        return value or None  # an empty path would be the directory where the process happens to run

    @field_validator("sources")
    @classmethod
    def _sources(cls, value: str) -> str:
        if unknown := set(cls._listed(value)) - set(SOURCES):
            raise ValueError(f"no source is called {min(unknown)!r}; there are {', '.join(SOURCES)}, or none")
        return value

    @staticmethod
    def _listed(value: str) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(name.strip() for name in value.split(",")))
        return () if names in (("",), ("none",)) else names

    @property
    def source_names(self) -> tuple[str, ...]:
        """The live sources to listen to."""
        return self._listed(self.sources)

    @property
    def mail_receivers(self) -> list[str]:
        """Addresses that mails go to."""
        return [address for _, address in getaddresses([self.notify_mail_to])]

    @property
    def web_address(self) -> str:
        """Where people reach the pages."""
        host = "127.0.0.1" if self.web_host in ("0.0.0.0", "::") else self.web_host  # noqa: S104 -- only compared
        return self.web_url or f"http://{f'[{host}]' if ':' in host else host}:{self.web_port}"

    @property
    def spool(self) -> Path:
        """Where posts are kept while Kafka is away."""
        return (self.spool_dir or state_dir() / "spool") / (self.topic_prefix or "starling")

    @property
    def cassandra_points(self) -> tuple[list[str], int]:
        """Hosts of Cassandra, and the port that all of them have."""
        points = [point.rpartition(":")[::2] for point in self.cassandra.split(",")]
        return [host.strip("[]") for host, _ in points], int(points[0][1])

    @property
    def exports(self) -> Path:
        """Where exports are kept."""
        return (self.export_dir or state_dir() / "exports") / (self.topic_prefix or "starling")

    @field_validator("cassandra")
    @classmethod
    def _one_port(cls, value: str) -> str:
        if len({place.rpartition(":")[2] for place in value.split(",")}) > 1:
            raise ValueError("all contact points must have the same port")
        return value

    @model_validator(mode="after")
    def _credentials(self) -> Settings:
        if self.kafka_security_protocol.startswith("SASL") and not (self.kafka_username and self.kafka_password):
            raise ValueError("SASL needs STARLING_KAFKA_USERNAME and STARLING_KAFKA_PASSWORD")
        return self

    @model_validator(mode="after")
    def _notified(self) -> Settings:
        parts = urlsplit(self.notify_webhook.get_secret_value() if self.notify_webhook is not None else "")
        if parts.scheme == "http" and not self.notify_webhook_plain and not _is_loopback(parts.hostname or ""):
            raise ValueError("STARLING_NOTIFY_WEBHOOK is not https; STARLING_NOTIFY_WEBHOOK_PLAIN=true allows it")
        if not self.notify_smtp_host:
            return self
        if not (self.notify_mail_from and self.notify_mail_to):
            raise ValueError("STARLING_NOTIFY_SMTP_HOST needs STARLING_NOTIFY_MAIL_FROM and STARLING_NOTIFY_MAIL_TO")
        if bool(self.notify_smtp_username) != bool(self.notify_smtp_password):
            raise ValueError("STARLING_NOTIFY_SMTP_USERNAME and STARLING_NOTIFY_SMTP_PASSWORD belong together")
        if (
            self.notify_smtp_password
            and self.notify_smtp_security == "none"
            and not _is_loopback(self.notify_smtp_host)
        ):
            raise ValueError("STARLING_NOTIFY_SMTP_PASSWORD is not sent without starttls or tls")
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put the local stack's addresses below the environment."""
        stack = JsonConfigSettingsSource(settings_cls, json_file=state_dir() / STACK_FILE)
        return init_settings, env_settings, stack


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Read the settings once a process. Raises pydantic.ValidationError on a bad value."""
    return Settings()
