"""What breaks is told, and nothing else is: the alerts and the dashboard of `deploy/components/monitoring`.

promtool has Prometheus's own evaluation of the rules; where it is neither there nor to be had, only that is skipped.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import promql_parser
import pytest
import yaml
from prometheus_client import Counter, Gauge, Histogram

from app import metrics
from tests.support.manifests import DEPLOY
from tests.support.prometheus import DASHBOARD, SPEC, panels, program

RULES = {rule["alert"]: rule for group in SPEC["groups"] for rule in group["rules"]}

# Of who scrapes, and of the target.
TARGET = {"namespace", "pod", "container", "job"}
# Of others: of each process by prometheus_client, of Prometheus itself, of kube-state-metrics.
OTHERS = {
    "up": set(),
    "ALERTS": {"alertname", "alertstate"},
    "process_cpu_seconds_total": set(),
    "process_resident_memory_bytes": set(),
    "kube_pod_container_status_restarts_total": set(),
    "kube_deployment_spec_replicas": {"deployment"},
    "kube_deployment_status_replicas_available": {"deployment"},
}


def ours() -> dict[str, set[str]]:
    """The names by which each metric of Starling is scraped, with its labels."""
    found = {}
    for metric in vars(metrics).values():
        if isinstance(metric, Counter | Gauge | Histogram):
            (described,) = metric.describe()
            labels = set(metric._labelnames)
            suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(described.type, ("",))
            found |= {
                described.name + suffix: labels | ({"le"} if suffix == "_bucket" else set()) for suffix in suffixes
            }
    return found


def queries() -> dict[str, str]:
    """Every expression of the rules, of the dashboard, and of what KEDA asks."""
    alerts = {name: rule["expr"] for name, rule in RULES.items()}
    asked = {
        f"{path.parent.name} {one['metadata']['name']} {number}": trigger["metadata"]["query"]
        for path in (DEPLOY / "components").glob("keda*/roles.yaml")
        for one in yaml.safe_load_all(path.read_text())
        for number, trigger in enumerate(one["spec"]["triggers"])
    }
    marks = {f"annotation {one['name']}": one["expr"] for one in DASHBOARD["annotations"]["list"]}
    return alerts | panels() | asked | marks


def below(part: Any) -> Iterator[Any]:
    """An expression and what it is made of."""
    yield part
    for name in ("lhs", "rhs", "expr", "vector_selector"):
        inner = getattr(part, name, None)
        if inner is not None:
            yield from below(inner)
    for inner in getattr(part, "args", ()):
        yield from below(inner)


@pytest.mark.parametrize("name", queries())
def test_every_query_asks_for_metrics_and_labels_that_there_are(name: str) -> None:
    known = OTHERS | ours()
    labels, asked = set(TARGET), set()
    parts = list(below(promql_parser.parse(queries()[name])))
    selectors = [part for part in parts if isinstance(part, promql_parser.VectorSelector)]
    assert selectors
    for selector in selectors:
        assert selector.name in known
        labels |= known[selector.name]
        own = {matcher.name for matcher in selector.matchers.matchers}
        assert own <= TARGET | known[selector.name], selector.name
    for part in parts:
        modifier = getattr(part, "modifier", None)
        asked |= set(getattr(modifier, "labels", None) or ())
    assert asked <= labels


@pytest.mark.parametrize("name", RULES)
def test_what_is_told_says_of_what_and_what_to_do(name: str) -> None:
    rule = RULES[name]
    assert rule["labels"]["severity"] in ("critical", "warning")
    said = rule["annotations"]
    assert said.keys() == {"summary", "description"}
    named = set(re.findall(r"\$labels\.(\w+)", said["summary"] + said["description"]))
    parts = below(promql_parser.parse(rule["expr"]))
    kept = next((set(part.modifier.labels) for part in parts if isinstance(part, promql_parser.AggregateExpr)), None)
    if kept is not None:
        assert named <= kept, "else it is told without"


def test_the_panels_do_not_overlap_and_each_has_its_own_number() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)


# A night in which nobody posts: all that is there, as it is where nothing is broken. A value a minute.
STATES = ("listening", "quiet", "blind", "refused", "over budget", "waiting", "idle", "standing by")
QUIET = {
    'up{job="starling/starling", pod="manager-0"}': "1x240",
    'up{job="starling/starling", pod="worker-a"}': "1x240",
    'up{job="starling/starling", pod="tracker-gone"}': "0 0 stale",  # it was scaled away
    'starling_server_up{server="kafka", pod="manager-0"}': "1x240",
    'starling_server_up{server="kafka", pod="manager-1"}': "0x240",  # one of two does not reach it
    'starling_server_up{server="cassandra", pod="manager-0"}': "1x240",
    "starling_events_collecting": "1x240",
    "starling_lease_wanted": "1x240",
    'starling_lease_holders{pod="manager-0"}': "1x100 0 1x139",  # handed over
    'starling_lease_holders{pod="manager-1"}': "0x240",  # cut off
    'starling_gap_seconds{source="x", event=""}': "_x50 15 stale _x20 40 stale",  # connected anew
    **{
        f'starling_source_state{{source="bluesky", pod="{pod}", state="{state}"}}': f"{int(state == shown)}x240"
        for pod, shown in (("tracker-a", "quiet"), ("tracker-b", "standing by"))
        for state in STATES
    },
    'starling_posts_heard_total{source="bluesky"}': "900x240",
    'starling_lag_records{role="worker", topic="raw_tweets"}': "0x240",
    'starling_lag_seconds{role="worker", topic="raw_tweets"}': "0x90 180x2 0x147",  # a rebalance
    'starling_lag_seconds{role="indexer", topic="classified_tweets"}': "0x240",
    'starling_dead_letters_total{reason="unreadable", pod="worker-a"}': "3x120 4x119",
    'starling_dead_letters_total{reason="too large", pod="tracker-a"}': "0x240",
    'starling_reads_month{source="x"}': "100x240",
    'starling_reads_forecast{source="x"}': "300x240",
    'starling_reads_limit{source="x", limit="soft"}': "1000x240",
    'starling_reads_limit{source="x", limit="hard"}': "5000x240",
    'starling_spool_bytes{pod="tracker-a"}': "0x100 3000000x2 0x137",
    'starling_spool_limit_bytes{pod="tracker-a"}': "10000000000x240",
    'starling_commit_stalled{pod="worker-a"}': "0x240",
    'starling_receiver_failing{receiver="mail"}': "0x60 1x5 0x174",
    'kube_pod_container_status_restarts_total{pod="manager-0", container="starling"}': "7x100 8x139",
    'kube_pod_container_status_restarts_total{namespace="others", pod="p", container="starling"}': "0+1x240",
    'kube_deployment_spec_replicas{deployment="worker"}': "0x240",  # nothing to do
    'kube_deployment_status_replicas_available{deployment="worker"}': "0x240",
    'kube_deployment_spec_replicas{deployment="tracker"}': "2x240",
    'kube_deployment_status_replicas_available{deployment="tracker"}': "2x240",
}


class Broken(NamedTuple):
    """Figures of something that is broken, and who is told of what at 1 h."""

    figures: dict[str, str]
    told: dict[str, dict[str, str]]  # labels by alert


BROKEN = {
    "a source is not heard": Broken(
        {'starling_gap_seconds{source="x", event=""}': "_x50 0+60x100"},
        {"StarlingGap": {"source": "x"}},  # an empty label is none
    ),
    "an event is not asked for": Broken(
        {'starling_gap_seconds{source="x", event="flood"}': "_x50 0+60x100"},
        {"StarlingGap": {"source": "x", "event": "flood"}},
    ),
    "no tracker has the lease": Broken(
        {'starling_lease_holders{pod="manager-0"}': "1x30 0x100"}, {"StarlingLeaseFree": {}}
    ),
    "the source refuses": Broken(
        {'starling_source_state{source="x", pod="tracker-a", state="refused"}': "0x50 1x100"},
        {"StarlingSourceRefused": {"source": "x", "state": "refused"}},
    ),
    "more was read than may be": Broken(
        {'starling_source_state{source="x", pod="tracker-a", state="over budget"}': "0x50 1x100"},
        {"StarlingSourceRefused": {"source": "x", "state": "over budget"}},
    ),
    "the source is blind": Broken(
        {'starling_source_state{source="bluesky", pod="tracker-a", state="blind"}': "0x50 1x100"},
        {"StarlingSourceBlind": {"source": "bluesky"}},
    ),
    "Kafka is away": Broken(
        {
            'starling_server_up{server="kafka", pod="manager-0"}': "1x50 0x100",
            'starling_lease_holders{pod="manager-0"}': "1x50 0x100",  # nobody is seen any more
            'starling_lag_seconds{role="worker", topic="raw_tweets"}': "0x50 stale",
            'starling_spool_bytes{pod="tracker-a"}': "0x50 0+1000000x100",
        },
        {"StarlingServerAway": {"server": "kafka"}},
    ),
    "Cassandra is away": Broken(
        {'starling_server_up{server="cassandra", pod="manager-0"}': "1x50 0x100"},
        {"StarlingServerAway": {"server": "cassandra"}},
    ),
    "the spool fills": Broken(
        {'starling_spool_bytes{pod="tracker-a"}': "0x50 6000000000x100"}, {"StarlingSpoolFills": {"pod": "tracker-a"}}
    ),
    "workers are too few": Broken(
        {'starling_lag_seconds{role="worker", topic="raw_tweets"}': "0x50 0+60x100"},
        {"StarlingLag": {"role": "worker", "topic": "raw_tweets"}},
    ),
    "the index lags": Broken(
        {'starling_lag_seconds{role="indexer", topic="classified_tweets"}': "0x50 0+60x100"},
        {"StarlingLag": {"role": "indexer", "topic": "classified_tweets"}},
    ),
    "a worker hangs": Broken(
        {'starling_commit_stalled{pod="worker-a"}': "0x50 2x100"}, {"StarlingStalled": {"pod": "worker-a"}}
    ),
    "posts cannot be read": Broken(
        {'starling_dead_letters_total{reason="unreadable", pod="worker-a"}': "3x50 3+5x100"},
        {"StarlingDeadLetters": {"reason": "unreadable"}},
    ),
    "a kind of dead letter that never was before": Broken(
        {'starling_dead_letters_total{reason="too large", pod="tracker-a"}': "0x55 40x100"},
        {"StarlingDeadLetters": {"reason": "too large"}},
    ),
    "more was read than was meant": Broken(
        {'starling_reads_month{source="x"}': "1001x240"}, {"StarlingBudgetSoft": {"source": "x"}}
    ),
    "the budget will not last": Broken(
        {'starling_reads_forecast{source="x"}': "5001x240"}, {"StarlingBudgetHard": {"source": "x"}}
    ),
    "nobody is told": Broken(
        {'starling_receiver_failing{receiver="mail"}': "0x40 1x100"}, {"StarlingReceiverFails": {"receiver": "mail"}}
    ),
    "a worker is killed for its memory": Broken(
        {'kube_pod_container_status_restarts_total{pod="worker-a", container="starling"}': "0x40 0+1x5 5x100"},
        {"StarlingRestarts": {"pod": "worker-a", "container": "starling"}},
    ),
    "no tracker gets ready": Broken(
        {'kube_deployment_status_replicas_available{deployment="tracker"}': "2x50 0x100"},
        {"StarlingRoleDown": {"deployment": "tracker"}},
    ),
    "a pod does not answer": Broken(
        {'up{job="starling/starling", pod="worker-a"}': "1x50 0x100"},
        {"StarlingNotScraped": {"pod": "worker-a", "job": "starling/starling"}},
    ),
    "no manager is there": Broken(
        {'up{job="starling/starling", pod="manager-0"}': "1x50 stale"}, {"StarlingManagerNotScraped": {}}
    ),
}


def test_each_alert_has_something_broken_that_it_tells() -> None:
    assert {alert for broken in BROKEN.values() for alert in broken.told} == RULES.keys()


def series(figures: Mapping[str, str]) -> list[dict[str, str]]:
    """As promtool takes them; all of the namespace starling but what names another."""
    found = []
    for name, values in figures.items():
        metric, _, rest = name.partition("{")
        own = rest if "namespace=" in rest else f'namespace="starling"{", " + rest if rest else "}"}'
        found.append({"series": f"{metric}{{{own}", "values": values})
    return found


def expected(name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """An alert as promtool compares it; `absent` knows no namespace."""
    whole = {"severity": RULES[name]["labels"]["severity"]} | dict(labels)
    return {"exp_labels": whole if name == "StarlingManagerNotScraped" else whole | {"namespace": "starling"}}


@pytest.fixture(scope="module")
def promtool() -> str:
    return program("promtool")


def run_by_promtool(promtool: str, tmp_path: Path, test: Mapping[str, Any], spec: Mapping[str, Any]) -> None:
    """promtool finds the rules as the test says."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(dict(spec)))
    whole = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [{"interval": "1m", **test}]}
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump(whole))
    command = [promtool, "test", "rules", str(tmp_path / "tests.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def silent_spec() -> dict[str, Any]:
    """The rules without what they say: promtool compares that too."""
    rules = [{key: value for key, value in rule.items() if key != "annotations"} for rule in RULES.values()]
    return {"groups": [{"name": "starling", "rules": rules}]}


def look(at: str, told: Mapping[str, Mapping[str, str]]) -> list[dict[str, Any]]:
    """That these alerts fire at a time, and no others."""
    return [
        {"eval_time": at, "alertname": name, "exp_alerts": [expected(name, told[name])] if name in told else []}
        for name in RULES
    ]


def test_a_quiet_night_wakes_nobody(promtool: str, tmp_path: Path) -> None:
    looks = [one for minute in range(240) for one in look(f"{minute}m", {})]
    run_by_promtool(promtool, tmp_path, {"input_series": series(QUIET), "alert_rule_test": looks}, silent_spec())


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_told_by_its_alert_alone(promtool: str, tmp_path: Path, what: str) -> None:
    broken = BROKEN[what]
    late = {"StarlingBudgetHard": "70m"}.get(next(iter(broken.told)), "60m")
    test = {"input_series": series(QUIET | broken.figures), "alert_rule_test": look(late, broken.told)}
    run_by_promtool(promtool, tmp_path, test, silent_spec())


@pytest.mark.parametrize(
    ("event", "summary"),
    [
        ("", "x is not heard: what is posted may be missed"),
        ("flood", "x is not heard for flood: what is posted may be missed"),
    ],
)
def test_a_gap_is_told_in_words(promtool: str, tmp_path: Path, event: str, summary: str) -> None:
    labels = {"source": "x"} | ({"event": event} if event else {})
    said = RULES["StarlingGap"]["annotations"] | {"summary": summary}
    alert = expected("StarlingGap", labels) | {"exp_annotations": said}
    test = {
        "input_series": series({f'starling_gap_seconds{{source="x", event="{event}"}}': "0+60x20"}),
        "alert_rule_test": [{"eval_time": "10m", "alertname": "StarlingGap", "exp_alerts": [alert]}],
    }
    run_by_promtool(promtool, tmp_path, test, SPEC)
