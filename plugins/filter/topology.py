# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory as the roles need it. Each filter is documented in the YAML file of its name."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any, Mapping, Sequence

from ansible_collections.airflowops.cluster.plugins.module_utils.host.checksums import path_digest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.addresses import host_addresses, ip_address
from ansible_collections.airflowops.cluster.plugins.plugin_utils.dag_bundles import (
    bundle_config,
    bundle_files,
    bundle_secrets,
    bundle_servers,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.object_store import (
    remote_log_options,
    remote_log_secrets,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.quoting import (
    environment_file,
    python_settings,
    redis_command,
    redis_quote,
    systemd_quote,
    url_quote,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.runtime_package import runtime_files
from ansible_collections.airflowops.cluster.plugins.plugin_utils.secrets_backends import backend_secrets
from ansible_collections.airflowops.cluster.plugins.plugin_utils.shared_inputs import values_of_others
from ansible_collections.airflowops.cluster.plugins.plugin_utils.unit_environment import (
    early_environment,
    late_environment,
    unit_environment,
)


def redis_nodes(
    hosts: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]], default_ports: Sequence[int]
) -> list[dict[str, Any]]:
    """[{host, port}] of every Redis instance, in the order of hosts and ports. With `address` where the
    host is a name.
    """
    nodes = []
    for host, name in host_addresses(hosts, hostvars).items():
        address = ip_address(name)
        # The host that forms the cluster may resolve its own name to loopback: it is given the address.
        more = {} if address == name else {"address": address}
        for port in hostvars[host].get("redis_cluster_ports", default_ports):
            nodes.append({"host": name, "port": int(port), **more})
    return nodes


def redis_endpoint(member: Mapping[str, Any]) -> dict[str, Any]:
    """{host, port} of a member of the cluster, as `redis_cluster_info` or `redis_nodes` describes it."""
    return {"host": str(member["host"]), "port": int(member["port"])}


def redis_masters_alone(info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """[{host, port}] of the masters that answer and of which no replica does, by `redis_cluster_info`."""
    silent = [redis_endpoint(node) for node in info.get("unreachable_nodes", [])]
    members = [member for member in info.get("topology", []) if redis_endpoint(member) not in silent]
    followed = {member["master_id"] for member in members if member["role"] == "replica"}
    return [
        redis_endpoint(member)
        for member in members
        if member["role"] == "master" and member["slots"] and member["id"] not in followed
    ]


def queue_hosts(
    hosts: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]], default_workers: Sequence[dict]
) -> dict[str, list[str]]:
    """{queue: hosts}, a host once for each of its workers that serves the queue."""
    queues: dict[str, list[str]] = {}
    for host in hosts:
        for worker in hostvars[host].get("airflow_workers", default_workers):
            for queue in worker["queues"]:
                queues.setdefault(queue, []).append(host)
    return queues


def redis_monitor_password(password: str) -> str:
    """What the user logs in with who reads the metrics of Redis. The administrator's does not show in it."""
    return hmac.new(password.encode(), b"airflowops.cluster monitor", hashlib.sha256).hexdigest()


def unit_list(
    names: Sequence[str],
    files: Sequence[str] = (),
    restart_files: Sequence[str] = (),
    reload_files: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """[{name, files, ...}] as the module `systemd_units` takes it, each unit with the same lists of files."""
    lists = {"files": files, "restart_files": restart_files, "reload_files": reload_files}
    return [{"name": name, **{key: list(value) for key, value in lists.items()}} for name in names]


def jwks(keys: Mapping[str, str]) -> str:
    """A JSON Web Key Set (RFC 7517) of symmetric keys for HS512, which Airflow signs its tokens with."""
    return json.dumps(
        {
            "keys": [
                {
                    "kty": "oct",
                    "use": "sig",
                    "alg": "HS512",
                    "kid": name,
                    "k": base64.urlsafe_b64encode(secret.encode()).decode().rstrip("="),
                }
                for name, secret in keys.items()
            ]
        }
    )


class FilterModule:
    def filters(self) -> dict[str, Any]:
        return {
            function.__name__: function
            for function in (
                host_addresses,
                redis_nodes,
                redis_endpoint,
                redis_masters_alone,
                queue_hosts,
                ip_address,
                path_digest,
                redis_quote,
                redis_command,
                redis_monitor_password,
                systemd_quote,
                unit_list,
                values_of_others,
                environment_file,
                url_quote,
                jwks,
                python_settings,
                bundle_config,
                bundle_files,
                bundle_secrets,
                bundle_servers,
                remote_log_options,
                remote_log_secrets,
                backend_secrets,
                runtime_files,
                early_environment,
                late_environment,
                unit_environment,
            )
        }
