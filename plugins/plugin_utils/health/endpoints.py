# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges what leads to the parts: HAProxy on each host, Flower, and nginx in front."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.context import Context, Down
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.report import count, follows, span

SHOW = '`journalctl -u haproxy -n 50`; docs/troubleshooting.md, "Which servers does HAProxy use?"'
# Which part a server of these listeners is.
SERVED_BY = {"execution": "execution-api", "api": "api-server", "flower": "flower"}


def judge_endpoints(context: Context) -> None:
    seen = 0
    for host, part in context.parts("endpoints"):
        finding = context.unit_fault(host, part)
        down = context.down("part", host, "haproxy")
        if down:
            context.set_down("haproxy", host, because=down.because, finding=finding or down.finding)
            continue
        if not context.seen(host):
            continue
        why = context.error(host, "haproxy")
        if why:
            finding = context.report.problem(
                "endpoints", "runs and cannot be asked", why, SHOW, host=host, part="haproxy"
            )
            context.set_down("haproxy", host, because=f"HAProxy on {host} cannot be asked", finding=finding)
            continue
        seen += 1
        by_listener: dict[str, list[dict[str, Any]]] = {}
        for server in context.listed(host, "haproxy"):
            if server["checked"] and not server["backup"]:
                by_listener.setdefault(server["listener"], []).append(server)
        for listener, servers in by_listener.items():
            one(context, host, listener, servers)
    if seen:
        context.report.note("endpoints", f"on {count(seen, 'host')}")


def one(context: Context, host: str, listener: str, servers: list[dict[str, Any]]) -> None:
    up = [server for server in servers if server["up"]]
    if listener in ("broker", "metastore"):
        one_leads(context, host, listener, servers, up)
        return
    for server in servers:
        if server["up"]:
            continue
        name = SERVED_BY.get(listener)
        part = next(
            (
                entry
                for entry in context.expected["hosts"].get(server["server"], {}).get("parts", [])
                if entry["name"] == name
            ),
            None,
        )
        cause = None if part is None else reason(context, server["server"], part)
        if cause is None:
            finding = context.report.problem(
                "endpoints",
                f"does not reach {name or listener} of {server['server']}",
                f"its check says {server['check'] or server['status']}, for {span(server['seconds'])}",
                f"from {host} to {server['server']}: is the port open? {SHOW}",
                host=host,
                part="haproxy",
            )
            cause = Down("", finding)
        if not up and cause.finding:
            follows(cause.finding, f"HAProxy on {host}: no server for `{listener}`")


def reason(context: Context, host: str, part: dict[str, Any]) -> Down | None:
    """Why a part does not answer HAProxy, if that is known by other means."""
    down = context.first_down(("part", host, part["name"]), ("host", host), ("haproxy", host), ("metastore",))
    if down:
        return down
    state = context.unit(host, part).get("state")
    answer = context.table(host, "urls").get(part["name"], {})
    if state not in (None, "active", "reloading") or "error" in answer or answer.get("status", 200) != 200:
        # Judged with the part itself, later on.
        return Down(f"{part['name']} on {host} does not serve")
    return None


def one_leads(
    context: Context, host: str, listener: str, servers: list[dict[str, Any]], up: list[dict[str, Any]]
) -> None:
    what = {"broker": "the broker's owner", "metastore": "the metastore's primary"}[listener]
    down = context.down(listener)
    if not up and down:
        if down.finding:
            follows(down.finding, f"HAProxy on {host}: no server for `{listener}`")
        context.report.set_part(host, "haproxy", detail=f"no server for {listener}: {down.because}")
        context.set_down("endpoint", host, listener, because=down.because, finding=down.finding)
    elif not up:
        check = servers[0]["check"] or servers[0]["status"]
        finding = context.report.problem(
            "endpoints",
            f"does not find {what}",
            f"none of {count(len(servers), 'server')} passes its check ({check}) although it is "
            "there: the password "
            "differs, or the network is in between",
            f"run site.yml; {SHOW}",
            host=host,
            part="haproxy",
        )
        context.set_down(
            "endpoint", host, listener, because=f"HAProxy on {host} does not find {what}", finding=finding
        )
    elif len(up) > 1 and (listener == "broker" or len(servers) > 1):
        context.report.warn(
            "endpoints",
            f"takes {count(len(up), 'server')} for {what}: {', '.join(server['server'] for server in up)}",
            "a failover is under way, or two of them believe that they lead",
            f"look again in a few seconds; {SHOW}",
            host=host,
            part="haproxy",
        )


# --- What people see


def judge_flower(context: Context) -> None:
    for host, part in context.parts("flower"):
        needs = (("haproxy", host), ("endpoint", host, "broker"), ("broker",))
        context.unit_fault(host, part, *needs)
        if context.down("part", host, part["name"]) or not context.seen(host):
            continue
        answer = context.table(host, "urls").get(part["name"], {})
        if "error" in answer or answer.get("status", 200) != 200:
            cause = context.first_down(*needs)
            if cause:
                context.report.unknown("flower", "", cause.because, host=host, part=part["name"])
                continue
            refused = answer.get("status") == 401
            context.report.problem(
                "flower",
                "refuses flower_user with flower_password" if refused else "runs and does not answer",
                str(answer.get("error") or f"it answers {answer['status']}"),
                "`site.yml` with the password that it is to have"
                if refused
                else "`journalctl -u flower -n 50`, then `systemctl restart flower`",
                host=host,
                part=part["name"],
            )
            context.set_down("part", host, part["name"], because=f"Flower on {host} does not answer")
        else:
            context.report.note("flower", f"{host} answers")


def judge_front(context: Context) -> None:
    for host, part in context.parts("front"):
        context.unit_fault(host, part)
        if context.down("part", host, part["name"]) or not context.seen(host):
            continue
        answer = context.table(host, "urls").get(part["name"], {})
        if "error" in answer:
            context.report.problem(
                "front",
                "runs and does not answer",
                str(answer["error"]),
                "`nginx -t`, `journalctl -u nginx -n 50`",
                host=host,
                part=part["name"],
            )
        elif answer.get("status", 200) >= 500:
            masters_down = context.any_down("api")
            cause = context.first_down(("haproxy", host), ("metastore",))
            if cause is None and len(masters_down) >= len(context.expected["masters"]) > 0:
                cause = masters_down[0]
            if cause:
                if cause.finding:
                    follows(cause.finding, f"nginx on {host} answers {answer['status']}: there is no UI")
                context.report.unknown("front", "the UI", cause.because, host=host, part=part["name"])
            else:
                context.report.problem(
                    "front",
                    f"answers {answer['status']}",
                    "it finds no API server, though one answers on its host",
                    SHOW,
                    host=host,
                    part=part["name"],
                )
        else:
            context.report.note("front", f"{host} answers")
