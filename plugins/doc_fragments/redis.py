# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that all modules for Redis share."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  nodes:
    description:
      - The nodes of the cluster.
    type: list
    elements: dict
    required: true
    suboptions:
      host:
        description:
          - Name or IP address of the node.
          - A name is resolved on the host on which the module runs. Of several addresses the first at which
            the node listens is used. The nodes then know each other under this address.
        type: str
        required: true
      address:
        description:
          - IP address of the node, where the host on which the module runs is not to resolve the name, as one
            whose C(/etc/hosts) has its own name on loopback.
        type: str
      port:
        description:
          - Port on which the node serves clients. With O(tls=true) its TLS port.
        type: int
        required: true
      zone:
        description:
          - What fails together with the node where that is more than its host, such as a rack. A master
            and its replica are kept in different zones.
          - For all nodes or for none. Without it, hosts are kept apart, which are reported by their IP
            addresses.
        type: str
  username:
    description:
      - ACL user to log in as. Without it the user C(default) is logged in.
    type: str
  password:
    description:
      - Password, the same on all nodes. Without it no login takes place.
    type: str
  tls:
    description:
      - Connect with TLS. The certificate of every node is verified, and must carry the O(nodes[].host)
        under which it is listed as a subject alternative name. This cannot be switched off.
    type: bool
    default: false
  ca_cert:
    description:
      - Path, on the host on which the module runs, of the PEM file with the certificates of the authorities
        to trust.
      - Without it the authorities that this host trusts anyway are trusted. Only used with O(tls=true).
    type: path
  timeout:
    description:
      - Seconds that the whole operation may take. A single connection or answer may take at most 5 seconds
        of them.
    type: int
    default: 60
attributes:
  action_group:
    description: The options that these modules share can stand in C(module_defaults).
    support: full
    membership: [airflowops.cluster.redis]
requirements:
  - redis, the Python library, 4.3 or later (C(python3-redis) on Debian)
notes:
  - Run it once for the whole cluster (C(run_once)) on a host that reaches all nodes, for example one of
    them.
"""
