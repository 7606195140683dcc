#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: redis_settings
short_description: Apply changed settings to running Redis servers, without a restart
version_added: 0.1.0
description:
  - Compares directives of C(redis.conf) with what each server runs with, and sets those that differ with
    C(CONFIG SET).
  - Reports which servers have to be restarted for the rest (RV(restart)). It writes no file.
author:
  - The airflowops.cluster maintainers (@airflowops)
extends_documentation_fragment:
  - airflowops.cluster.redis
  - ansible.builtin.action_common_attributes
attributes:
  check_mode:
    description: Returns what differs. A value that is written in two ways may count as different.
    support: full
  diff_mode:
    description: Shows each directive that was set, before and after.
    support: full
  platform:
    platforms: posix
options:
  nodes:
    description:
      - The servers. They need not be members of a cluster.
  settings:
    description:
      - Directives and their values, as in C(redis.conf). None of them may be a secret.
    type: dict
    required: true
  timeout:
    description:
      - Seconds that a server may take to connect and to answer each time, at most 5.
    default: 5
seealso:
  - module: community.general.redis
"""

EXAMPLES = r"""
- name: Raise the memory limit under running clients
  airflowops.cluster.redis_settings:
    nodes: [{host: redis1, port: 7000}, {host: redis1, port: 7001}]
    password: "{{ redis_cluster_password }}"
    settings: {maxmemory: 2gb, maxmemory-policy: noeviction}
  register: live
"""

RETURN = r"""
applied:
  description: What was set, or would be, with the values before and after.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: The host as it is listed.
      type: str
    port:
      description: The port.
      type: int
    name:
      description: The directive.
      type: str
    before:
      description: The value before.
      type: str
    after:
      description: The value after.
      type: str
  sample: [{host: redis1, port: 7000, name: maxmemory, before: "0", after: "2147483648"}]
restart:
  description: The servers that take a directive over only when they are restarted, with these directives.
  returned: success
  type: list
  elements: dict
  contains:
    host:
      description: The host as it is listed.
      type: str
    port:
      description: The port.
      type: int
    names:
      description: The directives.
      type: list
      elements: str
  sample: [{host: redis1, port: 7000, names: [databases]}]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.client import (
    CONNECTION_TIMEOUT,
    REDIS_IMPORT_ERROR,
    Connection,
    Credentials,
    call_for_all,
    redis_argument_spec,
    resolve_one,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.config import find_differences
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    NodeRefused,
    RedisClusterError,
)

# What a server says of a directive that CONFIG SET cannot change: Redis 7 and later, and Redis 6.2.
IMMUTABLE = ("immutable", "Unsupported CONFIG parameter")


def present_values(connection: Connection, names: list[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for reply in connection.ask(*(("CONFIG", "GET", name) for name in names)):
        # A dictionary or a flat list, depending on redis-py.
        pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2])
        values.update({str(name): str(value) for name, value in pairs})
    return values


def bring(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    credentials = Credentials(params["username"], params["password"], params["tls"], params["ca_cert"])
    timeout = min(params["timeout"], CONNECTION_TIMEOUT)
    wanted = params["settings"]

    def bring_one(listed: dict[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
        connection = Connection(resolve_one(listed), credentials, timeout)
        try:
            before = present_values(connection, list(wanted))
            to_set = find_differences(wanted, before)
            after = {**before, **to_set}
            immutable: list[str] = []
            if to_set and not check_mode:
                replies = connection.try_all(*(("CONFIG", "SET", *pair) for pair in to_set.items()))
                refused = {
                    name: str(reply) for name, reply in zip(to_set, replies) if isinstance(reply, Exception)
                }
                immutable = [
                    name
                    for name, reply in refused.items()
                    if name in before and any(text in reply for text in IMMUTABLE)
                ]
                wrong = [name for name in refused if name not in immutable]
                if wrong:
                    # All or nothing: the file that these come from does not stay either.
                    taken = [name for name in to_set if name not in refused]
                    connection.try_all(*(("CONFIG", "SET", name, before[name]) for name in taken))
                    reasons = "; ".join(f"{name}: {refused[name]}" for name in wrong)
                    raise NodeRefused(f"{connection.address} does not accept {reasons}")
                after = present_values(connection, list(to_set))
        finally:
            connection.close()
        where = {"host": listed["host"], "port": listed["port"]}
        applied = [
            {**where, "name": name, "before": before.get(name, ""), "after": after.get(name, "")}
            for name in to_set
            if before.get(name) != after.get(name)
        ]
        return applied, immutable

    results = list(zip(params["nodes"], call_for_all(bring_one, params["nodes"])))
    applied = [entry for _, (entries, _) in results for entry in entries]
    return {
        "changed": bool(applied),
        "applied": applied,
        "restart": [
            {"host": listed["host"], "port": listed["port"], "names": names}
            for listed, (_, names) in results
            if names
        ],
        "diff": {
            when: "".join(f"{e['host']}:{e['port']} {e['name']} {e[when]}\n" for e in applied)
            for when in ("before", "after")
        },
    }


def main() -> None:
    spec = redis_argument_spec()
    spec["timeout"]["default"] = 5
    spec["settings"] = {"type": "dict", "required": True}
    module = AnsibleModule(argument_spec=spec, required_by={"username": "password"}, supports_check_mode=True)
    if REDIS_IMPORT_ERROR:
        module.fail_json(msg=missing_required_lib("redis"), exception=REDIS_IMPORT_ERROR)
    try:
        result = bring(module.params, module.check_mode)
    except RedisClusterError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
