# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which metrics each host has, what Prometheus reads of them, and which alerts it has. Pure functions."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Iterable, Mapping, Sequence

# What a host may have otherwise than the others.
PER_HOST = ("observability_port", "redis_cluster_ports", "postgres_metastore_patroni_port", "flower_port")
DURATION = re.compile(r"([0-9]+(ms|[smhdwy]))+|0")
# Parts of the names of Airflow's metrics, as in dag_processing.last_run.seconds_ago.
MOST_PARTS = 5
AIRFLOW_LABELS = ("dag_id", "task_id", "state", "queue", "pool_name", "job_name", "executor", "status")
# What the receiver of StatsD makes of Airflow's counters, gauges and timers.
COUNTERS, GAUGES, TIMERS = "collectd_statsd_derive_total", "collectd_statsd_gauge", "collectd_statsd_latency"


def exporter_endpoints(
    hosts: Sequence[str],
    hostvars: Mapping[str, Mapping[str, Any]],
    parts: Mapping[str, Sequence[str]],
    settings: Mapping[str, Any],
) -> dict[str, dict[str, Any]]:
    """{host: {address, port, modules: {name: {job, http, labels}}}}: what is read of each host, and where.

    parts: {role: its hosts}. settings: what a host has that its own variables do not say otherwise.
    """
    found = {}
    for host in hosts:
        # One look at a host's variables is dear.
        variables = hostvars[host]
        own = {**settings, **{name: variables[name] for name in PER_HOST if name in variables}}
        own["ports"] = {**settings["ports"], **(variables.get("observability_exporter_ports") or {})}
        found[host] = {
            "address": settings["addresses"][host],
            "port": int(own["observability_port"]),
            "modules": modules({part for part, members in parts.items() if host in members}, own, host),
        }
    return found


def modules(roles: set[str], own: Mapping[str, Any], host: str) -> dict[str, dict[str, Any]]:
    ports = own["ports"]
    wanted: dict[str, dict[str, Any]] = {"node": local("node", ports["node"])}
    if "service_endpoints" in roles:
        wanted["haproxy"] = local("haproxy", ports["haproxy"])
    if "airflow" in roles:
        wanted["airflow"] = local("airflow", ports["airflow"])
    if "redis_cluster" in roles:
        for port in own["redis_cluster_ports"]:
            target = redis_target(own, host, int(port))
            wanted[f"redis_{port}"] = {
                **local("redis", ports["redis"], f"/scrape?target={target}"),
                "labels": {"port": str(port)},
            }
    if "postgres_metastore" in roles:
        wanted["postgres"] = local("postgres", ports["postgres"])
        if own["patroni"]:
            wanted["patroni"] = local("patroni", own["postgres_metastore_patroni_port"])
            # Its certificate carries the host's address.
            wanted["patroni"]["http"].update(scheme="https", address=own["addresses"][host])
    if "etcd" in roles:
        wanted["etcd"] = local("etcd", ports["etcd"])
    if "nginx_lb" in roles:
        wanted["nginx"] = local("nginx", ports["nginx"])
    if "flower" in roles:
        wanted["flower"] = local("flower", own["flower_port"], "/flower/metrics")
    return wanted


def local(job: str, port: Any, path: str = "/metrics") -> dict[str, Any]:
    return {"job": job, "labels": {}, "http": {"address": "127.0.0.1", "port": int(port), "path": path}}


def redis_target(own: Mapping[str, Any], host: str, port: int) -> str:
    """As the exporter is asked for it. With TLS by the address, which stands in the certificate."""
    where = f"rediss://{own['addresses'][host]}" if own["redis_tls"] else "redis://127.0.0.1"
    return f"{where}:{port}"


def exporter_proxy(host: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of exporter_exporter, which hands all metrics of a host out at one port."""
    return {
        "modules": {
            name: {"method": "http", "timeout": "10s", "http": {"verify": False, **module["http"]}}
            for name, module in host["modules"].items()
        }
    }


def scrape_configs(
    hosts: Mapping[str, Mapping[str, Any]], interval: int, broker_prefix: str
) -> list[dict[str, Any]]:
    """Prometheus' scrape_configs, a job for each kind of metrics. `instance` is the name of the host."""
    jobs: dict[str, list[dict[str, Any]]] = {}
    for host, entry in hosts.items():
        address = f"[{entry['address']}]" if ":" in entry["address"] else entry["address"]
        for name, module in entry["modules"].items():
            jobs.setdefault(module["job"], []).append(
                {
                    "targets": [f"{address}:{entry['port']}"],
                    "labels": {"instance": host, "__param_module": name, **module["labels"]},
                }
            )
    relabel = {
        "airflow": airflow_relabelling(),
        "postgres": postgres_relabelling(),
        "redis": redis_relabelling(broker_prefix),
    }
    return [
        {
            "job_name": job,
            "scrape_interval": f"{interval}s",
            "scrape_timeout": f"{min(interval, 10)}s",
            "metrics_path": "/proxy",
            "static_configs": jobs[job],
            **({"metric_relabel_configs": relabel[job]} if job in relabel else {}),
        }
        for job in sorted(jobs)
    ]


def redis_relabelling(broker_prefix: str) -> list[dict[str, Any]]:
    """The length of the broker's lists as airflow_queue_depth{queue}."""
    queue = re.escape(broker_prefix) + "(.+)"
    return [
        {"source_labels": ["__name__", "key"], "regex": f"redis_key_size;{queue}", "target_label": "queue"},
        {
            "source_labels": ["__name__", "queue"],
            "regex": "redis_key_size;.+",
            "target_label": "__name__",
            "replacement": "airflow_queue_depth",
        },
        {"source_labels": ["__name__", "key"], "regex": f"airflow_queue_depth;{queue}",
         "target_label": "key", "replacement": ""},
    ]  # fmt: skip


def postgres_relabelling() -> list[dict[str, Any]]:
    """Of the hundreds of settings the one that an alert needs."""
    return [
        {"source_labels": ["__name__"], "regex": "pg_settings_max_connections", "target_label": "__name__",
         "replacement": "pg_max_connections"},
        {"source_labels": ["__name__"], "regex": "pg_settings_.*", "action": "drop"},
    ]  # fmt: skip


def airflow_relabelling() -> list[dict[str, Any]]:
    """Airflow's metrics by their own names: airflow.ti.finish,dag_id=a as airflow_ti_finish_total.

    The receiver puts the whole name into the label `statsd`, tags and all.
    """
    rules: list[dict[str, Any]] = [
        {"source_labels": ["statsd"], "regex": rf".*,{label}=([^,]*?)({TIMER_SUFFIX})?(,.*)?",
         "target_label": label}
        for label in AIRFLOW_LABELS
    ]  # fmt: skip
    rules.append(
        {"source_labels": ["__name__", "statsd"], "regex": f"{TIMERS};.*-(average|upper|percentile-[0-9]+)",
         "target_label": "stat"}
    )  # fmt: skip
    for family, suffix in ((COUNTERS, "_total"), (GAUGES, ""), (TIMERS, "_seconds")):
        for parts in range(1, MOST_PARTS + 1):
            name = r"\.".join([r"([a-zA-Z0-9_]+?)"] * parts)
            rules.append(
                {
                    "source_labels": ["__name__", "statsd"],
                    "regex": rf"{family};airflow\.{name}({TIMER_SUFFIX})?(,.*)?",
                    "target_label": "__name__",
                    "replacement": "airflow_" + "_".join(f"${{{n}}}" for n in range(1, parts + 1)) + suffix,
                }
            )
    # Whose name Prometheus would not take, such as dagrun.dependency-check, and nothing else with it.
    rules.append({"source_labels": ["__name__"], "regex": "collectd_statsd_.*", "action": "drop"})
    rules.append({"regex": "statsd|exported_instance", "action": "labeldrop"})
    return rules


TIMER_SUFFIX = "-(?:average|upper|percentile-[0-9]+)"


def alert_rules(
    groups: Sequence[Mapping[str, Any]],
    waits: Mapping[str, str],
    off: Iterable[str],
    more: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """A rules file of Prometheus: our groups with other waits and without what is off, and groups besides."""
    left_out = set(off)
    kept = []
    for group in groups:
        # No deepcopy: of what Ansible hands over, it would copy all variables of the host along.
        rules = [dict(rule) for rule in group["rules"] if rule.get("alert") not in left_out]
        for rule in rules:
            wait = waits.get(rule.get("alert", ""), waits.get("*") if "alert" in rule else None)
            if wait is not None:
                rule["for"] = wait
        if rules:
            kept.append({**group, "rules": rules})
    return {"groups": [*kept, *more]}


# --- What is wrong with inputs


def input_problems(
    values: Mapping[str, Any], alerts: Sequence[str], amtool: Mapping[str, Any] | None = None
) -> list[str]:
    """What is wrong with the inputs of the role, each as `what: how to fix it`. Nothing of a secret."""
    problems = [
        f"observability_allow names {entry}, which is no address or network: write it as in 10.0.0.0/24"
        for entry in listed(values.get("observability_allow"))
        if not is_network(entry)
    ]
    waits = values.get("observability_alert_for")
    for name, wait in waits.items() if isinstance(waits, Mapping) else ():
        if name != "*" and name not in alerts:
            problems.append(
                f"observability_alert_for names {name}, which is no alert: see docs/observability.md"
            )
        if not DURATION.fullmatch(str(wait)):
            problems.append(
                f"observability_alert_for has {wait!r} for {name}: write a time such as 90s, 10m or 1h"
            )
    problems += [
        f"observability_alerts_off names {name}, which is no alert: see docs/observability.md"
        for name in listed(values.get("observability_alerts_off"))
        if name not in alerts
    ]
    problems += web_problems(values)
    problems += alertmanager_problems(values.get("observability_alertmanager_config"))
    return problems + amtool_problems(amtool or {})


def amtool_problems(result: Mapping[str, Any]) -> list[str]:
    """What amtool refuses, without the values that it prints in back quotes."""
    if result.get("rc", 0) != 1:
        return []
    said = re.sub(r"`[^`]*`", "...", re.sub(r"(?s)^.*FAILED: ", "", str(result["stdout"])))
    said = re.sub(r"\s+", " ", said).strip()
    return [
        f"amtool refuses observability_alertmanager_config ({said}): correct it, as Alertmanager would not "
        "start"
    ]


def listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def is_network(value: Any) -> bool:
    try:
        ipaddress.ip_network(str(value), strict=False)
    except ValueError:
        return False
    return True


def web_problems(values: Mapping[str, Any]) -> list[str]:
    listen = str(values.get("observability_listen") or "")
    web = values.get("observability_web_config")
    web = web if isinstance(web, Mapping) else {}
    problems = []
    try:
        loopback = ipaddress.ip_address(listen).is_loopback
    except ValueError:
        return [
            f"observability_listen is {listen!r}, which is no IP address: use 127.0.0.1, or the host's own"
        ]
    tls = web.get("tls_server_config")
    by_certificate = isinstance(tls, Mapping) and tls.get("client_auth_type") in (
        "RequireAndVerifyClientCert",
        "RequireAnyClientCert",
    )
    if not loopback and not web.get("basic_auth_users") and not by_certificate:
        problems.append(
            "observability_listen opens Prometheus to the network without a login: give it basic_auth_users "
            "in observability_web_config, or leave it on 127.0.0.1 and use an SSH tunnel"
        )
    users = web.get("basic_auth_users")
    for user, digest in users.items() if isinstance(users, Mapping) else ():
        if not re.fullmatch(r"\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}", str(digest)):
            problems.append(
                f"basic_auth_users of observability_web_config has no bcrypt hash for {user}: "
                "make one with `htpasswd -nBC 10 " + str(user) + "`"
            )
    return problems


def alertmanager_problems(config: Any) -> list[str]:
    """What can be seen without amtool, which looks at all of it as soon as it is there."""
    name = "observability_alertmanager_config"
    if not isinstance(config, Mapping):
        return []
    route = config.get("route")
    receivers = {
        entry["name"]
        for entry in listed(config.get("receivers"))
        if isinstance(entry, Mapping) and "name" in entry
    }
    if not isinstance(route, Mapping) or not route.get("receiver"):
        return [f"{name} has no route with a receiver: give it one, as in {{route: {{receiver: NAME}}}}"]
    return [
        f"{name} sends alerts to {receiver}, which is none of its receivers: add it, or correct the route"
        for receiver in sorted(routed(route) - receivers)
    ]


def routed(route: Mapping[str, Any]) -> set[str]:
    """The receivers that a route and those below it name."""
    names = {str(route["receiver"])} if route.get("receiver") else set()
    for below in listed(route.get("routes")):
        if isinstance(below, Mapping):
            names |= routed(below)
    return names
