#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: vip_probe
short_description: Check the network of a host that is to share a virtual IP address
version_added: 0.1.0
description:
  - Reports which interface a virtual IPv4 address belongs on, which machine answers for it already, and
    whose VRRP advertisements can be heard there.
  - Has the kernel ask by ARP, and reads the answer with C(ip neigh). Changes nothing, and needs no package.
author:
  - The airflowops.cluster maintainers (@airflowops)
extends_documentation_fragment:
  - airflowops.cluster.attributes.read_only
options:
  address:
    description: The address, without the length of its prefix. Without it only O(names) are checked.
    type: str
    default: ""
  names:
    description: Names that the host should be able to resolve.
    type: list
    elements: str
    default: []
  seconds:
    description: How long to listen. V(0) reads the interfaces alone.
    type: float
    default: 1.2
notes:
  - Listening for VRRP is root's; for another user it fails.
"""

EXAMPLES = r"""
- name: See whether the address is free
  airflowops.cluster.vip_probe:
    address: 192.0.2.10
  register: seen

- name: Refuse one that is not
  ansible.builtin.assert:
    that: seen.answers | length == 0
    fail_msg: "{{ seen.answers | join(', ') }} has it already"
"""

RETURN = r"""
interfaces:
  description: The IPv4 addresses of the host, but for those of loopback.
  type: list
  elements: dict
  returned: always
  contains:
    name:
      description: The interface.
      type: str
      sample: eth0
    address:
      description: The address.
      type: str
      sample: 192.0.2.11
    prefix:
      description: Length of the prefix of its network.
      type: int
      sample: 24
interface:
  description: The interface in whose network O(address) is, empty where it is in none.
  type: str
  returned: always
  sample: eth0
macs:
  description: The hardware addresses of the host's interfaces.
  type: list
  elements: str
  returned: always
  sample: ["02:00:c0:00:02:0b"]
answers:
  description: The hardware address of another machine that has O(address).
  type: list
  elements: str
  returned: always
  sample: []
adverts:
  description: The VRRP advertisements that were heard, each C(source) with each C(id) once.
  type: list
  elements: dict
  returned: always
  sample: [{source: 192.0.2.12, id: 51}]
foreign_keepalived:
  description:
    - Whether C(/etc/keepalived/keepalived.conf) is there and not of the role
      P(airflowops.cluster.nginx_lb#role).
  type: bool
  returned: always
  sample: false
unresolved:
  description: Those of O(names) for which the host finds no address.
  type: list
  elements: str
  returned: always
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.host.probe import read_text
from ansible_collections.airflowops.cluster.plugins.module_utils.host.vip import (
    KEEPALIVED,
    ask_for,
    foreign,
    interface_of,
    listen,
    parse_interfaces,
    parse_macs,
    parse_neighbours,
    resolves,
)


def run(module: AnsibleModule) -> dict:
    address, seconds = module.params["address"], module.params["seconds"]
    result: dict = {"interfaces": [], "interface": "", "macs": [], "answers": [], "adverts": []}
    if address:

        def ip(*words: str) -> str:
            return module.run_command(["ip", "-json", *words], check_rc=True)[1]

        result["interfaces"] = parse_interfaces(ip("-4", "address"))
        result["macs"] = sorted(set(parse_macs(ip("link")).values()))
        result["interface"] = name = interface_of(address, result["interfaces"])
        if seconds > 0 and name:
            # What the kernel remembers may be of a machine that is gone.
            ip("neigh", "flush", "to", address, "dev", name)
            ask_for(name, address)
            result["adverts"] = listen(name, seconds)
            result["answers"] = parse_neighbours(ip("neigh", "show", "to", address, "dev", name))
    result["foreign_keepalived"] = bool(address) and foreign(read_text(KEEPALIVED))
    return {**result, "unresolved": [name for name in module.params["names"] if not resolves(name)]}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "default": ""},
            "names": {"type": "list", "elements": "str", "default": []},
            "seconds": {"type": "float", "default": 1.2},
        },
        supports_check_mode=True,
    )
    try:
        module.exit_json(changed=False, **run(module))
    except (OSError, ValueError) as error:
        module.fail_json(msg=f"The network of {module.params['address']} cannot be checked: {error}")


if __name__ == "__main__":
    main()
