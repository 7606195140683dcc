#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: firewall_rules
short_description: Add rules to ufw or firewalld, and remove those that were added before
version_added: 0.1.0
description:
  - For a host whose firewall the user manages with ufw or firewalld. Only rules that this module has added
    are changed or removed, the user's stay. The firewall itself is never switched on or off.
  - In ufw ours are known by their comments, which begin with C(airflowops:). A rule that the user has as well
    is the user's.
  - In firewalld they are rich rules in a policy of their own, C(airflowops), which holds for all zones. It
    comes after what zones deny. firewalld takes in a new policy by a reload only. So the first call reloads
    it, once, and refuses to where that would lose what the user did not save.
  - What is added lets more in, and stays. What is removed is on trial. The host adds it again after
    O(rollback_timeout) seconds, or by a reboot, unless a call with O(state=committed) has come by another SSH
    connection.
author:
  - The airflowops.cluster maintainers (@airflowops)
options:
  backend:
    description: What manages the firewall of the host.
    type: str
    choices: [ufw, firewalld]
    required: true
  state:
    description:
      - V(present) adds what is missing of O(rules), and removes others that were added before.
      - V(committed) ends the trial of what was removed.
      - V(allowed) adds what is missing, on a host that has rules of this module already.
      - V(absent) removes all that was added.
    type: str
    choices: [present, committed, allowed, absent]
    default: present
  rules:
    description: What is let in, as the filter P(airflowops.cluster.firewall_allowed#filter) returns it.
    type: list
    elements: dict
    default: []
    suboptions:
      family:
        description: The version of IP.
        type: int
        choices: [4, 6]
        required: true
      source:
        description: An address or a network.
        type: str
        required: true
      proto:
        description: The protocol.
        type: str
        choices: [tcp, udp, vrrp]
        required: true
      ports:
        description: Ports, or ranges such as V(9100-9104). VRRP has none.
        type: list
        elements: str
        default: []
      why:
        description: What it is for.
        type: str
        required: true
  keep:
    description: Whether rules that are not among O(rules) stay, for O(state=present).
    type: bool
    default: false
  rollback_timeout:
    description:
      - Seconds after which rules come back whose removal nobody confirmed. For each of them there is one
        more, as ufw takes its time to remove it.
    type: int
    default: 60
attributes:
  check_mode:
    description: Compares, and changes nothing.
    support: full
  diff_mode:
    description: Shows which rules of this module come and go.
    support: full
  platform:
    description: The systems it runs on.
    support: full
    platforms: linux
"""

EXAMPLES = r"""
- name: Let a worker in
  airflowops.cluster.firewall_rules:
    backend: ufw
    rules:
      - {family: 4, source: 192.0.2.41, proto: tcp, ports: ["7000", "7001"], why: Redis}
  register: rules

- name: Connect again
  ansible.builtin.meta: reset_connection
  when: rules.trial

- name: Do without the rules that were removed
  airflowops.cluster.firewall_rules:
    backend: ufw
    state: committed
  when: rules.trial
"""

RETURN = r"""
trial:
  description: Whether rules were removed, which has to be confirmed.
  type: bool
  returned: with O(state=present), O(state=allowed) and O(state=absent)
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.firewall.backend import BackEnd
from ansible_collections.airflowops.cluster.plugins.module_utils.firewall.firewalld import Firewalld
from ansible_collections.airflowops.cluster.plugins.module_utils.firewall.rollback import RollbackError
from ansible_collections.airflowops.cluster.plugins.module_utils.firewall.ufw import Ufw


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "backend": {"type": "str", "choices": ["ufw", "firewalld"], "required": True},
            "state": {
                "type": "str",
                "choices": ["present", "committed", "allowed", "absent"],
                "default": "present",
            },
            "rules": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "family": {"type": "int", "choices": [4, 6], "required": True},
                    "source": {"type": "str", "required": True},
                    "proto": {"type": "str", "choices": ["tcp", "udp", "vrrp"], "required": True},
                    "ports": {"type": "list", "elements": "str", "default": []},
                    "why": {"type": "str", "required": True},
                },
            },
            "keep": {"type": "bool", "default": False},
            "rollback_timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    backend: BackEnd = {"ufw": Ufw, "firewalld": Firewalld}[module.params["backend"]](module)
    calls = {
        "present": backend.set_rules,
        "committed": backend.commit,
        "allowed": backend.allow,
        "absent": backend.remove_all,
    }
    try:
        result = calls[module.params["state"]]()
    except (RollbackError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
