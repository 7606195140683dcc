# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges the Redis Cluster: its nodes, who owns the broker's slot, and what would happen if a host died."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.module_utils.redis.model import (
    BUS_OFFSET,
    SLOT_COUNT,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.context import Context
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.report import count, follows

MIB = 1024**2
START = "`systemctl start {unit}` on {host}; `journalctl -u {unit} -n 50`"
HEAL = "run redis_heal.yml"


def judge_redis(context: Context) -> None:
    if not context.expected["redis_nodes"]:
        if context.expected["broker"] == "other":
            context.report.note("redis", "the broker is another one (airflow_broker_url)")
        return
    faults = nodes(context)
    view = best_view(context)
    if view is None:
        gone = context.first_down(*(("host", host) for host, _ in context.parts("redis")))
        broken = [fault for fault in faults if context.seen(fault["host"])]
        if broken:
            context.set_down("broker", because="the broker is down", finding=broken[0])
            follows(broken[0], "no Redis node answers: no task can be queued")
        else:
            because = gone.because if gone else "no Redis node can be asked"
            context.set_down("broker", because=because, finding=gone.finding if gone else None)
            context.report.unknown("redis", "state, slots and replicas", because)
        return
    members(context, view)
    whole(context, view, faults)
    replicas(context, view, faults)
    spread(context, view)


def nodes(context: Context) -> list[dict[str, Any]]:
    """Each node by itself. Returns the findings about those that are down."""
    faults: list[dict[str, Any]] = []
    for host, part in context.parts("redis"):
        port = part["name"].split()[-1]
        fault = context.unit_fault(host, part)
        if fault:
            faults.append(fault)
        down = context.down("part", host, part["name"])
        if down:
            context.set_down("redis", host, port, because=down.because, finding=down.finding)
            if down.finding and down.finding not in faults:
                faults.append(down.finding)
            continue
        if not context.seen(host):
            continue
        why = context.error(host, "redis")
        node = context.table(host, "redis").get(port, {})
        if why:
            context.report.unknown("redis", "", why, host=host, part=part["name"])
        elif "error" in node:
            fault = context.report.problem(
                "redis",
                "runs and does not answer",
                node["error"],
                f"`journalctl -u redis-cluster@{port} -n 50` on {host}; if the password differs, "
                "run site.yml",
                host=host,
                part=part["name"],
            )
            faults.append(fault)
            context.set_down(
                "redis", host, port, because=f"redis {port} on {host} does not answer", finding=fault
            )
        elif node:
            one(context, host, part["name"], node)
    return faults


def one(context: Context, host: str, name: str, node: dict[str, Any]) -> None:
    role = node["role"] + (", owns the broker's slot" if node["owner"] and node["role"] == "master" else "")
    context.report.set_part(host, name, role=role)
    if not node["link_up"]:
        context.report.problem(
            "redis",
            "is not in step with its master",
            "the replica has no connection to its master, or copies it again",
            f"`journalctl -u redis-cluster@{name.split()[-1]} -n 50`; wait a minute, then {HEAL}",
            host=host,
            part=name,
        )
    if not node["saved"]:
        context.report.problem(
            "redis",
            "cannot write its data to disk",
            "its last append or snapshot failed: the disk is full, or there is not enough memory for a fork",
            f"`df -h /var/lib/redis-cluster` and `journalctl -u redis-cluster@{name.split()[-1]} -n 50`",
            host=host,
            part=name,
        )
    memory = node["memory"]
    if memory["limit"]:
        percent = round(100 * memory["used"] / memory["limit"], 1)
        context.graded(
            percent,
            context.limits["redis_memory_warn_percent"],
            context.limits["redis_memory_percent"],
            "redis",
            f"has used {percent:g} % of its memory",
            f"{memory['used'] / MIB:.0f} MiB of {memory['limit'] / MIB:.0f} MiB; when all is "
            "used no task can be queued",
            "see whether workers serve every queue, or raise redis_cluster_maxmemory",
            host=host,
            part=name,
        )


def best_view(context: Context) -> list[dict[str, Any]] | None:
    """What a node knows of the cluster: of those that answer, one that sees a majority of the masters."""
    answers = [
        node
        for host, part in context.parts("redis")
        if "members" in (node := context.table(host, "redis").get(part["name"].split()[-1], {}))
    ]
    best = max(
        answers,
        key=lambda node: (node["cluster_ok"], -sum(member["failed"] for member in node["members"])),
        default=None,
    )
    return best["members"] if best else None


def place(context: Context, member: dict[str, Any]) -> tuple[str, str]:
    """Host of the inventory and port of a member; the host is empty if it is not listed."""
    for host, part in context.parts("redis"):
        node = context.table(host, "redis").get(part["name"].split()[-1], {})
        if node.get("id") == member["id"]:
            return host, part["name"].split()[-1]
    for entry in context.expected["redis_nodes"]:
        if (entry["ip"], int(entry["port"])) == (member["address"], member["port"]):
            return entry["name"], str(entry["port"])
    return "", str(member["port"])


def named(context: Context, member: dict[str, Any]) -> str:
    host, port = place(context, member)
    return f"{host or member['address']}:{port}"


def members(context: Context, view: list[dict[str, Any]]) -> None:
    names = {member["id"]: named(context, member) for member in view}
    for member in view:
        host, port = place(context, member)
        gone = member["failed"] or context.down("redis", host, port) is not None
        context.redis_members.append(
            {
                "node": names[member["id"]],
                "host": host,
                "role": member["role"],
                "replica_of": names.get(member["master_id"], "") if member["master_id"] else "",
                "slots": member["slots"],
                "owner": member["owner"],
                "state": "problem" if gone else "ok",
            }
        )
        if not host:
            context.report.warn(
                "redis",
                f"{names[member['id']]} is a member and is not in the inventory",
                "hosts or ports were taken out of the inventory, or somebody added a node",
                "run redis_scale.yml, which moves its slots and takes it out; or list it",
            )
    known = {place(context, member) for member in view}
    for entry in context.expected["redis_nodes"]:
        key = (entry["name"], str(entry["port"]))
        if key not in known and not context.down("redis", *key):
            context.report.problem(
                "redis",
                "is not a member of the cluster",
                "it is new, or has lost its nodes.conf",
                "run redis_scale.yml",
                host=key[0],
                part=f"redis {key[1]}",
            )


def whole(context: Context, view: list[dict[str, Any]], faults: list[dict[str, Any]]) -> None:
    def is_down(member: dict[str, Any]) -> bool:
        return member["failed"] or context.down("redis", *place(context, member)) is not None

    living = [member for member in view if member["role"] == "master" and not is_down(member)]
    covered = sum(member["slots"] for member in living)
    owner = next((member for member in living if member["owner"]), None)
    if covered < SLOT_COUNT:
        text = f"{SLOT_COUNT - covered} of {SLOT_COUNT} slots have no master"
        if faults:
            follows(faults[0], text)
        else:
            faults.append(
                context.report.problem(
                    "redis",
                    text,
                    "masters are lost that no replica could take over from",
                    "start the missing nodes: their data is in /var/lib/redis-cluster; or " + HEAL,
                )
            )
    if owner is None:
        text = "no node owns the broker's slot: no task can be queued"
        if faults:
            follows(faults[0], text)
        context.set_down("broker", because="the broker is down", finding=faults[0] if faults else None)
    else:
        context.report.note("redis", f"{named(context, owner)} owns the broker's slot")
    answering = [
        node
        for host, part in context.parts("redis")
        if "cluster_ok" in (node := context.table(host, "redis").get(part["name"].split()[-1], {}))
    ]
    if not any(node["cluster_ok"] for node in answering):
        text = "the cluster's state is `fail`"
        if faults:
            follows(faults[0], text)
        else:
            context.report.problem(
                "redis",
                text,
                "fewer than half of the masters see each other",
                f"bring hosts back; see that their bus ports (port + {BUS_OFFSET}) are open between them",
            )


def replicas(context: Context, view: list[dict[str, Any]], faults: list[dict[str, Any]]) -> None:
    wanted = context.expected["redis_replicas"]
    if not wanted:
        return
    for master in view:
        if master["role"] != "master" or not master["slots"]:
            continue
        if master["failed"] or context.down("redis", *place(context, master)):
            continue
        there = [
            member
            for member in view
            if member["master_id"] == master["id"]
            and not member["failed"]
            and not context.down("redis", *place(context, member))
        ]
        if len(there) < wanted:
            what = f"has {len(there)} of {count(wanted, 'replica')}"
            if master["owner"]:
                what += " and owns the broker's slot: its loss stops all tasks"
            if faults:
                follows(faults[0], f"{named(context, master)} {what}")
            else:
                host, port = place(context, master)
                context.report.problem(
                    "redis",
                    what,
                    "its replica left it, or was taken out",
                    HEAL,
                    host=host,
                    part=f"redis {port}",
                )


def spread(context: Context, view: list[dict[str, Any]]) -> None:
    """Whether the loss of one host is survived."""
    hosts = {entry["name"] for entry in context.expected["redis_nodes"]}
    masters = [
        member for member in view if member["role"] == "master" and member["slots"] and not member["failed"]
    ]
    if len(hosts) < 2:
        return
    by_host: dict[str, list[str]] = {}
    for member in masters:
        by_host.setdefault(place(context, member)[0], []).append(named(context, member))
    most = -(-len(masters) // len(hosts))
    for host, names in by_host.items():
        if host and len(names) > most:
            context.report.warn(
                "redis",
                f"{count(len(names), 'master')} of {len(masters)} are on it: {', '.join(names)}",
                "roles moved in a failover; nothing is lost, but this host must not be lost now",
                HEAL,
                host=host,
            )
    for member in view:
        master = next((other for other in view if other["id"] == member["master_id"]), None)
        if master and place(context, master)[0] == place(context, member)[0] != "":
            context.report.warn(
                "redis",
                f"{named(context, master)} has its replica on its own host",
                "nodes were added or moved by hand",
                HEAL,
                host=place(context, member)[0],
            )
