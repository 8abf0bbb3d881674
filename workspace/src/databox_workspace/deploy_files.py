"""The files of a deployment that name every location: made from the one list, never kept by hand.

In a file with other words, what is made lies between two marks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

_MARKED = re.compile(
    r"(?P<begin>^ *# <locations>[^\n]*\n)(?P<made>.*?)(?P<end>^ *# </locations>$)",
    re.MULTILINE | re.DOTALL,
)

_WORKSPACE = """\
  - grpc_server:
      location_name: {name}
      socket: {{env: {NAME}_SOCKET}}
"""
_COMPOSE_SOCKETS = """\
    {NAME}_SOCKET: /run/databox/{name}.sock
"""
_COMPOSE_SERVICES = """\
  {name}:
    <<: *code
    image: databox/{name}:${{{NAME}_TAG:-latest}}
    build: {{context: .., dockerfile: deploy/Dockerfile, args: {{LOCATION: {name}}}}}
"""
_COMPOSE_POOLS = """\
        dagster instance concurrency set {name}_duckdb 1
"""
_HELM_POOLS = """\
          dagster instance concurrency set {name}_duckdb 1
"""
_HELM_SERVERS = """\
      - {{host: {host}, port: 3030, name: {name}}}
"""
_CLOUD = """\
  - location_name: {name}
    code_source: {{module_name: {name}_location.definitions}}
    # the tag is given at each deploy: dagster-cloud workspace update, or CI
    image: databox/{name}
"""
_HELM_CODE = """\
# The release of one location's code, in the official chart of user code:
#   helm upgrade --install {host} dagster/dagster-user-deployments --version VERSION \\
#     -f deploy/helm/{name}.yaml --set-string 'deployments[0].image.tag=1f0c2a7'
# A new tag is a new deploy; an unchanged one is not noticed. VERSION is the host's.
# The host's secret: this chart knows none of that release's values.
postgresqlSecretName: databox-postgresql
deployments:
  # the service is called so too, whatever the release is called
  - name: {host}
    image: {{repository: databox/{name}, tag: "", pullPolicy: IfNotPresent}}
    dagsterApiGrpcArgs:
      - --module-name={name}_location.definitions
      - --location-name={name}
      - --empty-working-directory
    port: 3030
    # the new server answers before the old one goes
    deploymentStrategy:
      type: RollingUpdate
      rollingUpdate: {{maxSurge: 1, maxUnavailable: 0}}
    # runs are pods of their own, and get the same secrets and volumes
    includeConfigInLaunchedRuns: {{enabled: true}}
    envSecrets: [{{name: databox}}]
    env:
      - {{name: DATABASE_URL, value: "duckdb:////data/databox.duckdb"}}
      - {{name: DLT_DATA_DIR, value: /data/.databox/dlt}}
    # the claim is mounted by the server and by every run, on whichever nodes they are
    volumes:
      - {{name: data, persistentVolumeClaim: {{claimName: databox-data}}}}
      - {{name: tmp, emptyDir: {{}}}}
    volumeMounts:
      - {{name: data, mountPath: /data}}
      - {{name: tmp, mountPath: /tmp}}
    podSecurityContext: {{runAsNonRoot: true, runAsUser: 10001, runAsGroup: 10001, fsGroup: 10001}}
    securityContext:
      readOnlyRootFilesystem: true
      allowPrivilegeEscalation: false
      capabilities: {{drop: [ALL]}}
    resources:
      requests: {{cpu: 250m, memory: 512Mi}}
      limits: {{cpu: "2", memory: 4Gi}}
    readinessProbe:
      enabled: true
      periodSeconds: 10
      timeoutSeconds: 20
      failureThreshold: 6
    livenessProbe: {{}}
"""
_BLOCKS: Mapping[str, Sequence[str]] = {
    "workspace.prod.yaml": [_WORKSPACE],
    "deploy/compose.yaml": [_COMPOSE_SOCKETS, _COMPOSE_SERVICES, _COMPOSE_POOLS],
    "deploy/helm/dagster.yaml": [_HELM_SERVERS, _HELM_POOLS],
    "deploy/dagster_cloud.yaml": [_CLOUD],
}


class DeployFilesError(Exception):
    """A file of the deployment has lost the marks between which its locations are."""


def deploy_files(root: Path, names: Sequence[str]) -> dict[str, str]:
    """Each file that names the locations, relative to the root → its text for these `names`.

    Raises `DeployFilesError` if a file has lost its marks.
    """
    files = {
        path: _filled((root / path).read_text(encoding="utf-8"), path, blocks, names)
        for path, blocks in _BLOCKS.items()
    }
    return files | {f"deploy/helm/{name}.yaml": _of(_HELM_CODE, name) for name in names}


def _filled(text: str, path: str, blocks: Sequence[str], names: Sequence[str]) -> str:
    found = list(_MARKED.finditer(text))
    if len(found) != len(blocks):
        msg = f"{path} needs {len(blocks)} places marked with # <locations> and # </locations>"
        raise DeployFilesError(msg)
    for place, block in reversed(list(zip(found, blocks, strict=True))):
        made = "".join(_of(block, name) for name in names)
        text = text[: place.start("made")] + made + text[place.end("made") :]
    return text


def _of(block: str, name: str) -> str:
    return block.format(name=name, NAME=name.upper(), host=name.replace("_", "-"))
