#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postgres_probe
short_description: Log in to PostgreSQL from a host, and report what is found
version_added: 0.1.0
description:
  - Logs in as URLs say, and reports the server's version or why the login is not possible. Reads which
    revision of its schema Airflow has noted in the database, and changes nothing.
  - Uses psycopg2, and so libpq, as Airflow does. RV(driver) is false where the host's Python has none.
author:
  - The airflowops.cluster maintainers (@airflowops)
extends_documentation_fragment:
  - airflowops.cluster.attributes.read_only
options:
  urls:
    description:
      - "URLs as C({name: url}), as SQLAlchemy or libpq writes them. Several servers are
        C(?host=a:5432&host=b:5432)."
      - They hold passwords.
    type: dict
    required: true
  timeout:
    description: Seconds that each server has to answer in.
    type: int
    default: 5
requirements:
  - psycopg2 2.8 or later
"""

EXAMPLES = r"""
- name: Log in to the metastore
  airflowops.cluster.postgres_probe:
    urls:
      airflow_database_url: "{{ airflow_database_url }}"
  register: probe
"""

RETURN = r"""
driver:
  description: Whether the host's Python has psycopg2. Without it nothing is known of any server.
  type: bool
  returned: always
msg:
  description: Why psycopg2 cannot be imported.
  type: str
  returned: where it cannot
servers:
  description: What was found, under the names of O(urls).
  type: dict
  returned: always
  contains:
    problem:
      description: Why the login is not possible, or empty.
      type: str
    server:
      description: Host and port of the server that accepted the login.
      type: str
    server_version:
      description: Its version.
      type: str
    read_only:
      description: Whether it accepts no writes, as a standby.
      type: bool
    revision:
      description: The revision of Airflow's schema that the database holds, or empty.
      type: str
  sample:
    airflow_database_url:
      {problem: "", server: "db.example.org:5432", server_version: "15.4", read_only: false, revision: ""}
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.airflowops.cluster.plugins.module_utils.postgres.login import (
    PSYCOPG2_IMPORT_ERROR,
    LoginError,
    login,
)

UNKNOWN = {"server": "", "server_version": "", "read_only": False, "revision": ""}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "urls": {"type": "dict", "required": True, "no_log": True},
            "timeout": {"type": "int", "default": 5},
        },
        supports_check_mode=True,
    )
    urls = module.params["urls"]
    if PSYCOPG2_IMPORT_ERROR:
        module.exit_json(
            changed=False,
            driver=False,
            msg=missing_required_lib("psycopg2"),
            servers={name: {"problem": "", **UNKNOWN} for name in urls},
        )
    servers = {}
    for name, url in urls.items():
        try:
            servers[name] = {"problem": "", **login(url, module.params["timeout"])}
        except LoginError as error:
            servers[name] = {"problem": str(error)}
    module.exit_json(changed=False, driver=True, servers=servers)


if __name__ == "__main__":
    main()
