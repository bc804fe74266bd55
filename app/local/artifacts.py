"""The jars of Kafka, Cassandra and Spark's connector, fetched once into the user's cache by pyspark's own Ivy.

`jars/NAME.sha256` lists every jar and its hash, so what runs is what was tested. After a change of version,
`python -m app.local.artifacts` (part of `make lock`) fetches anew and writes the lists.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from app.errors import UserError
from app.local.java import Java, trust_options

Report = Callable[[str], None]
NO_PYSPARK = "pyspark is not installed; install the extra 'local' (`make setup` does)"

STALLED = 90.0  # seconds without a word from Ivy; a jar takes less than one
FETCH_TIMEOUT = 1800.0
REPORT_EVERY = 5.0
ROOM_NEEDED = 500 * 2**20  # all sets, their archives in Ivy's cache, and some

# Two jars of one module differ only by classifier; without it in the name Ivy refuses to copy either.
PATTERN = "[artifact]-[revision](-[classifier]).[ext]"
# What the log says, what to tell.
REASONS = {
    "PKIX path": "its certificate is not trusted by this Java",
    "UnknownHostException": "the network is missing",
    "Connection refused": "the network refuses",
    "Connect timed out": "the network does not answer",
    "Network is unreachable": "the network is missing",
    "ConnectException": "the network is missing",
    "host not found": "the network is missing",
}


@dataclass(frozen=True)
class Artifacts:
    """Published jars with everything they need at run time."""

    name: str
    version: str
    modules: tuple[tuple[str, str, str], ...]  # organisation, module, revision

    @property
    def list_file(self) -> Path:
        """The list of its jars with their hashes."""
        return Path(__file__).parent / "jars" / f"{self.name.lower()}.sha256"

    def hashes(self) -> dict[str, str]:
        """Hash by name of jar."""
        lines = self.list_file.read_text().splitlines()
        return {name: digest for digest, name in (line.split() for line in lines)}

    def ivy_file(self) -> str:
        """What Ivy shall resolve."""
        wanted = "".join(
            f'<dependency org="{org}" name="{name}" rev="{rev}" conf="default"/>' for org, name, rev in self.modules
        )
        head = '<info organisation="starling" module="local"/>'
        return f'<ivy-module version="2.0">{head}<dependencies>{wanted}</dependencies></ivy-module>'


KAFKA = Artifacts(
    "Kafka",
    "3.9.1",
    (("org.apache.kafka", "kafka_2.13", "3.9.1"), ("org.slf4j", "slf4j-reload4j", "1.7.36")),  # else it does not log
)
CASSANDRA = Artifacts(
    "Cassandra",
    "5.0.9",
    # jnr-ffi asks for jffi twice, with and without its native part; Ivy then takes one of them only.
    (("org.apache.cassandra", "cassandra-all", "5.0.9"), ("com.github.jnr", "jffi", "1.3.11")),
)
CONNECTOR = Artifacts(
    "Spark-Cassandra-Connector",
    "3.5.1",
    (("com.datastax.spark", "spark-cassandra-connector_2.12", "3.5.1"),),  # 2.12 is the Scala of pyspark's jars
)


def cache_dir() -> Path:
    """Where the jars are kept."""
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # The XDG base directory specification: "If an implementation encounters a relative path […] ignore it."
    return (given if given.is_absolute() else Path.home() / ".cache") / "starling"


def fetch(wanted: Artifacts, java: Java, report: Report) -> Path:
    """Give the directory with the jars, fetched first where they are not there yet. Raises UserError."""
    cache = cache_dir()
    target = cache / f"{wanted.name.lower()}-{wanted.version}"
    if _complete(wanted, target):
        return target
    cache.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(cache).free < ROOM_NEEDED:
        raise UserError(f"too little room in {cache} for {wanted.name}: {ROOM_NEEDED >> 20} MB are needed")
    with _locked(cache / f"{target.name}.lock", wanted, report) as lock:
        if _complete(wanted, target):  # another process was faster
            return target
        work = cache / f"{target.name}.part"
        jars = _run_ivy(wanted, java, work, report, lock)
        try:
            _check(wanted, jars)
        except UserError:
            shutil.rmtree(work)  # else the next attempt would take the same jar from Ivy's cache
            raise
        shutil.rmtree(target, ignore_errors=True)
        jars.rename(target)
        shutil.rmtree(work, ignore_errors=True)
    return target


def _complete(wanted: Artifacts, target: Path) -> bool:
    """Whether every jar is there and whole; their hashes take a third of a second."""
    return target.is_dir() and _hash_all(target).items() >= wanted.hashes().items()


def _check(wanted: Artifacts, jars: Path) -> None:
    found = _hash_all(jars)
    expected = wanted.hashes()
    if wrong := sorted(name for name in expected if found.get(name) != expected[name]):
        raise UserError(f"{wanted.name} as fetched is not the one that was tested: {wrong[0]} differs or is missing")


def _hash_all(jars: Path) -> dict[str, str]:
    return {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in sorted(jars.glob("*.jar"))}


@contextmanager
def _locked(file: Path, wanted: Artifacts, report: Report) -> Iterator[int]:
    deadline = time.monotonic() + FETCH_TIMEOUT
    waiting = False
    with file.open("w") as handle:
        while True:
            try:
                flock(handle, LOCK_EX | LOCK_NB)
                break
            except BlockingIOError:
                if not waiting:
                    report(f"waiting for another process that fetches {wanted.name}")
                waiting = True
                if time.monotonic() > deadline:
                    raise UserError(f"another process has been fetching {wanted.name} for too long") from None
                time.sleep(0.2)
        yield handle.fileno()


def _run_ivy(wanted: Artifacts, java: Java, work: Path, report: Report, lock: int) -> Path:
    """Resolve and copy the jars. What a broken attempt left in `work` is used again.

    Ivy inherits the lock: if we are killed, the next process waits until this Ivy has ended too.
    """
    jars = work / "jars"
    shutil.rmtree(jars, ignore_errors=True)
    jars.mkdir(parents=True)
    (work / "ivy.xml").write_text(wanted.ivy_file())
    log = work / "ivy.log"
    options = [*trust_options(java, work), *_proxy_options(), f"-Divy.default.ivy.user.dir={work}"]
    ivy_options = ["-ivy", f"{work}/ivy.xml", "-cache", f"{work}/cache", "-confs", "default"]
    # Not sources, documentation or tests; a bundle is a jar too.
    ivy_options += ["-types", "jar", "bundle", "-retrieve", f"{jars}/{PATTERN}"]
    command = [str(java.path), *options, "-jar", str(_ivy_jar()), *ivy_options]
    with log.open("w") as out:
        ivy = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, pass_fds=(lock,))  # noqa: S603 - our own command
    try:
        code = _watch(ivy, log, wanted, report)
    finally:
        if ivy.poll() is None:
            ivy.kill()
            ivy.wait(10)
    if code != 0:
        text = log.read_text(errors="replace")
        reason = next((why for sign, why in REASONS.items() if sign in text), "see its log")
        raise UserError(f"{wanted.name} {wanted.version} could not be fetched: {reason} ({log})")
    return jars


def _watch(ivy: subprocess.Popen[bytes], log: Path, wanted: Artifacts, report: Report) -> int:
    """Tell how far Ivy is, until it ends. Raises UserError when it has been silent for too long."""
    total = len(wanted.hashes()) if wanted.list_file.exists() else 0
    size, moved, told = 0, time.monotonic(), 0.0
    while (code := ivy.poll()) is None:
        time.sleep(0.2)
        now = time.monotonic()
        if (grown := log.stat().st_size) != size:
            size, moved = grown, now
        elif now - moved > STALLED:
            raise UserError(
                f"{wanted.name} {wanted.version} could not be fetched: nothing came for {STALLED:.0f} s ({log})"
            )
        if now - told > REPORT_EVERY:
            told = now
            text = log.read_text(errors="replace")
            found, got = text.count("\tfound "), text.count("[SUCCESSFUL ]")
            how_far = f"{got} of {total} jars" if got else f"looked up {found} of {total} jars"
            report(f"fetching {wanted.name} {wanted.version} (once): {how_far}")
    return code


def _ivy_jar() -> Path:
    spec = find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise UserError(NO_PYSPARK)
    found = sorted((Path(spec.origin).parent / "jars").glob("ivy-*.jar"))
    if not found:
        raise UserError(f"pyspark in {Path(spec.origin).parent} carries no Ivy")
    return found[-1]


def _proxy_options() -> list[str]:
    """Java does not heed the proxy variables that everything else does."""
    proxy = urlsplit(os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or "")
    if not proxy.hostname:
        return []
    return [f"-Dhttps.proxyHost={proxy.hostname}", f"-Dhttps.proxyPort={proxy.port or 443}"]


def write_lists(java: Java, report: Report) -> None:
    """Fetch all and write the lists of their jars."""
    for wanted in (KAFKA, CASSANDRA, CONNECTOR):
        work = cache_dir() / f"{wanted.name.lower()}-lists"
        work.mkdir(parents=True, exist_ok=True)
        with _locked(work / ".lock", wanted, report) as lock:
            jars = _run_ivy(wanted, java, work, report, lock)
            wanted.list_file.parent.mkdir(exist_ok=True)
            wanted.list_file.write_text("".join(f"{digest}  {name}\n" for name, digest in _hash_all(jars).items()))
        shutil.rmtree(work)


if __name__ == "__main__":
    from app.local.java import find_java

    write_lists(find_java(), print)
