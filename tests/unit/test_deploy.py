"""What lies in `deploy/`, without a cluster: settings are settings, figures are those of the documentation."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.clients.reconciling import scaling_of
from app.domain.cluster_objects import Apply, autoscaler, deployment, steps
from app.domain.provisioning import TRACKER, Wanted
from app.roles import Role
from app.settings import Settings
from app.topics import CLASSIFIED
from benchmarks import sizing
from tests.support.manifests import DEPLOY, OVERLAYS, built

pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl to build manifests with")
TABLE = Path(__file__).parents[2] / "docs" / "kubernetes.md"


COMBINED: list[tuple[str, tuple[str, ...]]] = [
    *((overlay, more) for overlay in OVERLAYS for more in ((), ("split",), ("analysis",))),
    ("production", ("analysis", "tls", "cert-manager")),
]


@pytest.fixture(scope="module", params=COMBINED, ids=str)
def things(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    overlay, more = request.param
    return built(overlay, tmp_path_factory.mktemp("built"), *more)


def templates(things: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [thing for thing in things if thing["kind"] == "PodTemplate"]


def pods(things: list[dict[str, Any]]) -> list[tuple[str, dict[str, Any]]]:
    """Names and specs of all pods."""
    own = [(one["metadata"]["name"], one["template"]["spec"]) for one in templates(things)]
    sets = [thing for thing in things if thing["kind"] == "StatefulSet"]
    return own + [(one["metadata"]["name"], one["spec"]["template"]["spec"]) for one in sets]


def settings_of(things: list[dict[str, Any]]) -> dict[str, Any]:
    """The ConfigMap of Starling's settings; other programs have their own."""
    maps = (thing for thing in things if thing["kind"] == "ConfigMap")
    (found,) = (one for one in maps if any(name.startswith("STARLING_") for name in one["data"]))
    return found


def guide_secrets() -> dict[str, dict[str, str]]:
    """What the guide has people put into Secrets, by name and key."""
    commands = re.findall(r"create secret generic (\S+)((?:[\s\\]+--from-literal=\S+=\S.*)+)", TABLE.read_text())
    return {name: dict.fromkeys(re.findall(r"--from-literal=([^=]+)=", keys), "0" * 32) for name, keys in commands}


def environment(things: list[dict[str, Any]], container: dict[str, Any]) -> dict[str, str]:
    """What a container reads, if people and operators have made the Secrets that they make."""
    made = guide_secrets() | {"starling-superuser": {"username": "starling", "password": "0" * 32}}
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        found |= made[source["secretRef"]["name"]] if "secretRef" in source else settings_of(things)["data"]
    for one in container.get("env", ()):
        asked = one.get("valueFrom", {}).get("secretKeyRef")
        if asked and (asked["key"] in made[asked["name"]] or not asked.get("optional")):
            found[one["name"]] = made[asked["name"]][asked["key"]]
        elif "value" in one:
            found[one["name"]] = one["value"]
    return found


def read(things: list[dict[str, Any]], container: dict[str, Any], trust: Path) -> Settings:
    """The settings of a container of Starling's; `trust` is a file that stands for those that it finds mounted."""
    given = environment(things, container)
    for name, value in given.items():
        if value.startswith("/etc/starling/"):
            assert str(Path(value).parent) in [mount["mountPath"] for mount in container["volumeMounts"]]
            given[name] = str(trust)
    return Settings.model_validate(
        {name.removeprefix("STARLING_").lower(): value for name, value in given.items() if name.startswith("STARLING_")}
    )


def managers(things: list[dict[str, Any]]) -> dict[str, Any]:
    """The container of managers."""
    (found,) = (spec["containers"][0] for name, spec in pods(things) if name == "manager")
    return dict(found)


def labelled(things: list[dict[str, Any]]) -> dict[str, tuple[dict[str, str], set[str]]]:
    """The labels of every pod, and the names of its ports."""
    made = [
        (one["metadata"]["name"], deployment({**one, "metadata": one["metadata"] | {"uid": "1"}}))
        for one in templates(things)
    ]
    sets = [(thing["metadata"]["name"], thing) for thing in things if thing["kind"] == "StatefulSet"]
    found = {}
    for name, thing in [*made, *sets]:
        pod = thing["spec"]["template"]
        ports = {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", ())}
        found[name] = pod["metadata"]["labels"], ports
    return found


def chosen(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Whether a selector chooses who has these labels."""
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    among = selector.get("matchExpressions", ())
    return wanted and all(one["operator"] == "In" and labels.get(one["key"]) in one["values"] for one in among)


def policy(things: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """What a NetworkPolicy says."""
    (found,) = (one for one in things if one["kind"] == "NetworkPolicy" and one["metadata"]["name"] == name)
    return dict(found["spec"])


def test_every_setting_is_one_and_they_fit_together_with_the_secrets_of_the_guide(
    things: list[dict[str, Any]],
) -> None:
    known = {f"STARLING_{name.upper()}" for name in Settings.model_fields} | {"STARLING_STATE_DIR"}
    readers = set()
    for name, spec in pods(things):
        for container in [*spec.get("initContainers", ()), *spec["containers"]]:
            given = environment(things, container)
            assert {one for one in given if one.startswith("STARLING_")} <= known, name
            if "envFrom" in container:
                settings = read(things, container, Path(__file__))
                assert settings.partitions >= settings.workers_most_hot
                assert settings.cassandra_password is not None
                assert (settings.kafka_password is None) == (name == "jupyter"), "it has no word with Kafka"
                asked = [
                    arg.partition("://")[2] for arg in container.get("args", ()) if arg.startswith("--Login.server")
                ]
                assert set(asked) <= set(settings.web_names.split(",")), "the manager answers by that name"
                assert bool(asked) == (name == "jupyter")
                readers.add(name)
    assert {"manager", "tracker", "indexer"} < readers


@pytest.mark.parametrize(
    ("server", "image_volumes", "kept"),
    [
        ("kafka", {"/etc/kafka/secrets", "/var/lib/kafka/data", "/mnt/shared/config"}, "KAFKA_LOG_DIRS"),
        ("cassandra", {"/var/lib/cassandra"}, None),
    ],
)
def test_what_a_server_writes_is_on_its_claim_and_not_on_a_volume_of_its_image(
    things: list[dict[str, Any]], server: str, image_volumes: set[str], kept: str | None
) -> None:
    """containerd mounts an empty directory of the container at each VOLUME that is not a mount itself."""
    (container,) = (spec["containers"][0] for name, spec in pods(things) if name == server)
    mounts = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    place = Path(environment(things, container)[kept] if kept else "/var/lib/cassandra/data")
    over = [str(part) for part in (place, *place.parents) if str(part) in mounts.keys() | image_volumes]
    assert mounts.get(over[0]) == "data", "the nearest"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs something as another user")
def test_a_node_of_cassandra_writes_its_settings_into_a_volume_that_is_roots(tmp_path: Path) -> None:
    """A kubelet gives an empty directory to root, and the pod's group may write into it: nobody else changes its own
    mode or times, and a script that tries to ends there."""
    (spec,) = (spec for name, spec in pods(built("local", tmp_path)) if name == "cassandra")
    (settings,) = (one for one in spec["initContainers"] if one["name"] == "settings")
    user = spec["securityContext"]["runAsUser"]
    with tempfile.TemporaryDirectory() as place:  # pytest's own lets only root through
        image, volume = Path(place, "image"), Path(place, "volume")
        for directory, owner, mode in ((Path(place), 0, 0o711), (image, user, 0o777), (volume, 0, 0o2777)):
            directory.mkdir(exist_ok=True)
            os.chown(directory, owner, user)
            directory.chmod(mode)
        (image / "cassandra.yaml").write_text("authenticator:\n  class_name : AllowAllAuthenticator\n")
        (image / "triggers").mkdir()
        named = "".join(f'<appender-ref ref="{one}" />\n' for one in ("SYSTEMLOG", "STDOUT", "ASYNCDEBUGLOG"))
        (image / "logback.xml").write_text(f'<root level="INFO">\n{named}</root>\n')
        *shell, script = settings["command"]
        script = script.replace("/etc/cassandra", str(image)).replace("/settings", str(volume))
        done = subprocess.run(
            [*shell, script],
            user=user,
            group=user,
            extra_groups=(),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        assert (done.returncode, done.stderr) == (0, "")
        written = yaml.safe_load((volume / "cassandra.yaml").read_text())
        assert written["authenticator"] == {"class_name": "PasswordAuthenticator"}
        assert {one.name for one in volume.iterdir()} == {"cassandra.yaml", "logback.xml", "triggers"}
        assert re.findall(r'ref="(\w+)"', (volume / "logback.xml").read_text()) == ["STDOUT"], "files fill the volume"


def test_a_broker_logs_to_its_container_alone(things: list[dict[str, Any]]) -> None:
    """What its image logs into files has no end, and a pod whose volume is fuller than allowed is evicted."""
    (spec,) = (spec for name, spec in pods(things) if name == "kafka")
    (container,) = spec["containers"]
    (place,) = re.findall(
        r"export KAFKA_LOG4J_OPTS=-Dlog4j.configuration=file:(\S+) EXTRA_ARGS=$", *container["args"], re.M
    )
    (mount,) = (one["name"] for one in container["volumeMounts"] if one["mountPath"] == str(Path(place).parent))
    (config,) = (one["configMap"]["name"] for one in spec["volumes"] if one["name"] == mount)
    (data,) = (one["data"] for one in things if one["kind"] == "ConfigMap" and one["metadata"]["name"] == config)
    appenders = re.findall(r"^log4j\.appender\.\w+=(\S+)$", data[Path(place).name], re.M)
    assert appenders == ["org.apache.log4j.ConsoleAppender"]


@pytest.mark.parametrize("server", ["kafka", "cassandra"])
def test_who_would_speak_to_a_server_needs_its_password(things: list[dict[str, Any]], server: str) -> None:
    (container,) = (spec["containers"][0] for name, spec in pods(things) if name == server)
    if server == "kafka":
        given = environment(things, container)
        protocols = dict(one.split(":") for one in given["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(","))
        assert {one.partition(":")[0] for one in given["KAFKA_LISTENERS"].split(",")} == protocols.keys()
        assert set(protocols.values()) == {read(things, managers(things), Path(__file__)).kafka_security_protocol}
        assert set(protocols.values()) <= {"SASL_PLAINTEXT", "SASL_SSL"}
    else:
        (spec,) = (spec for name, spec in pods(things) if name == "manager")
        names = [one["name"] for one in spec["initContainers"]]
        assert names == ["cassandra-user", "migrate"], "topics and tables wait for the user"


@pytest.mark.parametrize("listed", [("analysis", "tls", "cert-manager"), ("split", "tls")])
def test_with_tls_every_server_shows_a_certificate_of_its_name_and_nobody_goes_without(
    tmp_path: Path, listed: tuple[str, ...]
) -> None:
    things = built("production", tmp_path, *listed)
    (signing,) = re.findall(r"subjectAltName=(\S+)\)", TABLE.read_text())
    names = {name.removeprefix("DNS:") for name in signing.split(",")}
    certificates = {one["metadata"]["name"]: one["spec"] for one in things if one["kind"] == "Certificate"}
    if certificates:
        assert set(certificates["servers"]["dnsNames"]) == names
        assert certificates["servers"]["secretName"] == "servers-tls"
        (api,) = (one for one in things if one["kind"] == "APIService")
        asked = api["spec"]["service"]
        assert certificates["manager"]["dnsNames"] == [f"{asked['name']}.{asked['namespace']}.svc"]
        assert "insecureSkipTLSVerify" not in api["spec"]
        assert api["metadata"]["annotations"] == {"cert-manager.io/inject-ca-from": "starling/manager"}
    (kafka,) = (spec["containers"][0] for name, spec in pods(things) if name == "kafka")
    voters = environment(things, kafka)["KAFKA_CONTROLLER_QUORUM_VOTERS"]
    assert {voter.partition("@")[2].partition(":")[0] for voter in voters.split(",")} < names
    for name, spec in pods(things):
        secrets = {one["name"]: one["secret"] for one in spec["volumes"] if "secret" in one}
        if name in ("kafka", "cassandra"):
            assert secrets["servers"]["secretName"] == "servers-tls"
        elif name != "spark-master":
            assert [one["key"] for one in secrets["authority"]["items"]] == ["ca.crt"], "the key is the servers' alone"
        for container in [*spec.get("initContainers", ()), *spec["containers"]]:
            if "envFrom" in container:
                settings = read(things, container, Path(__file__))
                assert settings.cassandra_ca_file is not None
                assert settings.cassandra_tls_name in names
                assert {place.rpartition(":")[0] for place in settings.kafka.split(",")} < names
            if container["name"] == "jupyter":
                store = str(settings.spark_trust_store)
    if "analysis" in listed:
        for spec in (spec for name, spec in pods(things) if name in ("jupyter", "spark-worker")):
            (maker,) = (one for one in spec["initContainers"] if one["name"] == "trust-store")
            assert maker["command"][-1] == store
            mounts = [mount["mountPath"] for mount in spec["containers"][0]["volumeMounts"]]
            assert {str(Path(store).parent), "/etc/starling/trust"} < set(mounts), "its own, or others'"


def test_an_overlay_of_ones_own_says_what_is_the_clusters(tmp_path: Path) -> None:
    (snippet,) = re.findall(r"```yaml\n(apiVersion: kustomize.*?)```", TABLE.read_text(), re.DOTALL)
    asked = {name: value for name, value in yaml.safe_load(snippet).items() if name not in ("resources", "components")}
    things = built("production", tmp_path, "monitoring", **asked)
    claims = [claim["spec"]["storageClassName"] for one in things if _is_set(one) for claim in _claims(one)]
    assert claims == ["fast"] * 3, "of the manager, Kafka and Cassandra"
    images = {container["image"].rpartition("/")[0] for _, spec in pods(things) for container in spec["containers"]}
    assert images == {"registry.example", "apache"}
    (entrance,) = (one["spec"] for one in things if one["kind"] == "Ingress")
    assert entrance["ingressClassName"] == "nginx"
    hosts = {entrance["rules"][0]["host"], *entrance["tls"][0]["hosts"]}
    assert {f"https://{host}" for host in hosts} == {read(things, managers(things), Path(__file__)).web_url}


def test_one_machine_does_not_take_all_of_a_role_with_it(things: list[dict[str, Any]]) -> None:
    found = labelled(things)
    for name, spec in pods(things):
        if name in ("jupyter", "spark-master"):
            continue  # one of each
        labels, apart = found[name][0], spec.get("affinity", {}).get("podAntiAffinity", {})
        terms = [
            *spec.get("topologySpreadConstraints", ()),
            *apart.get("requiredDuringSchedulingIgnoredDuringExecution", ()),
            *(one["podAffinityTerm"] for one in apart.get("preferredDuringSchedulingIgnoredDuringExecution", ())),
        ]
        (term,) = terms
        assert term["topologyKey"] == "kubernetes.io/hostname", name
        own = {key: labels[key] for key in term.get("matchLabelKeys", ())} | term["labelSelector"]["matchLabels"]
        assert own.items() <= labels.items(), name
        assert [other for other, (its, _) in found.items() if own.items() <= its.items()] == [name]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everybody_may_come_in_while_one_copy_of_the_users_is_away(tmp_path: Path, overlay: str) -> None:
    (servers,) = (one for one in built(overlay, tmp_path) if one["metadata"]["name"] == "cassandra" and _is_set(one))
    (container,) = servers["spec"]["template"]["spec"]["containers"]
    (options,) = (one["value"] for one in container["env"] if one["name"] == "JVM_EXTRA_OPTS")
    assert options == f"-Dcassandra.system_auth.default_rf={servers['spec']['replicas']}"


def _claims(thing: dict[str, Any]) -> list[dict[str, Any]]:
    return list(thing["spec"].get("volumeClaimTemplates", ()))


def _is_set(thing: dict[str, Any]) -> bool:
    return bool(thing["kind"] == "StatefulSet")


def test_operators_give_as_much_as_the_servers_that_they_take_the_place_of(tmp_path: Path) -> None:
    plain = {one["metadata"]["name"]: one["spec"] for one in built("production", tmp_path) if _is_set(one)}
    things = built("production", tmp_path, "strimzi", "k8ssandra")
    gone = {"kafka", "kafka-brokers", "cassandra", "cassandra-nodes"}
    assert not [one for one in things if one["metadata"]["name"] in gone]
    made = {
        kind: next(one for one in things if one["kind"] == kind)
        for kind in ("Kafka", "KafkaNodePool", "KafkaUser", "K8ssandraCluster")
    }

    pool, broker = made["KafkaNodePool"]["spec"], plain["kafka"]["template"]["spec"]["containers"][0]
    given = {one["name"]: one.get("value") for one in broker["env"]}
    (room,), (claim,) = pool["storage"]["volumes"], plain["kafka"]["volumeClaimTemplates"]
    assert room["size"] == claim["spec"]["resources"]["requests"]["storage"]
    assert (pool["replicas"], pool["resources"]) == (plain["kafka"]["replicas"], broker["resources"])
    assert given["KAFKA_HEAP_OPTS"] == " ".join(f"{flag}{size}" for flag, size in pool["jvmOptions"].items())
    for name, value in made["Kafka"]["spec"]["kafka"]["config"].items():
        assert given[f"KAFKA_{name.upper().replace('.', '_')}"] == str(value).replace("False", "false"), name

    cluster, node = made["K8ssandraCluster"]["spec"], plain["cassandra"]["template"]["spec"]["containers"][0]
    given = {one["name"]: one.get("value") for one in node["env"]}
    (center,), (claim,) = cluster["cassandra"]["datacenters"], plain["cassandra"]["volumeClaimTemplates"]
    asked = cluster["cassandra"]["storageConfig"]["cassandraDataVolumeClaimSpec"]
    assert asked["resources"] == claim["spec"]["resources"]
    assert (center["size"], cluster["cassandra"]["resources"]) == (plain["cassandra"]["replicas"], node["resources"])
    assert given["MAX_HEAP_SIZE"] == cluster["cassandra"]["config"]["jvmOptions"]["heap_max_size"]
    assert node["image"].endswith(f":{cluster['cassandra']['serverVersion']}")

    settings = read(things, managers(things), Path(__file__))
    assert settings.cassandra_datacenter == center["metadata"]["name"]
    assert settings.cassandra == f"starling-{center['metadata']['name']}-service:9042"
    (listener,) = made["Kafka"]["spec"]["kafka"]["listeners"]
    assert settings.kafka == f"starling-kafka-bootstrap:{listener['port']}"
    assert (settings.kafka_security_protocol, listener["tls"]) == ("SASL_SSL", True)
    assert settings.kafka_sasl_mechanism.lower() == listener["authentication"]["type"]
    assert settings.kafka_username == made["KafkaUser"]["metadata"]["name"]


@pytest.mark.parametrize("more", [(), ("split",), ("analysis",)])
def test_operators_servers_let_in_every_role_and_trust_is_where_it_is_looked_for(
    tmp_path: Path, more: tuple[str, ...]
) -> None:
    things = built("production", tmp_path, *more, "strimzi", "k8ssandra")
    (listener,) = next(one for one in things if one["kind"] == "Kafka")["spec"]["kafka"]["listeners"]
    for peer, *_ in (listener["networkPolicyPeers"], policy(things, "k8ssandra")["ingress"][0]["from"]):
        roles = labelled(things)
        assert "manager" in roles
        assert [name for name, (labels, _) in roles.items() if not chosen(peer["podSelector"], labels)] == []
    for name, spec in pods(things):
        for container in [*spec.get("initContainers", ()), *spec["containers"]]:
            if "envFrom" in container:
                assert read(things, container, Path(__file__)).kafka_ca_file is not None, name
        if not name.startswith("spark-"):
            (trust,) = (one["secret"] for one in spec["volumes"] if one["name"] == "trust")
            assert trust == {"secretName": "starling-cluster-ca-cert", "optional": False}, name


def test_every_template_runs_its_role_by_the_settings_that_stand_beside_it(things: list[dict[str, Any]]) -> None:
    config = settings_of(things)["metadata"]["name"]
    roles = []
    for template in templates(things):
        role = Role(template["metadata"]["labels"]["starling/role"])
        (container,) = template["template"]["spec"]["containers"]
        assert container["args"] == ["worker", "--role", role]
        assert container["envFrom"][0] == {"configMapRef": {"name": config}}
        roles.append(role)
    assert not any(rival in roles for role in roles for rival in role.rivals), "one would do the other's work"
    assert any(role.classifies for role in roles)
    assert any(role.normalizes for role in roles)


@pytest.fixture(scope="module")
def different(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Every object of all overlays and components, and what the manager makes of the templates, each once."""
    scaling, busy = scaling_of(Settings()), Wanted(running=True, replicas=1, least=1, most=4, why="")
    found = {}
    for overlay, more in COMBINED:
        things = built(overlay, tmp_path_factory.mktemp("built"), *more)
        made = [{**one, "metadata": one["metadata"] | {"uid": "1"}} for one in templates(things)]
        own = [thing for one in made for thing in (deployment(one), autoscaler(one, busy, scaling))]
        known = [thing for thing in things if not thing["apiVersion"].startswith("cert-manager.io/")]
        found |= {json.dumps(thing, sort_keys=True): thing for thing in [*known, *own]}
    return list(found.values())


@pytest.mark.parametrize("release", ["1.30", "1.31", "1.32", "1.33", "1.34", "1.35"])
def test_every_release_of_kubernetes_knows_every_field(different: list[dict[str, Any]], release: str) -> None:
    for thing in different:
        kubernetes_validate.validate(thing, release, strict=True)


def test_no_pod_has_rights_that_it_needs_not(things: list[dict[str, Any]]) -> None:
    for name, spec in pods(things):
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec.get("automountServiceAccountToken", True) is (name == "manager"), name
        for container in [*spec.get("initContainers", ()), *spec["containers"]]:
            allowed = container["securityContext"]
            assert allowed["readOnlyRootFilesystem"] is True
            assert allowed["allowPrivilegeEscalation"] is False
            assert allowed["capabilities"] == {"drop": ["ALL"]}
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("server", ["kafka", "cassandra"])
def test_the_servers_let_in_every_role(things: list[dict[str, Any]], server: str) -> None:
    first = policy(things, server)["ingress"][0]["from"]
    roles = {name: labels for name, (labels, _) in labelled(things).items() if name not in ("kafka", "cassandra")}
    assert "manager" in roles
    assert [name for name, labels in roles.items() if not chosen(first[0]["podSelector"], labels)] == []


@pytest.mark.parametrize("more", [(), ("split", "analysis")])
def test_every_role_is_scraped_and_nothing_else(tmp_path: Path, more: tuple[str, ...]) -> None:
    things = built("local", tmp_path, "monitoring", *more)
    roles = {"manager"} | {one["metadata"]["name"] for one in templates(things)}
    (monitor,) = (thing["spec"] for thing in things if thing["kind"] == "PodMonitor")
    (endpoint,) = monitor["podMetricsEndpoints"]
    let_in = policy(things, "metrics")
    scraped = {
        name
        for name, (labels, ports) in labelled(things).items()
        if chosen(monitor["selector"], labels) and endpoint["port"] in ports
    }
    assert scraped == roles
    assert scraped == {name for name, (labels, _) in labelled(things).items() if chosen(let_in["podSelector"], labels)}
    assert [port["port"] for port in let_in["ingress"][0]["ports"]] == [6066]


def test_an_overlay_names_its_prometheus_as_the_guide_says(tmp_path: Path) -> None:
    (snippet,) = re.findall(
        r"```yaml\n(components: \[\.\./\.\./components/monitoring\].*?)```", TABLE.read_text(), re.DOTALL
    )
    things = built("production", tmp_path, "monitoring", patches=yaml.safe_load(snippet)["patches"])
    (source,) = policy(things, "metrics")["ingress"][0]["from"]
    assert source["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "observability"}
    kinds = [one["kind"] for one in things if one["metadata"].get("labels", {}).get("release") == "prometheus"]
    assert sorted(kinds) == ["PodMonitor", "PrometheusRule"]


@pytest.mark.parametrize("overlay", OVERLAYS)
@pytest.mark.parametrize("components", [("keda",), ("split", "keda-split")])
def test_keda_scales_what_the_manager_would_by_the_same_figures_and_never_beside_it(
    tmp_path: Path, overlay: str, components: tuple[str, ...]
) -> None:
    things = built(overlay, tmp_path, *components)
    settings = read(things, managers(things), Path(__file__))
    assert scaling_of(settings).by == "others"
    assert not [one for one in things if one["kind"] == "APIService"], "a cluster has one server of external metrics"
    busy = Wanted(running=True, replicas=1, least=1, most=4, why="")
    scaled = {thing["metadata"]["name"]: thing["spec"] for thing in things if thing["kind"] == "ScaledObject"}
    made = [{**one, "metadata": one["metadata"] | {"uid": "1"}} for one in templates(things)]
    assert scaled.keys() == {one["metadata"]["name"] for one in made} - {TRACKER}
    for template in made:
        wanted = steps(template, {}, busy, scaling_of(settings))
        assert not [step for step in wanted if isinstance(step, Apply)], "the manager makes a Deployment alone"
    for name, spec in scaled.items():
        (template,) = (one for one in made if one["metadata"]["name"] == name)
        ours = autoscaler(template, busy, scaling_of(settings))["spec"]
        assert spec["scaleTargetRef"] == {"name": name}
        assert spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"] == ours["behavior"]
        assert spec["minReplicaCount"] == 0, "else it would start what the manager ends"
        assert spec["maxReplicaCount"] == Settings().workers_most <= settings.partitions
        least, lag, cpu = spec["triggers"]
        assert least["metadata"]["query"] == f'max(starling_replicas_least{{namespace="starling", role="{name}"}})'
        assert lag["metadata"]["query"] == f'max(starling_lag_seconds{{namespace="starling", role="{name}"}})'
        assert lag["metadata"]["threshold"] == str(settings.worker_lag_seconds)
        assert cpu["metadata"]["value"] == str(settings.worker_cpu_percent)


def test_grafana_finds_the_dashboard_by_its_label(tmp_path: Path) -> None:
    things = built("local", tmp_path, "monitoring")
    (found,) = (thing for thing in things if thing["metadata"].get("labels", {}).get("grafana_dashboard") == "1")
    assert found["metadata"]["namespace"] == "starling"
    assert json.loads(found["data"]["starling.json"])["title"] == "Starling"


def test_no_secret_is_written_down(things: list[dict[str, Any]]) -> None:
    assert not [thing for thing in things if thing["kind"] == "Secret"]
    secret = re.compile(r"PASSWORD|SECRET|TOKEN")
    for _, spec in pods(things):
        for container in spec["containers"]:
            assert not [one for one in container.get("env", ()) if secret.search(one["name"]) and "value" in one]


def test_the_base_names_no_cloud_and_no_storage_class() -> None:
    text = "\n".join(path.read_text() for path in (DEPLOY / "base").glob("*.yaml"))
    assert not re.search(r"storageClassName|ingressClassName|amazonaws|azure|gke|eks\.", text)


def test_the_figures_are_those_of_the_guide(tmp_path: Path) -> None:
    rows = {
        cells[0].strip("` "): [cell.strip() for cell in cells[1:4]]
        for line in TABLE.read_text().splitlines()
        if line.startswith("| `") and len(cells := line.strip("| ").split("|")) >= 4
    }
    for name, spec in pods(built("production", tmp_path, "split")) + pods(built("production", tmp_path, "analysis")):
        resources = spec["containers"][0]["resources"]
        wanted = [resources["requests"]["cpu"], resources["requests"]["memory"], resources["limits"]["memory"]]
        assert rows[name] == wanted, name


def heap(container: dict[str, Any]) -> float:
    """Cassandra's, in MiB."""
    (given,) = (one["value"] for one in container["env"] if one["name"] == "MAX_HEAP_SIZE")
    return float(given.removesuffix("M"))


@pytest.mark.parametrize("more", [(), ("split",)])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_nothing_asks_for_less_than_was_measured_at_the_load_that_it_is_for(
    tmp_path: Path, overlay: str, more: tuple[str, ...]
) -> None:
    things, measured = built(overlay, tmp_path, *more), sizing.shares(sizing.FOR[overlay])
    for name, spec in pods(things):
        (container,) = spec["containers"]
        asked, share = sizing.of_container(container), measured[name]
        less = sizing.HEAP - heap(container) if name == "cassandra" else 0
        assert asked.cpu >= share.each, name
        assert asked.memory >= share.rss - less, name
        assert asked.most >= 1.25 * (share.rss_most - less), name


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_there_are_workers_partitions_and_room_on_disk_for_the_load(tmp_path: Path, overlay: str) -> None:
    things, load = built(overlay, tmp_path), sizing.FOR[overlay]
    settings = read(things, managers(things), Path(__file__))
    assert settings.partitions >= sizing.partitions(load)
    assert settings.workers_most >= sizing.shares(load)["worker"].replicas
    assert settings.raw_retention_hours == 24 * sizing.RAW_DAYS
    assert CLASSIFIED.retention_hours == 24 * sizing.CLASSIFIED_DAYS
    (broker,) = (one for one in things if one["kind"] == "StatefulSet" and one["metadata"]["name"] == "kafka")
    (volume,) = broker["spec"]["volumeClaimTemplates"]
    assert float(volume["spec"]["resources"]["requests"]["storage"].removesuffix("Gi")) >= sizing.disk(load)


def test_pods_are_packed_where_they_fit() -> None:
    assert sizing.packed([(0.5, 100)] * 3) == 3
    assert sizing.packed([(0.47, 100)] * 4) == 2
    assert sizing.packed([(0.1, 2000), (0.1, 2000), (0.1, 1500), (0.1, 1500)]) == 2
    with pytest.raises(ValueError, match="more than a node has"):
        sizing.packed([(1.0, 100)])
