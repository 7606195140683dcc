# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges what was seen of a cluster: facts in, findings out. Pure functions.

They go from what stands by itself to what stands on it: hosts, Redis and the metastore, HAProxy, Airflow.
Each notes what is down, so that what comes later can distinguish a consequence from a fault of its own.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.context import Context
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.dags import judge_dags
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.endpoints import (
    judge_endpoints,
    judge_flower,
    judge_front,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.masters import judge_masters
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.metastore import (
    judge_backups,
    judge_metastore,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.patches import judge_patches
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.redis import judge_redis
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.report import (
    UNKNOWN,
    count,
    finished,
    span,
    worst,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.workers import judge_workers

GIB = 1024**3
SECONDS_PER_DAY = 86400
# Units of ours that nobody expects to run all the time: what a timer starts, and what runs once.
OUR_UNITS = (
    "airflow-",
    "flower.",
    "haproxy.",
    "nginx.",
    "redis-cluster@",
    "patroni.",
    "etcd.",
    "postgresql",
    "pgbackrest.",
    "metastore-",
    "keepalived.",
)
RUN_AGAIN = "run site.yml, which starts what is down and sets right what differs"


def judge(
    expected: Mapping[str, Any], observed: Mapping[str, Any], limits: Mapping[str, Any], now: float
) -> dict[str, Any]:
    """The report: see docs/health.md for its shape.

    expected: name; hosts {host: {address, roles, parts, workers, names}}; queues {queue: hosts}; masters;
        required {queue: number}; redis_nodes [{name, ip, port}]; redis_replicas; broker (own or other);
        broker_kind; metastore (own or other); metastore_hosts; etcd_hosts; synchronous; database; backups
        (whether there are to be any); backup_host.
    observed: {host: {reachable, left_out, reason, look, airflow, membership}}.
    limits: the inputs of the role `health` without their prefix.
    """
    context = Context(expected, observed, limits, now)
    hosts(context)
    judge_redis(context)
    judge_metastore(context)
    judge_backups(context)
    judge_endpoints(context)
    judge_masters(context)
    judge_workers(context)
    judge_dags(context)
    judge_patches(context)
    judge_flower(context)
    judge_front(context)
    other_units(context)
    certificates(context)
    versions(context)
    return finished(
        context.report,
        expected["name"],
        now,
        [described(context, name) for name in expected["hosts"]],
        queues=context.queues,
        versions=context.versions,
        redis=context.redis_members,
    )


def described(context: Context, name: str) -> dict[str, Any]:
    """The host as the page draws it."""
    look = context.look(name)
    states = [part["state"] for (host, _), part in context.report.parts.items() if host == name]
    states += [entry["level"] for entry in context.report.findings if entry["host"] == name]
    if not context.seen(name):
        states.append(UNKNOWN)
    memory = look.get("host", {}).get("memory", {})
    return {
        "name": name,
        "address": context.expected["hosts"][name]["address"],
        "roles": list(context.expected["hosts"][name]["roles"]),
        "reachable": context.seen(name),
        "state": worst(states),
        "os": look.get("host", {}).get("os", {}).get("name", ""),
        "memory_used_percent": round(100 - 100 * memory["available"] / memory["total"], 1)
        if memory.get("total")
        else None,
        "disks": [
            {"path": disk["path"], "used_percent": disk["used_percent"]}
            for disk in context.listed(name, "disks")
        ],
        "clock_offset": look.get("clock_offset"),
        "workers": context.expected["hosts"][name]["workers"],
    }


# --- Hosts


def hosts(context: Context) -> None:
    seen = 0
    for name, host in context.expected["hosts"].items():
        for part in host["parts"]:
            context.report.add_part(name, part)
        if context.observed.get(name, {}).get("left_out"):
            context.host_down(name, f"{name} was left out (--limit)")
        elif not context.observed.get(name, {}).get("reachable"):
            finding = context.report.problem(
                "hosts",
                "does not answer",
                context.observed.get(name, {}).get("reason") or "no connection over SSH",
                "see to its power, its network and its SSH; until it is back, `--limit '!"
                + name
                + "'` lets other playbooks "
                "run without it",
                host=name,
            )
            context.host_down(name, f"host {name} does not answer", finding)
        elif not context.look(name):
            finding = context.report.problem(
                "hosts",
                "could not be looked at",
                context.observed[name].get("reason") or "the module failed",
                f"`systemctl status` on {name}: is it overloaded, or its disk full or read-only?",
                host=name,
            )
            context.host_down(name, f"host {name} could not be looked at", finding)
        else:
            seen += 1
            machine(context, name)
    clocks(context)
    context.report.note("hosts", f"{seen} of {count(len(context.expected['hosts']), 'host')} looked at")


def machine(context: Context, name: str) -> None:
    limits = context.limits
    knows = context.look(name).get("host", {}).get("knows_names", True)
    if context.expected["hosts"][name].get("names") and not knows:
        context.report.problem(
            "hosts",
            "its /etc/hosts has lost the names of the cluster's hosts",
            "cloud-init (manage_etc_hosts) or another tool wrote the file, perhaps at the last boot: "
            "task logs are not found, and neither is the backup host",
            "run site.yml, which writes them, and keep that tool from the file; with a name service that "
            "knows all hosts set airflow_manage_hosts_file to false",
            host=name,
        )
    for disk in context.listed(name, "disks"):
        for kind, percent in (("full", disk["used_percent"]), ("out of inodes", disk["inodes_percent"])):
            context.graded(
                percent,
                limits["disk_warn_percent"],
                limits["disk_percent"],
                "hosts",
                f"the file system of {disk['path']} is {percent:g} % "
                + ("full" if kind == "full" else "out of inodes"),
                f"{disk['free'] / GIB:.1f} GiB of {disk['size'] / GIB:.1f} GiB are free"
                if kind == "full"
                else "too many small files",
                f"`du -xh --max-depth=2 {disk['path']} | sort -h | tail`; task logs go after "
                "airflow_log_retention "
                "days, backups after postgres_metastore_backup_retention_full",
                host=name,
            )
    memory = context.look(name).get("host", {}).get("memory", {})
    if memory.get("total"):
        used = round(100 - 100 * memory["available"] / memory["total"], 1)
        context.graded(
            used,
            limits["memory_warn_percent"],
            limits["memory_percent"],
            "hosts",
            f"{used:g} % of the memory is used",
            f"{memory['available'] / GIB:.1f} GiB of {memory['total'] / GIB:.1f} GiB are available",
            "`systemd-cgtop -m` names who has it; lower the concurrency of workers, or give the host more",
            host=name,
        )


def clocks(context: Context) -> None:
    """Against the controller's; where all differ from it alike, it is the controller's that is wrong."""
    limit = context.limits["clock_offset"]
    offsets = {
        name: (context.look(name)["clock_offset"], context.look(name).get("clock_uncertainty", 0.0))
        for name in context.expected["hosts"]
        if context.look(name).get("clock_offset") is not None
    }
    wrong = {name: offset for name, (offset, doubt) in offsets.items() if abs(offset) - doubt > limit}
    fix = "`timedatectl`: a time service (systemd-timesyncd or chrony) must run and reach its servers"
    spread = max(wrong.values(), default=0) - min(wrong.values(), default=0)
    if len(wrong) > 1 and len(wrong) == len(offsets) and spread <= limit:
        offset = max(wrong.values(), key=abs)
        context.report.problem(
            "hosts",
            f"the controller's clock is {span(offset)} {'behind' if offset > 0 else 'ahead of'} all hosts'",
            "its time is not kept",
            f"on the controller: {fix}",
        )
        return
    for name, offset in wrong.items():
        context.report.problem(
            "hosts",
            f"its clock is {span(offset)} {'ahead' if offset > 0 else 'behind'}",
            "nothing keeps its time; tokens of tasks are refused, and heartbeats look old",
            fix,
            host=name,
        )


def other_units(context: Context) -> None:
    """Units that have failed and are none of the parts: what timers started, and what is not ours."""
    for name in context.expected["hosts"]:
        units = context.look(name).get("systemd", {})
        parts = {entry["unit"] for entry in units.get("units", {}).values()}
        for unit in units.get("failed", []):
            if unit in parts:
                continue
            fix = f"`journalctl -u {unit} -n 50`, then `systemctl restart {unit}`"
            if unit.startswith(OUR_UNITS):
                component = "backups" if unit.startswith(("metastore-", "pgbackrest.")) else "airflow"
                timer = unit.startswith(("metastore-backup@", "airflow-clean."))
                context.report.problem(
                    component,
                    f"{unit} failed",
                    "its last run, started by its timer, ended with an error"
                    if timer
                    else "it ended with an error",
                    fix,
                    host=name,
                )
            else:
                context.report.warn(
                    "hosts", f"{unit} failed", "it is not one of the cluster's", fix, host=name
                )


# --- Certificates and versions


def certificates(context: Context) -> None:
    soonest: float | None = None
    for name in context.expected["hosts"]:
        for certificate in context.listed(name, "certificates"):
            path = certificate["path"]
            fix = (
                "the collection's own are renewed by site.yml in the last third of their time: "
                "run it; one that "
                "was given is replaced in the inventory"
            )
            if "error" in certificate:
                context.report.problem(
                    "certificates", f"{path} cannot be read", certificate["error"], fix, host=name
                )
                continue
            left = certificate["ends"] - context.now
            soonest = left if soonest is None else min(left, soonest)
            what = f"{path} ended {span(left)} ago" if left <= 0 else f"{path} ends in {span(left)}"
            context.graded(
                -left,
                -context.limits["certificate_warn_days"] * SECONDS_PER_DAY,
                -context.limits["certificate_days"] * SECONDS_PER_DAY,
                "certificates",
                what,
                f"it is valid until then ({certificate['subject']})",
                fix,
                host=name,
            )
    if soonest is not None:
        context.report.note(
            "certificates", f"the first one ends in {span(soonest)}" if soonest > 0 else "one has ended"
        )


def versions(context: Context) -> None:
    """Of Airflow what is installed and what answers; of Redis and PostgreSQL what runs."""
    found: dict[str, dict[str, str]] = {"Airflow": {}, "Redis": {}, "PostgreSQL": {}}
    for name in context.expected["hosts"]:
        look = context.look(name)
        if isinstance(look.get("airflow_installed"), str):
            found["Airflow"][name] = look["airflow_installed"]
        for port, node in context.table(name, "redis").items():
            if isinstance(node, dict) and node.get("version"):
                found["Redis"][f"{name}:{port}"] = node["version"]
                context.report.set_part(name, f"redis {port}", version=node["version"])
        if context.table(name, "postgres").get("version"):
            # "15.8 (Debian 15.8-0+deb12u1)"
            version = str(look["postgres"]["version"]).split(" ", maxsplit=1)[0]
            found["PostgreSQL"][name] = version
            for part in ("postgresql", "patroni"):
                context.report.set_part(name, part, version=version)
        runs = context.observed.get(name, {}).get("airflow") or {}
        if runs.get("version"):
            context.report.set_part(name, "api-server", version=runs["version"])
            if found["Airflow"].get(name) not in (None, runs["version"]):
                context.report.warn(
                    "versions",
                    f"Airflow {runs['version']} answers and {found['Airflow'][name]} is installed",
                    "it was not restarted since the other version came, or an upgrade is under way",
                    RUN_AGAIN,
                    host=name,
                    part="api-server",
                )
    for program, by_place in found.items():
        kinds = sorted(set(by_place.values()))
        context.versions[program] = by_place
        if len(kinds) > 1:
            context.report.warn(
                "versions",
                f"{program} differs: "
                + "; ".join(
                    f"{kind} on {', '.join(place for place in by_place if by_place[place] == kind)}"
                    for kind in kinds
                ),
                "an upgrade is under way or stopped half-way, or a host was left out",
                {
                    "Airflow": "run airflow_upgrade.yml or site.yml on all hosts",
                    "Redis": "run redis_upgrade.yml",
                    "PostgreSQL": "run metastore_upgrade.yml",
                }[program],
            )
        elif kinds:
            context.report.note("versions", f"{program} {kinds[0]}")
