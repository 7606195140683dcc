#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: front_probe
short_description: Look at the network of a host that is to share a floating address
version_added: 0.1.0
description:
  - Tells which interface a floating IPv4 address belongs on, which machines answer for it already, and
    whose VRRP advertisements can be heard there.
  - Asks by ARP, from no address, as a host does before it takes one (RFC 5227), so that no neighbour is
    confused. Changes nothing, and needs no package.
author:
  - The airflowops.cluster maintainers (@airflowops)
extends_documentation_fragment:
  - airflowops.cluster.attributes.read_only
options:
  address:
    description: The address, without the length of its prefix. Without it only O(names) are looked at.
    type: str
    default: ""
  names:
    description: Names that the host should be able to resolve.
    type: list
    elements: str
    default: []
  seconds:
    description: How long to listen. V(0) looks at the interfaces alone.
    type: float
    default: 1.2
notes:
  - Raw packets are root's; for another user it fails.
"""

EXAMPLES = r"""
- name: See whether the address is free
  airflowops.cluster.front_probe:
    address: 192.0.2.10
  register: seen

- name: Refuse one that is not
  ansible.builtin.assert:
    that: seen.answers | length == 0
    fail_msg: "{{ seen.answers | join(', ') }} has it"
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
  description: The hardware addresses of other machines that have O(address).
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
    foreign,
    interface_of,
    listen,
    parse_interfaces,
    parse_macs,
    resolves,
)


def run(module: AnsibleModule) -> dict:
    address, seconds = module.params["address"], module.params["seconds"]
    result: dict = {"interfaces": [], "interface": "", "macs": [], "answers": [], "adverts": []}
    if address:
        result["interfaces"] = parse_interfaces(
            module.run_command(["ip", "-json", "-4", "address"], check_rc=True)[1]
        )
        macs = parse_macs(module.run_command(["ip", "-json", "link"], check_rc=True)[1])
        result["macs"] = sorted(set(macs.values()))
        result["interface"] = interface_of(address, result["interfaces"])
        if seconds > 0 and result["interface"]:
            name = result["interface"]
            result["answers"], result["adverts"] = listen(name, macs[name], address, seconds)
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
        module.fail_json(msg=f"The network of {module.params['address']} cannot be looked at: {error}")


if __name__ == "__main__":
    main()
