# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges the masters: their parts, and the heartbeats of them."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.module_utils.celery.inspect import same_host
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.context import Context, Down
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.report import count, follows, span
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.services import MASTER_PARTS


def asked(context: Context) -> dict[str, Any] | None:
    """What the first API server that answered reported."""
    for host in context.expected["masters"]:
        answer = context.observed.get(host, {}).get("airflow") or {}
        if answer.get("answers"):
            return {**answer, "asked": host}
    return None


def needs_of_masters(host: str) -> tuple[tuple[str, ...], ...]:
    return ("haproxy", host), ("endpoint", host, "metastore"), ("metastore",)


def judge_masters(context: Context) -> None:
    masters = context.expected["masters"]
    for host, part in context.parts("airflow"):
        if part["name"] not in MASTER_PARTS:
            context.unit_fault(host, part)
            continue
        context.unit_fault(host, part, *needs_of_masters(host))
        if not context.down("part", host, part["name"]) and context.seen(host) and part["url"]:
            answers(context, host, part)
        down = context.down("part", host, part["name"])
        if down and part["name"] == "api-server":
            context.set_down("api", host, because=down.because, finding=down.finding)
    logins(context)
    answer = asked(context)
    if answer is None:
        no_answer(context)
    else:
        heartbeats(context, answer)
        if masters:
            reported = [host for host in masters if not context.down("host", host)]
            context.report.note("airflow", f"{count(len(reported), 'master')}")
    seen = [host for host in masters if context.seen(host)]
    if seen == masters != [] and all(context.down("part", host, "execution-api") for host in masters):
        for host in masters:
            down = context.down("part", host, "execution-api")
            if down and down.finding:
                follows(down.finding, "no execution API answers: running tasks cannot report, and wait")
                break


def answers(context: Context, host: str, part: dict[str, Any]) -> None:
    """Whether a part whose unit is active serves."""
    name = part["name"]
    answer = context.table(host, "urls").get(name, {})
    if "error" in answer:
        cause, why = context.first_down(*needs_of_masters(host)), str(answer["error"])
    elif answer.get("status", 200) != 200:
        cause, why = context.first_down(*needs_of_masters(host)), f"it answers {answer['status']}"
    elif name == "api-server" and reached(answer) is False:
        cause, why = context.first_down(*needs_of_masters(host)), "it does not reach the metastore"
        if cause:
            # It would answer.
            context.report.unknown("airflow", "", cause.because, host=host, part=name)
            return
    else:
        return
    if cause:
        context.report.unknown("airflow", "", cause.because, host=host, part=name)
        context.set_down("part", host, name, because=cause.because, finding=cause.finding)
        return
    unit = MASTER_PARTS[name][0]
    finding = context.report.problem(
        "airflow",
        "runs and does not serve",
        why,
        f"`journalctl -u {unit} -n 50`, then `systemctl restart {unit}`",
        host=host,
        part=name,
    )
    context.set_down("part", host, name, because=f"{name} on {host} does not serve", finding=finding)


def reached(answer: dict[str, Any]) -> bool | None:
    body = answer.get("body")
    if not isinstance(body, dict):
        return None
    return bool((body.get("metadatabase") or {}).get("status") == "healthy")


def logins(context: Context) -> None:
    """A user who is not let in is so everywhere: one finding."""
    refused = [
        (host, answer)
        for host in context.expected["masters"]
        if (answer := context.observed.get(host, {}).get("airflow") or {}).get("login_refused")
    ]
    # Without its database the API server knows no user, and says that the password is wrong.
    explained = [host for host, _ in refused if context.first_down(*needs_of_masters(host))]
    if refused and not explained and asked(context) is None:
        _host, answer = refused[0]
        finding = context.report.problem(
            "airflow",
            "heartbeats, import errors and waiting tasks cannot be asked for",
            str(answer["reason"]),
            "give health_airflow_user and health_airflow_password a user of Airflow with the role Op",
        )
        context.set_down("login", because="Airflow does not let the user in", finding=finding)


def no_answer(context: Context) -> None:
    if not context.expected["masters"]:
        return
    hosts = context.expected["masters"]
    needs = [need for host in hosts for need in (*needs_of_masters(host), ("api", host), ("host", host))]
    cause = context.first_down(("metastore",), ("login",), *needs)
    reasons = [
        reason
        for host in hosts
        if (reason := (context.observed.get(host, {}).get("airflow") or {}).get("reason"))
    ]
    if cause is None:
        finding = context.report.problem(
            "airflow",
            "no API server reports Airflow's health",
            reasons[0] if reasons else "none could be asked",
            "`journalctl -u airflow-api-server -n 50` on the masters",
        )
        cause = Down("no API server answers", finding)
    context.set_down("answers", because=cause.because, finding=cause.finding)
    context.report.unknown("airflow", "heartbeats", cause.because)


def clock_offset(context: Context, host: str) -> float:
    return float(context.look(host).get("clock_offset") or 0.0)


def heartbeats(context: Context, answer: dict[str, Any]) -> None:
    """Of every master, not of the latest one alone."""
    if "jobs" in answer["errors"]:
        context.report.unknown("airflow", "heartbeats", answer["errors"]["jobs"])
        return
    limit = context.limits["heartbeat_seconds"]
    for host in context.expected["masters"]:
        fqdn = context.look(host).get("host", {}).get("fqdn", host)
        for name, (unit, kind, _url) in MASTER_PARTS.items():
            if not kind or context.down("part", host, name) or not context.seen(host):
                continue
            # Written by one clock and judged by another: what is wrong with them is a finding of its own.
            doubt = clock_offset(context, host) - clock_offset(context, answer["asked"])
            ages = [
                job["heartbeat_age"] + doubt
                for job in answer["jobs"]
                if job["type"] == kind and (same_host(job["host"], fqdn) or same_host(job["host"], host))
            ]
            if ages and min(ages) <= limit:
                continue
            cause = context.first_down(*needs_of_masters(host))
            if cause:
                context.report.unknown("airflow", "heartbeat", cause.because, host=host, part=name)
                continue
            context.report.problem(
                "airflow",
                f"its last heartbeat is {span(min(ages))} old" if ages else "there is no heartbeat of it",
                "the process runs and hangs, or does not reach the metastore",
                f"`journalctl -u {unit} -n 50`, then `systemctl restart {unit}`",
                host=host,
                part=name,
            )
