#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at all that the collection runs on a host, in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_health_info
short_description: Read the health of all services of a cluster on one host
version_added: 0.1.0
author:
  - The airflowops.cluster maintainers (@airflowops)
extends_documentation_fragment:
  - airflowops.cluster.attributes.read_only
description:
  - Reports in one call how the systemd units, Redis nodes, PostgreSQL, Patroni, etcd, HAProxy, backups,
    certificates, file systems and the memory of a host are. It asks all of them at the same time.
  - Judges nothing and changes nothing. The playbook C(health.yml) makes findings of what it reports.
  - What cannot be read has C(error), the reason, in the place of what would be reported. The module itself
    does not fail because of it.
options:
  units:
    description:
      - Full names of systemd units.
      - V(postgresql) stands for the unit of the distribution's PostgreSQL, whose name carries its version.
    type: list
    elements: str
    default: []
  urls:
    description:
      - What answers by HTTP on this host, as URLs by names of your choice.
      - Redirects are not followed, certificates of HTTPS are verified, no proxy is used.
    type: dict
    default: {}
  logins:
    description:
      - Logins (HTTP basic authentication) for those of O(urls) that ask for one.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The name of the URL in O(urls).
        type: str
        required: true
      username:
        description: The user.
        type: str
        required: true
      password:
        description: The user's password.
        type: str
        required: true
  haproxy_socket:
    description: HAProxy's administration socket, whose servers are listed.
    type: path
  redis:
    description: Redis nodes of this host.
    type: dict
    suboptions:
      host:
        description: The address at which they are asked.
        type: str
        required: true
      ports:
        description: Their ports.
        type: list
        elements: int
        required: true
      password:
        description: Password of Redis' default user.
        type: str
      tls:
        description: Whether they speak TLS.
        type: bool
        default: false
      ca_cert:
        description: File with the CA that signed their certificates, instead of the system's.
        type: path
      prefix:
        description: Prefix of the broker's keys, with a hash tag. Its slot says which node is the broker.
        type: str
        default: "{airflow}:"
  postgres:
    description: PostgreSQL of this host, asked as the system's user C(postgres).
    type: dict
    suboptions:
      port:
        description: Its port.
        type: int
        default: 5432
  patroni:
    description: Patroni of this host, asked by its REST API.
    type: dict
    suboptions: &tls
      url:
        description: Where it answers, such as V(https://192.0.2.21:8008).
        type: str
        required: true
      ca_path:
        description: File with the CA that signed its certificate.
        type: path
        required: true
      client_cert:
        description: File with the certificate to show.
        type: path
        required: true
      client_key:
        description: File with the key of that certificate.
        type: path
        required: true
  etcd:
    description: etcd of this host.
    type: dict
    suboptions: *tls
  backups:
    description: pgBackRest of this host.
    type: dict
    suboptions:
      stanza:
        description: Its stanza.
        type: str
        default: airflow
      verified_file:
        description: File that C(backup_verify.yml) writes when a backup was verified.
        type: path
        default: /var/lib/airflowops/backup-verified.json
  certificates:
    description:
      - Files with certificates (PEM), also as patterns. Those that are missing are passed over.
      - Those that nginx' configuration names are added to them.
    type: list
    elements: str
    default: []
  disks:
    description: Paths whose file systems are looked at, each file system once.
    type: list
    elements: path
    default: [/]
  airflow_link:
    description: Link to the Airflow release in use; the name of what it leads to is the version.
    type: path
  timeout:
    description: Seconds that each answer may take.
    type: float
    default: 5
notes:
  - Must run as root, but for units, URLs and file systems.
  - The clock is compared by a plugin on the controller, as that of M(airflowops.cluster.host_probe) does.
  - Certificates are read by C(openssl), PostgreSQL is asked by C(psql); Redis needs C(redis) of Python.
attributes:
  platform:
    description: The systems it runs on.
    support: full
    platforms: linux
seealso:
  - module: airflowops.cluster.airflow_health_info
  - module: airflowops.cluster.redis_cluster_info
"""

EXAMPLES = r"""
- name: Look at a master
  airflowops.cluster.host_health_info:
    units: [airflow-scheduler.service, haproxy.service]
    urls:
      scheduler: http://127.0.0.1:8974/health
    haproxy_socket: /run/haproxy/admin.sock
  register: seen

- name: Whom HAProxy leads to
  ansible.builtin.debug:
    msg: "{{ seen.haproxy | selectattr('up') | map(attribute='server') | list }}"
"""

RETURN = r"""
host:
  description: Its name for itself, distribution, memory in bytes, load, and seconds since its start.
  returned: success
  type: dict
  sample: {fqdn: worker1, memory: {total: 4109606912, available: 2871120000}, cpus: 2, uptime: 86400.5}
systemd:
  description: C(units) are those of O(units); C(failed) are all units of the host that have failed.
  returned: success
  type: dict
  sample:
    units:
      haproxy.service: {unit: haproxy.service, loaded: true, state: active, enabled: true, seconds: 3600}
    failed: []
urls:
  description: Of each of O(urls) the HTTP status and, where it is JSON, the body.
  returned: success
  type: dict
  sample: {scheduler: {status: 200, body: {}}}
haproxy:
  description: HAProxy's servers.
  returned: if O(haproxy_socket) is given
  type: list
  elements: dict
  sample: [{listener: broker, server: 192.0.2.11-7000, up: true, status: UP, backup: false, seconds: 60}]
redis:
  description:
    - What each node says of itself and of the cluster, by its port. C(owner) is whether it owns the slot
      of the broker's keys; the owner alone has C(queues), the number of messages that wait in each queue.
  returned: if O(redis) is given
  type: dict
  sample: {"7000": {id: 07c37d, role: master, owner: true, version: 7.0.15, queues: {default: 3}}}
postgres:
  description: PostgreSQL's version, role, connections and replicas, whose lag is in bytes.
  returned: if O(postgres) is given
  type: dict
  sample: {version: "15.8", recovery: false, connections: 40, max_connections: 397, replicas: []}
patroni:
  description: The members that Patroni knows.
  returned: if O(patroni) is given
  type: dict
  sample: {members: [{name: db1, role: leader, state: running}], pause: false}
etcd:
  description: Whether etcd is healthy, and its members.
  returned: if O(etcd) is given
  type: dict
  sample: {healthy: true, members: [db1, db2, db3], why: ""}
backups:
  description: The backups, oldest first; C(ended) and C(verified.time) are seconds since the epoch.
  returned: if O(backups) is given
  type: dict
  sample: {usable: true, status: ok, backups: [{label: 20260301-013000F, ended: 1772328600}], verified: null}
certificates:
  description: Each file with the certificate in it that ends first; C(ends) is in seconds since the epoch.
  returned: success
  type: list
  elements: dict
  sample: [{path: /etc/airflowops/metastore/tls.crt, subject: CN = db1, ends: 1835400600}]
disks:
  description: The file systems of O(disks), in bytes and percent.
  returned: success
  type: list
  elements: dict
  sample: [{path: /, size: 42000000000, free: 20000000000, used_percent: 52.4, inodes_percent: 3.1}]
airflow_installed:
  description: The version of Airflow that is in use.
  returned: if O(airflow_link) is given
  type: str
  sample: 3.3.2
airflow_patches:
  description: Of each running service of Airflow the patches that are off, or skipped as they do not fit.
  returned: if O(airflow_link) is given
  type: dict
  sample: {airflow-scheduler.service: {scheduler-wake: {state: "off", reason: switched off}}}
clock_offset:
  description: The host's clock minus the controller's, in seconds.
  returned: success
  type: float
  sample: -0.021
clock_uncertainty:
  description: By how much RV(clock_offset) may be wrong in either direction, in seconds.
  returned: success
  type: float
  sample: 0.113
clock_start:
  description: The host's clock when the module began, in seconds since the epoch.
  returned: success
  type: float
  sample: 1767225600.25
clock_end:
  description: The host's clock when the module was done, in seconds since the epoch.
  returned: success
  type: float
  sample: 1767225600.31
"""

import time

from ansible_collections.airflowops.cluster.plugins.module_utils.health.collect import collect
from ansible_collections.airflowops.cluster.plugins.module_utils.unlogged_module import QuietModule


def main() -> None:
    start = time.time()
    tls = {
        "url": {"type": "str", "required": True},
        "ca_path": {"type": "path", "required": True},
        "client_cert": {"type": "path", "required": True},
        "client_key": {"type": "path", "required": True, "no_log": False},  # A file's name.
    }
    # Redis' password is in a dictionary, where Ansible's log would show one with quotes.
    module = QuietModule(
        argument_spec={
            "units": {"type": "list", "elements": "str", "default": []},
            "urls": {"type": "dict", "default": {}},
            # The user is no secret: Ansible would remove its name from all that is returned.
            "logins": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "no_log": False,
                "options": {
                    "name": {"type": "str", "required": True},
                    "username": {"type": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                },
            },
            "haproxy_socket": {"type": "path"},
            "redis": {
                "type": "dict",
                "options": {
                    "host": {"type": "str", "required": True},
                    "ports": {"type": "list", "elements": "int", "required": True},
                    "password": {"type": "str", "no_log": True},
                    "tls": {"type": "bool", "default": False},
                    "ca_cert": {"type": "path"},
                    "prefix": {"type": "str", "default": "{airflow}:"},
                },
            },
            "postgres": {"type": "dict", "options": {"port": {"type": "int", "default": 5432}}},
            "patroni": {"type": "dict", "options": tls},
            "etcd": {"type": "dict", "options": tls},
            "backups": {
                "type": "dict",
                "options": {
                    "stanza": {"type": "str", "default": "airflow"},
                    "verified_file": {
                        "type": "path",
                        "default": "/var/lib/airflowops/backup-verified.json",
                    },
                },
            },
            "certificates": {"type": "list", "elements": "str", "default": []},
            "disks": {"type": "list", "elements": "path", "default": ["/"]},
            "airflow_link": {"type": "path"},
            "timeout": {"type": "float", "default": 5},
        },
        supports_check_mode=True,
    )
    logins = {login["name"]: login for login in module.params["logins"]}
    result = collect({**module.params, "logins": logins}, module.params["timeout"])
    module.exit_json(changed=False, clock_start=start, clock_end=time.time(), **result)


if __name__ == "__main__":
    main()
