#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: airflow_objects
short_description: Declare Airflow's pools, variables, connections, roles and users
version_added: 0.1.0
description:
  - Makes what is declared and missing, changes what differs, and removes what is not declared only where
    O(prune) says so. Airflow's own pool and roles stay.
  - Runs on a master. It writes by Airflow's REST API. Secret values, which the API hides, are read by
    Airflow's own export, so that a change by hand is seen too. The password of a user is compared by logging
    in.
author:
  - The airflowops.cluster maintainers (@airflowops)
extends_documentation_fragment:
  - airflowops.cluster.airflow_api
options:
  pools:
    description: Pools.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the pool.
        type: str
        required: true
      slots:
        description: Number of its slots. V(-1) is without limit.
        type: int
        required: true
      description:
        description: What it is for.
        type: str
        default: ""
      include_deferred:
        description: Whether deferred tasks hold their slots.
        type: bool
        default: false
  variables:
    description: Variables, by name. A value that is not text is stored as JSON.
    type: dict
  connections:
    description:
      - Connections, by name. Each is a dictionary of C(conn_type), and as needed C(host), C(port), C(schema),
        C(login), C(password), C(extra), which is a dictionary, and C(description).
    type: dict
  roles:
    description:
      - "Roles of the FAB auth manager, by name. Each is a dictionary of resources with their actions, as in
        V({DAGs: [can_read, can_edit]})."
    type: dict
  users:
    description: Users of the FAB auth manager.
    type: list
    elements: dict
    suboptions:
      username:
        description: Name of the user.
        type: str
        required: true
      password:
        description: Password of the user.
        type: str
        required: true
      email:
        description: Address of the user, another for each.
        type: str
        required: true
      first_name:
        description: First name.
        type: str
        default: Airflow
      last_name:
        description: Last name.
        type: str
        default: User
      roles:
        description: Names of the user's roles.
        type: list
        elements: str
        required: true
  prune:
    description: Kinds of which nothing may stay that is not declared. O(username) always stays.
    type: list
    elements: str
    choices: [pools, variables, connections, roles, users]
    default: []
  export_command:
    description: Command that prints the connections and variables in clear text, as the last line, in JSON.
    type: list
    elements: str
    default: [/usr/local/bin/airflow-run, python, /opt/airflow/current/runtime/airflow_setup.py, export]
attributes:
  check_mode:
    description: Reports what would be done.
    support: full
  diff_mode:
    description: RV(steps) names what differs; values may be secret.
    support: none
"""

EXAMPLES = r"""
- name: Have what the DAGs need
  airflowops.cluster.airflow_objects:
    url: http://127.0.0.1:8080
    username: admin
    password: "{{ airflow_admin_password }}"
    pools:
      - {name: warehouse, slots: 8}
    variables:
      landing_zone: s3://landing
      limits: {rows: 1000}
    connections:
      warehouse:
        conn_type: postgres
        host: db.example.org
        login: etl
        password: "{{ vault_warehouse_password }}"
    roles:
      analyst:
        DAGs: [can_read]
        Website: [can_read]
    users:
      - {username: ann, password: "{{ vault_ann }}", email: ann@example.org, roles: [analyst]}
    prune: [pools]
"""

RETURN = r"""
steps:
  description: What was done, or in check mode would be. Names only, no values.
  returned: success
  type: list
  elements: str
  sample: ["create pools warehouse", "change connections warehouse: password", "remove pools old"]
"""

import json

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.api import (
    AirflowApi,
    AirflowApiError,
    argument_spec,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.objects import (
    KINDS,
    Airflow,
    ObjectsError,
    declared,
    password_fits,
    plan,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.unlogged_module import QuietModule


def export(module: AnsibleModule) -> dict:
    """Connections and variables, by Airflow's command line. What it prints stays in this process."""
    rc, out, err = module.run_command(module.params["export_command"])
    lines = out.strip().splitlines()
    try:
        if rc != 0:
            raise ValueError
        exported = json.loads(lines[-1])
        return {"connections": exported["connections"], "variables": exported["variables"]}
    except (ValueError, LookupError, TypeError):
        last = (err.strip().splitlines() or ["it says nothing"])[-1]
        raise ObjectsError(
            f"Airflow's connections and variables cannot be read: {module.params['export_command'][0]} "
            f"ended with {rc}: {last}"
        ) from None


def main() -> None:
    module = QuietModule(
        argument_spec={
            **argument_spec(),
            "pools": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "slots": {"type": "int", "required": True},
                    "description": {"type": "str", "default": ""},
                    "include_deferred": {"type": "bool", "default": False},
                },
            },
            "variables": {"type": "dict", "no_log": True},
            "connections": {"type": "dict", "no_log": True},
            "roles": {"type": "dict"},
            "users": {
                "type": "list",
                "elements": "dict",
                "options": {
                    "username": {"type": "str", "required": True},
                    "password": {"type": "str", "required": True, "no_log": True},
                    "email": {"type": "str", "required": True},
                    "first_name": {"type": "str", "default": "Airflow"},
                    "last_name": {"type": "str", "default": "User"},
                    "roles": {"type": "list", "elements": "str", "required": True},
                },
            },
            "prune": {"type": "list", "elements": "str", "choices": list(KINDS), "default": []},
            "export_command": {
                "type": "list",
                "elements": "str",
                "default": [
                    "/usr/local/bin/airflow-run",
                    "python",
                    "/opt/airflow/current/runtime/airflow_setup.py",
                    "export",
                ],
            },
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        wanted = declared(params)
        api = {name: params[name] for name in argument_spec()}
        airflow = Airflow(
            AirflowApi.from_params(api),
            lambda: export(module),
            lambda username, password: password_fits(api, username, password),
        )
        found = airflow.found({*wanted, *params["prune"]}, wanted)
        steps = plan(wanted, found, params["prune"], [params["username"]])
        if not module.check_mode:
            airflow.apply(steps, wanted)
    except (AirflowApiError, ObjectsError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(steps),
        steps=[
            f"{step.action} {step.kind} {step.name}" + (f": {', '.join(step.fields)}" if step.fields else "")
            for step in steps
        ],
    )


if __name__ == "__main__":
    main()
