# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: groups
short_description: Inventory groups whose hosts play a role
version_added: 0.1.0
author: The airflowops.cluster maintainers (@airflowops)
description:
  - Returns the names of the inventory groups that play the given roles, for the C(hosts) of a play.
  - A group has the name of its role, or the one that the variable C(<role>_group) gives. C(hosts) is
    evaluated before group variables are read, so that another name is given with C(-e).
options:
  _terms:
    description:
      - V(redis_cluster), V(postgres_metastore), V(airflow_master), V(airflow_worker), V(flower), V(nginx_lb).
      - V(airflow) is the three groups of Airflow, V(cluster) is all six.
      - V(monitoring) is the group of C(observability_group), or none where the inventory has no such group.
    required: true
"""

EXAMPLES = r"""
- name: Ping the hosts of Airflow and of nginx
  hosts: "{{ lookup('airflowops.cluster.groups', 'airflow', 'nginx_lb') }}"
  tasks:
    - name: Ping
      ansible.builtin.ping:
"""

RETURN = r"""
_raw:
  description: Names of groups, in the order of the terms.
  type: list
  elements: str
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

AIRFLOW = ("airflow_master", "airflow_worker", "flower")
CLUSTER = ("redis_cluster", "postgres_metastore", *AIRFLOW, "nginx_lb")
SETS = {**{name: (name,) for name in CLUSTER}, "airflow": AIRFLOW, "cluster": CLUSTER}


def group_names(terms: Iterable[str], named: Mapping[str, str], inventory: Iterable[str]) -> Iterator[str]:
    """named: {variable: name of a group}. inventory: the groups that there are."""
    for term in terms:
        if term == "monitoring":
            group = named.get("observability_group", "monitoring")
            yield from (group,) if group in inventory else ()
        elif term in SETS:
            yield from (named.get(f"{role}_group", role) for role in SETS[term])
        else:
            raise ValueError(
                f"{term} is no role that a group plays: name one of {', '.join(SETS)}, monitoring"
            )


class LookupModule(LookupBase):
    def run(self, terms: list[Any], variables: Any = None, **kwargs: Any) -> list[str]:  # noqa: ARG002
        given = variables or {}
        names = [f"{role}_group" for role in (*CLUSTER, "observability")]
        named = {name: self._templar.template(given[name]) for name in names if name in given}
        try:
            return list(group_names(self._flatten(terms), named, given.get("groups", {})))
        except ValueError as error:
            raise AnsibleLookupError(str(error)) from error
