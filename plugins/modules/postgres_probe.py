#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_probe
short_description: Whether one can log in to PostgreSQL from a host
version_added: 0.1.0
description:
  - Logs in as URLs say, and reports the server's version or why it cannot be had. Reads which revision of its
    schema Airflow has noted in the database, and changes nothing.
  - Needs no driver, so that it can look before anything is installed. It knows TLS, and passwords in clear
    text, by MD5 and by SCRAM-SHA-256.
author:
  - The airflowops.cluster maintainers (@airflowops)
extends_documentation_fragment:
  - airflowops.cluster.attributes.read_only
options:
  urls:
    description:
      - "URLs as C({name: url}), as SQLAlchemy or libpq writes them. Several servers are
        C(?host=a:5432&host=b:5432), and with V(target_session_attrs=read-write) those that only read are
        passed over."
      - They hold passwords.
    type: dict
    required: true
  timeout:
    description: Seconds that each server has to answer in.
    type: int
    default: 5
"""

EXAMPLES = r"""
- name: Look at the metastore
  airflowops.cluster.postgres_probe:
    urls:
      airflow_database_url: "{{ airflow_database_url }}"
  register: probe
"""

RETURN = r"""
servers:
  description: What was found, under the names of O(urls).
  type: dict
  returned: always
  contains:
    problem:
      description: Why one cannot log in, or nothing.
      type: str
    server:
      description: Host and port of the server that took us.
      type: str
    server_version:
      description: Its version.
      type: str
    read_only:
      description: Whether it takes no writes, as a standby.
      type: bool
    revision:
      description: The revision of Airflow's schema that the database holds, or nothing.
      type: str
  sample:
    airflow_database_url:
      {problem: "", server: "db.example.org:5432", server_version: "15.4", read_only: false, revision: ""}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.postgres.login import LoginError, login


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "urls": {"type": "dict", "required": True, "no_log": True},
            "timeout": {"type": "int", "default": 5},
        },
        supports_check_mode=True,
    )
    servers = {}
    for name, url in module.params["urls"].items():
        try:
            servers[name] = {"problem": "", **login(url, module.params["timeout"])}
        except LoginError as error:
            servers[name] = {"problem": str(error)}
    module.exit_json(changed=False, servers=servers)


if __name__ == "__main__":
    main()
