#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a host, cheaply and without changing anything, before the collection is let loose on it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_probe
short_description: Read the facts of a host that preflight needs, before anything is changed
version_added: 0.1.0
author:
  - The airflowops.cluster maintainers (@airflowops)
extends_documentation_fragment:
  - airflowops.cluster.attributes.read_only
description:
  - Reports in one quick call what must be known of a host before software is put on it. That is how far its
    clock is from the controller's, memory, free disk, distribution, Python versions, init system, and which
    process and systemd unit listens on which TCP port.
  - Reads C(/proc), C(/sys/fs/cgroup), C(/etc/os-release) and what O(digest_paths) names, starts no process,
    changes nothing, and needs no gathered facts.
options:
  digest_paths:
    description:
      - Files and folders whose checksums are wanted. A link among them is followed; links within a folder
        are not.
    type: list
    elements: path
    default: []
  link_paths:
    description: Symbolic links whose targets are wanted.
    type: list
    elements: path
    default: []
  digest_ignore:
    description: Names of files and folders that the checksums leave out at every depth.
    type: list
    elements: str
    default: []
notes:
  - Only root may see which process holds a socket of another user. Without it RV(listening[].pid),
    RV(listening[].process) and RV(listening[].unit) stay empty for such sockets, and RV(privileged) is false.
  - The clock is compared by a plugin on the controller, which takes the times before and after the remote
    command. What the host spends on the probe itself does not add to RV(clock_uncertainty), and neither does
    the time that Ansible spends on looking for an interpreter or copying files.
  - Does not fail where one of the system's files is missing or not readable; its values are then empty or
    null.
attributes:
  platform:
    description: The systems it runs on.
    support: full
    platforms: linux
"""

EXAMPLES = r"""
- name: Look at the host
  airflowops.cluster.host_probe:
  register: probe

- name: Refuse a host with a wrong clock
  ansible.builtin.assert:
    that: (probe.clock_offset | abs) - probe.clock_uncertainty <= 5
    fail_msg: "The clock is {{ probe.clock_offset }} s off"

- name: Name what listens on port 80
  ansible.builtin.debug:
    msg: "{{ probe.listening | selectattr('port', 'eq', 80) | map(attribute='unit') | list }}"
"""

RETURN = r"""
ansible_facts:
  description:
    - Distribution and architecture, under the names that M(ansible.builtin.setup) gives them, and RV(ipv6) as
      C(airflowops_ipv6).
  returned: success
  type: dict
  sample:
    distribution: Debian
    distribution_version: "12"
    distribution_major_version: "12"
    os_family: Debian
    architecture: x86_64
    airflowops_ipv6: true
airflow_user:
  description: What the host knows of a user named C(airflow), or null where there is none.
  returned: success
  type: dict
  contains:
    local:
      description: Whether it is in C(/etc/passwd), and does not come from LDAP or the like.
      type: bool
      sample: true
    home:
      description: Its home.
      type: str
      sample: /var/lib/airflow
    shell:
      description: Its login shell.
      type: str
      sample: /usr/sbin/nologin
    group:
      description: Whether there is a group of this name.
      type: bool
      sample: true
authorities:
  description:
    - Files in C(/etc/airflowops) with certificates of the collection's own CA, each with the SHA-256
      fingerprints of these.
  returned: success
  type: dict
  sample:
    /etc/airflowops/metastore-ca.crt:
      - 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
architecture:
  description: The machine's architecture as the kernel names it.
  returned: success
  type: str
  sample: x86_64
blank_credentials:
  description:
    - Drop-ins for all services with an empty C(LoadCredential=), which takes the secrets from every service.
  returned: success
  type: list
  elements: str
  sample: []
clock_offset:
  description: The host's clock minus the controller's, in seconds. Positive where the host is ahead.
  returned: success
  type: float
  sample: -0.021
clock_uncertainty:
  description: By how much RV(clock_offset) may be wrong in either direction, in seconds. Half the round trip.
  returned: success
  type: float
  sample: 0.113
clock_start:
  description: The host's clock when the probe began, in seconds since the epoch.
  returned: success
  type: float
  sample: 1767225600.25
clock_end:
  description: The host's clock when the probe was done, in seconds since the epoch.
  returned: success
  type: float
  sample: 1767225600.31
disk_free:
  description: Bytes that an ordinary user may still write to the root file system.
  returned: success
  type: int
  sample: 21474836480
filesystems:
  description: Of folders that the collection writes much to, those of which the file system can be asked.
  returned: success
  type: dict
  sample:
    /opt/airflow:
      place: /opt/airflow
      exists: true
      link: false
      dangling: false
      mount: /
      free: 21474836480
      noexec: false
foreign:
  description:
    - Services of those that the collection brings, each with configuration files, or units, that are neither
      its own nor as the service's package brought them. Empty on hosts without dpkg.
  returned: success
  type: dict
  sample: {nginx: [/etc/nginx/sites-enabled/shop]}
postgresql_clusters:
  description: PostgreSQL's database clusters in C(/etc/postgresql).
  returned: success
  type: list
  elements: dict
  contains:
    version:
      description: The major version.
      type: str
      sample: "15"
    name:
      description: The name.
      type: str
      sample: main
    data:
      description: Its data directory.
      type: str
      sample: /var/lib/postgresql/15/main
    databases:
      description: How many databases it has that it was not made with.
      type: int
      sample: 1
    ours:
      description: Whether it is a metastore of this collection.
      type: bool
      sample: true
postgresql_package:
  description: Of the package C(postgresql), which stands for one major version.
  returned: success
  type: dict
  contains:
    sources:
      description: apt's lists that name the repository of PostgreSQL's own project.
      type: list
      elements: str
      sample: [/etc/apt/sources.list.d/pgdg.sources]
    version:
      description:
        - The major version that is installed, or else, with such a repository, would be. Empty where it
          is not known.
      type: str
      sample: "15"
firewalls:
  description:
    - Which firewalls are active, of V(ufw) and V(firewalld), and where the role
      P(airflowops.cluster.firewall#role) has put rules. V(airflowops) is its own table, V(airflowops-ufw) and
      V(airflowops-firewalld) are rules in those, be they active or not.
  returned: success
  type: list
  elements: str
  sample: []
ssh_connection:
  description:
    - Of the SSH connection by which the probe was started, or null where it was not. Root alone sees it
      through sudo.
  returned: success
  type: dict
  contains:
    client:
      description: The address from which it comes.
      type: str
      sample: 192.0.2.1
    client_port:
      description: The port from which it comes.
      type: int
      sample: 50312
    server_port:
      description: The port of the host.
      type: int
      sample: 22
ssh_ports:
  description: The ports at which SSH lets other hosts in.
  returned: success
  type: list
  elements: int
  sample: [22]
package_lists_age:
  description: Seconds since apt's package lists were refreshed, or null where there are none.
  returned: success
  type: int
  sample: 1800
packages:
  description: Names of the installed packages, on hosts of the Debian family.
  returned: success
  type: list
  elements: str
  sample: ["openssh-server", "python3"]
fqdn:
  description: The name that the host gives itself, as Python's C(socket.getfqdn) reports it.
  returned: success
  type: str
  sample: worker1.example.org
host_names:
  description: Of each address in C(/etc/hosts) the first name there.
  returned: success
  type: dict
  sample: {192.0.2.41: worker1.example.org}
ipv6:
  description: Whether the kernel opens sockets of IPv6. Where IPv6 is switched off by sysctl, it still does.
  returned: success
  type: bool
listening:
  description: The TCP sockets that listen, by port and address.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: The local address. V(0.0.0.0) and V(::) stand for all.
      type: str
      sample: 127.0.0.1
    port:
      description: The port.
      type: int
      sample: 7000
    pid:
      description: The process that holds the socket, or null where it cannot be seen.
      type: int
      sample: 812
    process:
      description: The name of that process, without its arguments.
      type: str
      sample: redis-server
    unit:
      description: The systemd unit of that process, or null where it has none.
      type: str
      sample: redis-cluster@7000.service
airflow_patches:
  description: Of each running service of Airflow the patches that are off, or skipped as they do not fit.
  returned: success
  type: dict
  sample: {}
digests:
  description: Of each of O(digest_paths) the checksum in 64 hexadecimal digits, or null where nothing is.
  returned: success
  type: dict
  sample: {/opt/example/data: null}
links:
  description: Of each of O(link_paths) what it points to, as it stands in the link, or null where no link is.
  returned: success
  type: dict
  sample: {/opt/example/current: /opt/example/versions/2}
memory_limit:
  description: The memory limit of the container that the host is, in bytes, or null where there is none.
  returned: success
  type: int
  sample: 2147483648
memory_total:
  description: The memory that the kernel knows of, in bytes. Some percent less than what is built in.
  returned: success
  type: int
  sample: 4109606912
os:
  description: The distribution as C(/etc/os-release) names it.
  returned: success
  type: dict
  contains:
    id:
      description: Its id.
      type: str
      sample: debian
    version:
      description: Its version, empty for a rolling one.
      type: str
      sample: "12"
    name:
      description: Its name for people.
      type: str
      sample: Debian GNU/Linux 12 (bookworm)
privileged:
  description: Whether the probe ran as root and so could see the owners of all sockets.
  returned: success
  type: bool
python:
  description: The version of the Python that ran the probe.
  returned: success
  type: str
  sample: 3.11.2
python_of_distribution:
  description:
    - Whether that Python is Debian's own, or one of the same version that sees its packages. False on hosts
      of other families.
  returned: success
  type: bool
python_path:
  description: Where that Python is.
  returned: success
  type: str
  sample: /usr/bin/python3
pythons:
  description: The versions of Python 3 with an interpreter in C(/usr/bin) or C(/usr/local/bin).
  returned: success
  type: list
  elements: str
  sample: ["3.11"]
systemd:
  description: Whether systemd is the init system and running.
  returned: success
  type: bool
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.patches import patches_not_on
from ansible_collections.airflowops.cluster.plugins.module_utils.host.checksums import path_digest
from ansible_collections.airflowops.cluster.plugins.module_utils.host.probe import link_target, probe
from ansible_collections.airflowops.cluster.plugins.module_utils.host.surroundings import surroundings


def main() -> None:
    start = time.time()
    module = AnsibleModule(
        argument_spec={
            "digest_paths": {"type": "list", "elements": "path", "default": []},
            "digest_ignore": {"type": "list", "elements": "str", "default": []},
            "link_paths": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    result = {**probe(), **surroundings()}
    try:
        digests = {
            path: path_digest(path, module.params["digest_ignore"]) for path in module.params["digest_paths"]
        }
    except OSError as error:
        module.fail_json(msg=f"{error.filename} cannot be read: {error.strerror}")
    result["airflow_patches"] = patches_not_on()
    links = {path: link_target(path) for path in module.params["link_paths"]}
    module.exit_json(
        changed=False, clock_start=start, clock_end=time.time(), digests=digests, links=links, **result
    )


if __name__ == "__main__":
    main()
