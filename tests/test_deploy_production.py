"""The files of a deployment in production: what they promise.

Containers and a cluster are not run here: compose and values are held against schema and promises.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from typing import Any

import pytest
import yaml

from databox_shared.settings import project_root
from databox_workspace.deploy_files import deploy_files
from databox_workspace.locations import locations

ROOT = project_root()
NAMES = [location.name for location in locations()]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
HOST: dict[str, Any] = yaml.safe_load((ROOT / "deploy/helm/dagster.yaml").read_text())


def test_every_file_that_names_the_locations_is_made_from_the_one_list() -> None:
    for path, text in deploy_files(ROOT, NAMES).items():
        assert (ROOT / path).read_text() == text, f"{path} is not current: task deploy:files"


def test_a_run_is_queued_on_a_machine_as_in_production() -> None:
    here, deployed = (
        yaml.safe_load((ROOT / file).read_text())["run_coordinator"]
        for file in ("dagster.yaml", "deploy/dagster.yaml")
    )
    assert here == deployed


def test_compose_is_valid_by_the_schema_of_the_compose_specification() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run(
        [*check, str(ROOT / "deploy/compose.yaml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_has_no_rights_no_writable_root_and_limits(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service["user"].startswith("0")
    assert service["deploy"]["resources"]["limits"].keys() >= {"cpus", "memory", "pids"}
    assert "healthcheck" in service or name == "migrate"


def test_only_the_login_can_be_reached_and_only_from_the_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"proxy": ["127.0.0.1:${DATABOX_PORT:-8080}:8080"]}
    login = (ROOT / "deploy/nginx.conf").read_text()
    assert login.index("auth_basic_user_file") < login.index("location /")
    assert "auth_basic off" not in login


def test_every_secret_comes_from_the_environment_or_a_file() -> None:
    secret = re.compile(r"^\s*\w*(?:password|token)\w*: *(.*)$", re.IGNORECASE | re.MULTILINE)
    values = [
        value
        for file in ("compose.yaml", "dagster.yaml", "helm/dagster.yaml")
        for value in secret.findall((ROOT / "deploy" / file).read_text())
    ]
    assert len(values) > 3
    for value in values:
        assert value.startswith(("${", "{env: ")) or value == "false", value


@pytest.mark.parametrize("name", NAMES)
def test_a_location_is_a_release_of_its_own_with_a_tag_of_its_own(name: str) -> None:
    assert SERVICES[name]["image"] == f"databox/{name}:${{{name.upper()}_TAG:-latest}}"
    values = yaml.safe_load((ROOT / f"deploy/helm/{name}.yaml").read_text())
    (deployment,) = values["deployments"]
    assert deployment["image"]["repository"] == f"databox/{name}"
    assert deployment["podSecurityContext"]["runAsNonRoot"]
    assert deployment["securityContext"]["readOnlyRootFilesystem"]
    assert "deploymentStrategy" in deployment
    assert deployment["resources"]["limits"].keys() == {"cpu", "memory"}
    # the chart of the locations has a secret of its own name, which nobody makes
    assert values["postgresqlSecretName"] == HOST["global"]["postgresqlSecretName"]
    assert not HOST["dagster-user-deployments"]["enableSubchart"]
    servers = HOST["dagsterWebserver"]["workspace"]["servers"]
    assert {"host": deployment["name"], "port": deployment["port"], "name": name} in servers
    cloud = yaml.safe_load((ROOT / "deploy/dagster_cloud.yaml").read_text())
    modules = {entry["location_name"]: entry["code_source"] for entry in cloud["locations"]}
    assert modules[name] == {"module_name": f"{name}_location.definitions"}


def test_every_pool_has_its_limit_before_anything_runs_in_containers() -> None:
    # a mere default limit lets the first runs on a fresh storage overlap
    (pools,) = HOST["dagsterDaemon"]["extraPrependedInitContainers"]
    for *shell, script in (SERVICES["migrate"]["command"], [*pools["command"], *pools["args"]]):
        assert shell == ["sh", "-euc"]
        lines = [line for line in script.splitlines() if not line.startswith("#")]
        assert lines == [
            "dagster instance migrate",
            *(f"dagster instance concurrency set {name}_duckdb 1" for name in NAMES),
        ]
    # the chart's job: it would run beside the daemon, and its image could not be changed
    assert "migrate" not in HOST


def test_a_cluster_has_the_settings_of_every_other_instance() -> None:
    instance = yaml.safe_load((ROOT / "deploy/dagster.yaml").read_text())
    daemon = HOST["dagsterDaemon"]
    assert daemon["runCoordinator"]["config"]["customRunCoordinator"] == instance["run_coordinator"]
    assert snake_case(daemon["runMonitoring"]) == instance["run_monitoring"]
    assert snake_case(daemon["runRetries"]) == instance["run_retries"]
    for part in ("concurrency", "retention"):
        assert snake_case(HOST[part]) == {"enabled": True, **instance[part]}
    assert HOST["telemetry"] == instance["telemetry"]
    assert HOST["additionalInstanceConfig"] == {"nux": instance["nux"]}
    scheme = instance["storage"]["postgres"]["postgres_db"]["scheme"]
    assert HOST["postgresql"]["postgresqlScheme"] == scheme


def snake_case(values: object) -> object:
    if not isinstance(values, dict):
        return values
    return {re.sub("(?=[A-Z])", "_", k).lower(): snake_case(v) for k, v in values.items()}


def test_a_pod_of_the_host_or_of_a_run_has_no_rights_and_no_writable_root() -> None:
    run = HOST["runLauncher"]["config"]["k8sRunLauncher"]
    (pools,) = HOST["dagsterDaemon"]["extraPrependedInitContainers"]
    web, daemon = HOST["dagsterWebserver"], HOST["dagsterDaemon"]
    for container in (web, daemon, pools, run):
        rights = container["securityContext"]
        assert rights["readOnlyRootFilesystem"]
        assert not rights["allowPrivilegeEscalation"]
        assert rights["capabilities"] == {"drop": ["ALL"]}
    of_runs = run["runK8sConfig"]["podSpecConfig"]["securityContext"]
    for pod in (web["podSecurityContext"], daemon["podSecurityContext"], of_runs):
        assert pod["runAsNonRoot"]
    # such a user may not bind the chart's own port in every cluster
    assert web["service"]["port"] == web["readinessProbe"]["httpGet"]["port"] > 1023


def test_the_ingress_is_of_the_controller_that_knows_its_login() -> None:
    ingress = HOST["ingress"]
    assert ingress["ingressClassName"] == "nginx"
    assert "nginx.ingress.kubernetes.io/auth-secret" in ingress["annotations"]
    assert ingress["dagsterWebserver"]["pathType"] == "Prefix"


def test_the_image_of_the_host_can_start_a_run_as_a_pod() -> None:
    assert HOST["runLauncher"]["type"] == "K8sRunLauncher"
    project = tomllib.loads((ROOT / "workspace/pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    assert any(need.startswith("dagster-k8s") for extra in extras for need in extra)
    assert "--all-extras" in (ROOT / "deploy/environment.sh").read_text()
