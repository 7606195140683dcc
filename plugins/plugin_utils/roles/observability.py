# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exporters and collectors of a host, and the servers that read them. Pure functions.

The distribution's units, with arguments and a sandbox of ours. Of a unit:
  unit: its name; program: the path of its program; arguments: its arguments
  environment: {name: value}; credentials: paths of encrypted files
  files, reload_files: what it reads when it starts, and what it takes over by a reload
  families: what it may open sockets of; write_paths: where it writes; more: lines of its own
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Collection, Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from ansible_collections.airflowops.cluster.plugins.plugin_utils.quoting import url_quote

Unit = dict[str, Any]
INTERNET = "AF_INET AF_INET6 AF_UNIX"
WITH_NETLINK = "AF_INET AF_INET6 AF_NETLINK AF_UNIX"
PORTS = {
    "node": 9100,
    "redis": 9121,
    "postgres": 9187,
    "nginx": 9113,
    "nginx_status": 8089,
    "haproxy": 8405,
    "etcd": 2381,
    "airflow": 9103,
    "statsd": 9125,
}
# How the names of the units begin whose state is exported.
UNIT_NAMES = (
    *("redis-cluster@", "postgresql", "patroni", "etcd", "pgbackrest", "metastore-", "airflow-", "flower"),
    *(
        "haproxy",
        "nginx",
        "keepalived",
        "prometheus",
        "cluster-metrics-",
        "ssh",
        "systemd-timesyncd",
        "chrony",
    ),
)
# What nothing here uses, and what takes time whenever it is read.
COLLECTORS_OFF = (
    *("arp", "bcache", "bonding", "btrfs", "fibrechannel", "infiniband", "ipvs", "nfs", "nfsd"),
    *("powersupplyclass", "rapl", "schedstat", "softnet", "tapestats", "thermal_zone", "udp_queues"),
    *("xfs", "zfs"),
)


def exporter_ports(given: Any) -> dict[str, int]:
    """Where the services of a host export their metrics, on loopback; those of the user in place of ours."""
    return {**PORTS, **(given if isinstance(given, Mapping) else {})}


def allowed_networks(addresses: Iterable[str]) -> list[str]:
    """The addresses and networks, each once and as a network."""
    networks = (
        text if "/" in text else f"{text}/{128 if ':' in text else 32}" for text in map(str, addresses)
    )
    return [*dict.fromkeys(networks)]


def exporters(roles: Collection[str], settings: Mapping[str, Any]) -> list[Unit]:
    """The exporters on a host of these roles; where it `monitors`, also Prometheus and Alertmanager.

    settings: paths, ports (of the exporters), port, networks, metastore_ca_file, patroni (whether it runs
    here), redis_user, redis_ca_file (if Redis speaks TLS), queues, broker_prefix, postgres_user,
    postgres_port, monitors; host, listen, prometheus_port, alertmanager_port, external_url, retention_time,
    retention_size and web (whether there is a web configuration).
    """
    found = [node_exporter(settings), exporter_proxy_unit(settings)]
    for role, exporter in (
        ("redis_cluster", redis_exporter),
        ("postgres_metastore", postgres_exporter),
        ("nginx_lb", nginx_exporter),
    ):
        if role in roles:
            found.append(exporter(settings))
    return found + ([prometheus(settings), alertmanager(settings)] if settings["monitors"] else [])


def node_exporter(settings: Mapping[str, Any]) -> Unit:
    return {
        "unit": "prometheus-node-exporter.service",
        "program": "/usr/bin/prometheus-node-exporter",
        "arguments": [
            f"--web.listen-address=127.0.0.1:{settings['ports']['node']}",
            f"--collector.textfile.directory={settings['paths']['textfiles']}",
            "--collector.systemd",
            f"--collector.systemd.unit-include=({'|'.join(UNIT_NAMES)}).*[.](service|timer)",
            "--collector.filesystem.mount-points-exclude=^/(dev|proc|run|sys)(/.*)?",
            *(f"--no-collector.{name}" for name in COLLECTORS_OFF),
        ],
        "families": WITH_NETLINK,
        # It reads how the clock is kept; to set it, it lacks the right.
        "more": ["ProtectClock=no", "SystemCallFilter=adjtimex clock_adjtime"],
    }


def exporter_proxy_unit(settings: Mapping[str, Any]) -> Unit:
    file, ca_file = settings["paths"]["proxy"], settings["metastore_ca_file"]
    return {
        "unit": "prometheus-exporter-exporter.service",
        "program": "/usr/bin/prometheus-exporter-exporter",
        "arguments": [
            f"-config.file={file}",
            f"-web.listen-address=:{settings['port']}",
            *(f"-allow.net={network}" for network in settings["networks"]),
        ],
        # By which CA Patroni's certificate is checked; its own tls_ca_cert_file does not bear on that (seen
        # with 0.4.0).
        "environment": {"SSL_CERT_FILE": ca_file} if settings["patroni"] else {},
        "files": [file, *([ca_file] if settings["patroni"] else [])],
        "families": INTERNET,
    }


def redis_exporter(settings: Mapping[str, Any]) -> Unit:
    passwords, ca_file = settings["paths"]["redis_passwords"], settings["redis_ca_file"]
    queues = ",".join(
        f"db0={settings['broker_prefix']}{url_quote(queue)}" for queue in sorted(settings["queues"])
    )
    return {
        "unit": "prometheus-redis-exporter.service",
        "program": "/usr/bin/prometheus-redis-exporter",
        "arguments": [
            f"-web.listen-address=127.0.0.1:{settings['ports']['redis']}",
            "-redis.addr=",
            f"-redis.user={settings['redis_user']}",
            "-config-command=-",
            f"-redis.password-file={credential(passwords)}",
            f"-check-single-keys={queues}",
            *([f"-tls-ca-cert-file={ca_file}"] if ca_file else []),
        ],
        "files": [ca_file] if ca_file else [],
        "credentials": [passwords],
        "families": INTERNET,
    }


def postgres_exporter(settings: Mapping[str, Any]) -> Unit:
    queries = settings["paths"]["postgres_queries"]
    # As the system's user that it is, who has no password.
    login = (
        f"user={settings['postgres_user']} host=/var/run/postgresql port={settings['postgres_port']} "
        "dbname=postgres sslmode=disable"
    )
    return {
        "unit": "prometheus-postgres-exporter.service",
        "program": "/usr/bin/prometheus-postgres-exporter",
        "arguments": [
            f"--web.listen-address=127.0.0.1:{settings['ports']['postgres']}",
            f"--extend.query-path={queries}",
        ],
        "environment": {"DATA_SOURCE_NAME": login},
        "files": [queries],
        "families": INTERNET,
    }


def nginx_exporter(settings: Mapping[str, Any]) -> Unit:
    """It ends if nginx is not there when it starts, and is started again."""
    ports = settings["ports"]
    return {
        "unit": "prometheus-nginx-exporter.service",
        "program": "/usr/bin/prometheus-nginx-exporter",
        "arguments": [
            f"-web.listen-address=127.0.0.1:{ports['nginx']}",
            f"-nginx.scrape-uri=http://127.0.0.1:{ports['nginx_status']}/stub_status",
        ],
        "families": INTERNET,
    }


def server_url(settings: Mapping[str, Any]) -> str:
    return settings["external_url"] or f"http://{settings['host']}:{settings['prometheus_port']}"


def prometheus(settings: Mapping[str, Any]) -> Unit:
    paths, web = settings["paths"], settings["web"]
    return {
        "unit": "prometheus.service",
        "program": "/usr/bin/prometheus",
        "arguments": [
            f"--config.file={paths['config']}",
            "--storage.tsdb.path=/var/lib/prometheus/metrics2/",
            f"--storage.tsdb.retention.time={settings['retention_time']}",
            f"--storage.tsdb.retention.size={settings['retention_size']}",
            f"--web.listen-address={settings['listen']}:{settings['prometheus_port']}",
            f"--web.external-url={server_url(settings)}",
            *([f"--web.config.file={paths['web']}"] if web else []),
        ],
        "files": [paths["web"]] if web else [],
        "reload_files": [paths["config"], paths["rules"]],
        "write_paths": "/var/lib/prometheus",
        "families": INTERNET,
    }


def alertmanager(settings: Mapping[str, Any]) -> Unit:
    file, port = settings["paths"]["alertmanager"], settings["alertmanager_port"]
    url = server_url(settings)
    host, _, last = url.rpartition(":")
    return {
        "unit": "prometheus-alertmanager.service",
        "program": "/usr/bin/prometheus-alertmanager",
        "arguments": [
            f"--config.file={credential(file)}",
            "--storage.path=/var/lib/prometheus/alertmanager/",
            f"--web.listen-address={'127.0.0.1' if settings['web'] else settings['listen']}:{port}",
            f"--web.external-url={host if last.isdigit() else url}:{port}",
            # One of it: nobody to agree with.
            "--cluster.listen-address=",
        ],
        "credentials": [file],
        "write_paths": "/var/lib/prometheus",
        "families": WITH_NETLINK,
    }


def credential(path: str) -> str:
    return "${CREDENTIALS_DIRECTORY}/" + PurePosixPath(path).name


def redis_exporter_passwords(
    modules: Mapping[str, Mapping[str, Any]], user: str, password: str
) -> dict[str, str]:
    """{instance: password}: it goes to the instances of this host only, whatever address is asked for."""
    passwords = {}
    for module in modules.values():
        if module["job"] == "redis":
            target = module["http"]["path"].rpartition("target=")[2]
            # Older exporters look for it without the user, newer ones with it.
            for key in (target, target.replace("://", f"://{user}@")):
                passwords[key] = password
    return passwords


# --- Metrics that no exporter has


def collectors(roles: Collection[str], settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each runs as who may see what it reads: [{look, user, groups, interval}].

    settings: interval, redis_group, redis_tls, and whether the host keeps_backups.
    """
    groups = ["postgres"] if "postgres_metastore" in roles else []
    if settings["redis_tls"] and "redis_cluster" in roles:
        groups.append(settings["redis_group"])
    interval = int(settings["interval"])
    found = [{"look": "host", "user": "prometheus", "groups": groups, "interval": interval}]
    if settings["keeps_backups"]:
        found.append(
            {
                "look": "backup",
                "user": "postgres",
                "groups": ["prometheus"],
                "interval": min(interval * 10, 3600),
            }
        )
    return found


def collector_inputs(roles: Collection[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What textfile_collector.py reads on a host of these roles.

    settings: metastore_certificates, redis_certificates (if Redis speaks TLS), certificates (of the user),
    base_url, https_port, front_tls, api_port.
    """
    url = urlsplit(settings["base_url"])
    metastore, redis = "postgres_metastore" in roles, "redis_cluster" in roles
    health = f"http://127.0.0.1:{settings['api_port']}{url.path}/api/v2/monitor/health"
    front = f"https://{url.hostname}:{settings['https_port']}"
    return {
        "certificates": [
            *(settings["metastore_certificates"] if metastore else []),
            *(settings["redis_certificates"] if redis else []),
            *settings["certificates"],
        ],
        "front": front if settings["front_tls"] and "nginx_lb" in roles else "",
        "airflow": health if "airflow_master" in roles else "",
    }


def observability_units(
    exporters: Iterable[Mapping[str, Any]],
    collectors: Iterable[Mapping[str, Any]],
    airflow_files: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """For `systemd_units`. airflow_files: what the receiver of Airflow's metrics reads, where one runs."""
    units: list[dict[str, Any]] = [
        {
            "name": exporter["unit"],
            "restart_files": [*exporter.get("files", []), *exporter.get("credentials", [])],
            "reload_files": exporter.get("reload_files", []),
        }
        for exporter in exporters
    ]
    units += [{"name": f"cluster-metrics-{collector['look']}.timer"} for collector in collectors]
    return units + (
        [{"name": "airflow-metrics.service", "restart_files": [*airflow_files]}] if airflow_files else []
    )
