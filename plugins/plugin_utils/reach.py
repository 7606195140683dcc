# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts answer in this run, and what is left undone on those that do not. Pure functions.

The fact ``__topology_reach`` of a host is ``run`` (it takes part), ``excluded`` (left out by ``--limit``, and
answers) or ``unreachable`` (left out, and does not answer). See roles/topology/tasks/reached.yml.
"""

from __future__ import annotations

import re
from typing import Any, Mapping, Sequence

REACH = "__topology_reach"
UNDONE = "__topology_undone"
# What a host was reached with, in playbooks that begin with preflight and in the others.
PROBES = ("__preflight_probe", "__topology_reached")
Hostvars = Mapping[str, Mapping[str, Any]]


def answering(hosts: Sequence[str], hostvars: Hostvars, excluded_only: bool = False) -> list[str]:
    """Those of the hosts that answer, in their order: first the hosts of this run, then the excluded ones.

    All of them where nobody has asked, as where a role is used in a playbook of the user's own.
    """
    if excluded_only:
        return [host for host in hosts if hostvars[host].get(REACH) == "excluded"]
    if not any(REACH in hostvars[host] for host in hosts):
        return list(hosts)
    return [host for reach in ("run", "excluded") for host in hosts if hostvars[host].get(REACH) == reach]


def reason_of(variables: Mapping[str, Any]) -> str | None:
    """Why a host does not answer, in one line; none if it does."""
    for name in PROBES:
        probe = variables.get(name)
        if isinstance(probe, Mapping) and probe.get("unreachable"):
            text = " ".join(str(probe.get("msg") or "no reason given").split())
            # ssh's own words come last.
            return re.split(r"reached over ssh: |via ssh: ", text)[-1].rstrip(".")
    return None


def limit_without(limit: str, hosts: Sequence[str]) -> str:
    """The value of --limit that excludes the hosts as well. One with commas is split at these alone."""
    separator = "," if "," in limit else ":"
    return separator.join([*([limit] if limit else []), *(f"!{host}" for host in hosts)])


def unreachable_message(
    hosts: Sequence[str],
    hostvars: Hostvars,
    limit: str = "",
    needs_all: bool = False,
    needs: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """What to do about the hosts that do not answer; empty if all do."""
    silent = {host: reason for host in hosts if (reason := reason_of(hostvars[host])) is not None}
    if not silent:
        return ""
    lines = [f"{', '.join(silent)}: no answer over SSH. Nothing was changed."]
    lines += [f"- {host}: {reason}." for host, reason in silent.items()]
    lost = [group for group, members in (needs or {}).items() if members and set(members) <= set(silent)]
    fix = "Start the hosts, or correct how Ansible reaches them (ansible_host, ansible_port, ansible_user)"
    if lost:
        lines.append(
            f"{fix}. No other host is in {' and '.join(lost)}, without which no service of Airflow works: "
            "the run cannot go on without it."
        )
    elif needs_all:
        lines.append(
            f"{fix}. This playbook serves all hosts or none: take a host that is gone for good out of the "
            "inventory."
        )
    elif set(hosts) <= set(silent):
        lines.append(f"{fix}.")
    else:
        lines.append(
            f"{fix}; or run without them, and run again for all when they are back: "
            f"--limit '{limit_without(limit, list(silent))}'"
        )
    return "\n".join(lines)


def lost_groups_message(needs: Mapping[str, Sequence[str]], hostvars: Hostvars) -> str:
    """The groups of which a host is needed and none answers; empty if there is none."""
    lost = {group: hosts for group, hosts in needs.items() if hosts and not answering(hosts, hostvars)}
    return " ".join(
        f"{', '.join(hosts)}: no answer over SSH, and no other host is in {group}, without which no "
        "service of Airflow works. Nothing was changed. Start one of them first; what to do with a host that "
        "is lost for good stands in docs/troubleshooting.md."
        for group, hosts in lost.items()
    )


def undone_lines(hosts: Sequence[str], hostvars: Hostvars, in_run: Sequence[str]) -> list[str]:
    """What a run could not do: on hosts that it left out, and what its roles noted."""
    absent = [host for host in hosts if host not in in_run]
    silent = [host for host in absent if hostvars[host].get(REACH) == "unreachable"]
    others = [host for host in absent if host not in silent]
    lines = []
    if silent:
        lines.append(
            f"Nothing was done on {', '.join(silent)}: excluded by --limit, no answer over SSH. When "
            "they are back, run this playbook again without --limit."
        )
    if others:
        lines.append(
            f"Excluded by --limit: {', '.join(others)}. This playbook without --limit serves them too."
        )
    for host in hosts:
        lines += [line for line in hostvars[host].get(UNDONE) or [] if line not in lines]
    return lines
