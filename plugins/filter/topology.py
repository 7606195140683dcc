# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory as the roles need it. Each filter is documented in the YAML file of its name."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import socket
from typing import Any, Mapping, Sequence
from urllib.parse import quote

from ansible.errors import AnsibleFilterError
from ansible_collections.airflowops.cluster.plugins.module_utils.host.checksums import path_digest
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
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.auth import AUTH_TYPES
from ansible_collections.airflowops.cluster.plugins.plugin_utils.runtime_package import runtime_files
from ansible_collections.airflowops.cluster.plugins.plugin_utils.secrets_backends import backend_secrets
from ansible_collections.airflowops.cluster.plugins.plugin_utils.shared_inputs import value_of_others
from ansible_collections.airflowops.cluster.plugins.plugin_utils.unit_environment import (
    early_environment,
    late_environment,
    unit_environment,
)


def host_addresses(hosts: Sequence[str], hostvars: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """{host: the address at which the other hosts reach it}"""
    addresses = {}
    for host in hosts:
        variables = hostvars[host]
        addresses[host] = variables.get("cluster_address") or variables.get("ansible_host") or host
    return addresses


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


def loopback(address: Any) -> bool:
    return ipaddress.ip_address(str(address).partition("%")[0]).is_loopback


def ip_address(name: str) -> str:
    """The address itself, or the first that its name resolves to on the controller.

    An IPv4 address before others, as the services listen on IPv4. Loopback, which /etc/hosts may have for the
    controller's own name, after others.
    """
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        return str(min(found, key=lambda entry: (entry[0] != socket.AF_INET, loopback(entry[4][0])))[4][0])
    except (OSError, UnicodeError) as error:
        raise AnsibleFilterError(
            f"{name} does not resolve on the controller ({error}): "
            "set cluster_address of that host to its IP address"
        ) from error


def redis_quote(value: str) -> str:
    """A string as redis.conf wants it: in double quotes, with what they need escaped."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def redis_command(arguments: Sequence[str]) -> str:
    """A Redis command on the wire (RESP), in hexadecimal, as HAProxy's send-binary takes it."""
    encoded = [argument.encode() for argument in arguments]
    wire = b"*%d\r\n" % len(encoded)
    for argument in encoded:
        wire += b"$%d\r\n%s\r\n" % (len(argument), argument)
    return wire.hex()


def redis_monitor_password(password: str) -> str:
    """What the user logs in with who reads the figures of Redis. The administrator's does not show in it."""
    return hmac.new(password.encode(), b"airflowops.cluster monitor", hashlib.sha256).hexdigest()


def systemd_quote(value: Any, unit: bool = False, command: bool = False) -> str:
    """A value as systemd's EnvironmentFile= wants it: in double quotes, with what they need escaped.

    unit: as Environment= in a unit wants it instead, where $ is but itself, % begins a specifier, and a line
    break would end the line. command: as ExecStart= wants it, where $ begins a variable as well.
    """
    text = str(value)
    for character in ("\\", '"') if unit or command else ("\\", '"', "`", "$"):
        text = text.replace(character, "\\" + character)
    if unit or command:
        text = text.replace("%", "%%").replace("\n", "\\n").replace("\r", "\\r")
    if command:
        text = text.replace("$", "$$")
    return f'"{text}"'


def unit_list(
    names: Sequence[str],
    files: Sequence[str] = (),
    restart_files: Sequence[str] = (),
    reload_files: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """[{name, files, ...}] as the module `systemd_units` takes it, each unit with the same lists of files."""
    lists = {"files": files, "restart_files": restart_files, "reload_files": reload_files}
    return [{"name": name, **{key: list(value) for key, value in lists.items()}} for name in names]


def service_units(
    services: Sequence[Mapping[str, Any]], files: Sequence[str], credentials_directory: str
) -> list[dict[str, Any]]:
    """The units of Airflow's services, for `systemd_units`: each reads the files, and its own credentials."""
    return [
        {
            "name": service["unit"],
            "files": [*files, *(f"{credentials_directory}/{name}" for name in service["credentials"])],
        }
        for service in services
    ]


def environment_file(variables: Mapping[str, Any]) -> str:
    """A file for systemd's EnvironmentFile=, one variable a line."""
    return "".join(f"{name}={systemd_quote(value)}\n" for name, value in variables.items())


def url_quote(value: str) -> str:
    """A user name or password as a URL carries it: every reserved character quoted, `/` too."""
    return quote(value, safe="")


def python_settings(settings: Mapping[str, Any]) -> str:
    """The settings as a Python file, as webserver_config.py is one."""
    lines = [f"from flask_appbuilder.const import {', '.join(AUTH_TYPES)}"]
    for name, value in settings.items():
        # Plain types, whatever Ansible has wrapped them in.
        plain = json.loads(json.dumps(value, default=str))
        lines.append(f"{name} = {plain if name == 'AUTH_TYPE' and plain in AUTH_TYPES else repr(plain)}")
    return "\n".join(lines) + "\n"


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
                service_units,
                unit_list,
                value_of_others,
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
