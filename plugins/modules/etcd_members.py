#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_members
short_description: Add a machine to an etcd cluster, or remove members that are not listed
version_added: 0.1.0
description:
  - With O(join), announces a machine that has no data yet to a running cluster. A member of the same name or
    address that has started before is its predecessor on a machine that was replaced, and is taken out first.
  - With O(keep), takes out every member at another address.
  - Speaks etcd's own JSON gateway, of etcd 3.4 and later, and needs no program of etcd.
author:
  - The airflowops.cluster maintainers (@airflowops)
options:
  endpoints:
    description: URLs of the members' client ports. They are asked in turn until one answers.
    type: list
    elements: str
    required: true
  tls:
    description: How to show oneself to etcd, and know it.
    type: dict
    required: true
    suboptions:
      ca_cert:
        description: File with the certificate of the authority that signed etcd's certificates (PEM).
        type: path
        required: true
      client_cert:
        description: File with the certificate to show (PEM).
        type: path
        required: true
      client_key:
        description: File with its private key (PEM).
        type: path
        required: true
  join:
    description: The machine to announce.
    type: dict
    suboptions:
      name:
        description: Its C(ETCD_NAME).
        type: str
        required: true
      peer_url:
        description: Its C(ETCD_INITIAL_ADVERTISE_PEER_URLS), which is one URL.
        type: str
        required: true
  keep:
    description: Peer URLs of the members to keep. At least one member has to be among them.
    type: list
    elements: str
  timeout:
    description: Seconds that an endpoint may take to answer.
    type: int
    default: 10
attributes:
  check_mode:
    description: Returns the plan and changes nothing.
    support: full
  diff_mode:
    description: The plan has more.
    support: none
"""

EXAMPLES = r"""
- name: Announce a new member
  airflowops.cluster.etcd_members:
    endpoints: ["https://192.0.2.21:2379", "https://192.0.2.22:2379"]
    tls: &tls
      ca_cert: /etc/airflowops/metastore-ca.crt
      client_cert: /etc/airflowops/metastore/tls.crt
      client_key: /etc/airflowops/metastore/tls.key
    join: {name: metastore3, peer_url: "https://192.0.2.23:2380"}

- name: Take out all others
  airflowops.cluster.etcd_members:
    endpoints: ["https://192.0.2.21:2379"]
    tls: *tls
    keep: ["https://192.0.2.21:2380"]
"""

RETURN = r"""
plan:
  description: Steps taken, or in check mode to be taken.
  type: list
  elements: dict
  returned: success
  contains:
    action:
      description: V(add) or V(remove).
      type: str
    id:
      description: The member's number, of one that is removed.
      type: str
    name:
      description: The member's name, of one that is removed.
      type: str
    peer_url:
      description: The address, of one that is added.
      type: str
  sample: [{action: add, peer_url: "https://192.0.2.23:2380"}]
initial_cluster:
  description: With O(join), what C(ETCD_INITIAL_CLUSTER) of the new member has to say.
  type: str
  returned: with O(join), and not in check mode
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.etcd.members import (
    EtcdError,
    Gateway,
    initial_cluster,
    plan_join,
    plan_prune,
)


def bring(params: dict[str, Any], check_mode: bool) -> dict[str, Any]:
    gateway = Gateway(params["endpoints"], params["tls"], params["timeout"])
    join = params["join"]
    members = gateway.members()
    plan = plan_join(members, **join) if join else plan_prune(members, params["keep"])
    result: dict[str, Any] = {"changed": bool(plan), "plan": plan}
    if not check_mode:
        for step in plan:
            gateway.apply(step)
        if join:
            result["initial_cluster"] = initial_cluster(gateway.members(), **join)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "endpoints": {"type": "list", "elements": "str", "required": True},
            "tls": {
                "type": "dict",
                "required": True,
                "options": {
                    "ca_cert": {"type": "path", "required": True},
                    "client_cert": {"type": "path", "required": True},
                    "client_key": {"type": "path", "required": True, "no_log": False},
                },
            },
            "join": {
                "type": "dict",
                "options": {
                    "name": {"type": "str", "required": True},
                    "peer_url": {"type": "str", "required": True},
                },
            },
            "keep": {"type": "list", "elements": "str"},
            "timeout": {"type": "int", "default": 10},
        },
        required_one_of=[("join", "keep")],
        mutually_exclusive=[("join", "keep")],
        supports_check_mode=True,
    )
    try:
        result = bring(module.params, module.check_mode)
    except (EtcdError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
