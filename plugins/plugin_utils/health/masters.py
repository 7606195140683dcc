# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges the masters: their parts, and the heartbeats of them."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.module_utils.celery.inspect import same_host
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.context import Down, Scene
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.report import count, follows, span
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.services import MASTER_PARTS


def asked(scene: Scene) -> dict[str, Any] | None:
    """What the first API server that answered told."""
    for host in scene.expected["masters"]:
        answer = scene.observed.get(host, {}).get("airflow") or {}
        if answer.get("answers"):
            return {**answer, "asked": host}
    return None


def needs_of_masters(host: str) -> tuple[tuple[str, ...], ...]:
    return ("haproxy", host), ("endpoint", host, "metastore"), ("metastore",)


def judge_masters(scene: Scene) -> None:
    masters = scene.expected["masters"]
    for host, part in scene.parts("airflow"):
        if part["name"] not in MASTER_PARTS:
            scene.unit_fault(host, part)
            continue
        scene.unit_fault(host, part, *needs_of_masters(host))
        if not scene.down("part", host, part["name"]) and scene.seen(host) and part["url"]:
            answers(scene, host, part)
        down = scene.down("part", host, part["name"])
        if down and part["name"] == "api-server":
            scene.set_down("api", host, because=down.because, finding=down.finding)
    logins(scene)
    answer = asked(scene)
    if answer is None:
        no_answer(scene)
    else:
        heartbeats(scene, answer)
        if masters:
            told = [host for host in masters if not scene.down("host", host)]
            scene.report.note("airflow", f"{count(len(told), 'master')}")
    seen = [host for host in masters if scene.seen(host)]
    if seen == masters != [] and all(scene.down("part", host, "execution-api") for host in masters):
        for host in masters:
            down = scene.down("part", host, "execution-api")
            if down and down.finding:
                follows(down.finding, "no execution API answers: running tasks cannot report, and wait")
                break


def answers(scene: Scene, host: str, part: dict[str, Any]) -> None:
    """Whether a part whose unit is active serves."""
    name = part["name"]
    answer = scene.table(host, "urls").get(name, {})
    if "error" in answer:
        cause, why = scene.first_down(*needs_of_masters(host)), str(answer["error"])
    elif answer.get("status", 200) != 200:
        cause, why = scene.first_down(*needs_of_masters(host)), f"it answers {answer['status']}"
    elif name == "api-server" and reached(answer) is False:
        cause, why = scene.first_down(*needs_of_masters(host)), "it does not reach the metastore"
        if cause:
            # It would answer.
            scene.report.unknown("airflow", "", cause.because, host=host, part=name)
            return
    else:
        return
    if cause:
        scene.report.unknown("airflow", "", cause.because, host=host, part=name)
        scene.set_down("part", host, name, because=cause.because, finding=cause.finding)
        return
    unit = MASTER_PARTS[name][0]
    finding = scene.report.problem(
        "airflow",
        "runs and does not serve",
        why,
        f"`journalctl -u {unit} -n 50`, then `systemctl restart {unit}`",
        host=host,
        part=name,
    )
    scene.set_down("part", host, name, because=f"{name} on {host} does not serve", finding=finding)


def reached(answer: dict[str, Any]) -> bool | None:
    body = answer.get("body")
    if not isinstance(body, dict):
        return None
    return bool((body.get("metadatabase") or {}).get("status") == "healthy")


def logins(scene: Scene) -> None:
    """A user who is not let in is so everywhere: one finding."""
    refused = [
        (host, answer)
        for host in scene.expected["masters"]
        if (answer := scene.observed.get(host, {}).get("airflow") or {}).get("login_refused")
    ]
    # Without its database the API server knows no user, and says that the password is wrong.
    explained = [host for host, _ in refused if scene.first_down(*needs_of_masters(host))]
    if refused and not explained and asked(scene) is None:
        _host, answer = refused[0]
        finding = scene.report.problem(
            "airflow",
            "heartbeats, import errors and waiting tasks cannot be asked for",
            str(answer["reason"]),
            "give health_airflow_user and health_airflow_password a user of Airflow with the role Op",
        )
        scene.set_down("login", because="Airflow does not let the user in", finding=finding)


def no_answer(scene: Scene) -> None:
    if not scene.expected["masters"]:
        return
    hosts = scene.expected["masters"]
    needs = [need for host in hosts for need in (*needs_of_masters(host), ("api", host), ("host", host))]
    cause = scene.first_down(("metastore",), ("login",), *needs)
    reasons = [
        reason
        for host in hosts
        if (reason := (scene.observed.get(host, {}).get("airflow") or {}).get("reason"))
    ]
    if cause is None:
        finding = scene.report.problem(
            "airflow",
            "no API server tells of Airflow's health",
            reasons[0] if reasons else "none could be asked",
            "`journalctl -u airflow-api-server -n 50` on the masters",
        )
        cause = Down("no API server answers", finding)
    scene.set_down("answers", because=cause.because, finding=cause.finding)
    scene.report.unknown("airflow", "heartbeats", cause.because)


def clock_offset(scene: Scene, host: str) -> float:
    return float(scene.look(host).get("clock_offset") or 0.0)


def heartbeats(scene: Scene, answer: dict[str, Any]) -> None:
    """Of every master, not of the latest one alone."""
    if "jobs" in answer["errors"]:
        scene.report.unknown("airflow", "heartbeats", answer["errors"]["jobs"])
        return
    limit = scene.limits["heartbeat_seconds"]
    for host in scene.expected["masters"]:
        fqdn = scene.look(host).get("host", {}).get("fqdn", host)
        for name, (unit, kind, _url) in MASTER_PARTS.items():
            if not kind or scene.down("part", host, name) or not scene.seen(host):
                continue
            # Written by one clock and judged by another: what is wrong with them is a finding of its own.
            doubt = clock_offset(scene, host) - clock_offset(scene, answer["asked"])
            ages = [
                job["heartbeat_age"] + doubt
                for job in answer["jobs"]
                if job["type"] == kind and (same_host(job["host"], fqdn) or same_host(job["host"], host))
            ]
            if ages and min(ages) <= limit:
                continue
            cause = scene.first_down(*needs_of_masters(host))
            if cause:
                scene.report.unknown("airflow", "heartbeat", cause.because, host=host, part=name)
                continue
            scene.report.problem(
                "airflow",
                f"its last heartbeat is {span(min(ages))} old" if ages else "there is no heartbeat of it",
                "the process runs and hangs, or does not reach the metastore",
                f"`journalctl -u {unit} -n 50`, then `systemctl restart {unit}`",
                host=host,
                part=name,
            )
