# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is collected of a host when somebody has to find out what was wrong. Pure functions."""

from __future__ import annotations

from typing import Any, Collection, Mapping

Command = dict[str, Any]
# Patterns of units; what a host has none of makes no file.
UNITS = {
    "airflow": ["airflow*"],
    "redis": ["redis-cluster@*"],
    "metastore": ["postgresql@*", "patroni*", "etcd*", "metastore-*", "pgbackrest*"],
    "haproxy": ["haproxy*"],
    "nginx": ["nginx*", "keepalived*"],
    "flower": ["flower*"],
    "firewall": ["airflowops-firewall*"],
}
PATTERNS = [pattern for patterns in UNITS.values() for pattern in patterns]
# Their lines begin with a time, or hold one as nginx writes it.
FILES_WITH_TIMES = (
    "/var/log/nginx/*.log",
    "/var/log/postgresql/*.log",
    "/var/log/pgbackrest/*.log",
    "/var/log/haproxy.log",
    "/var/log/airflow/dag_processor/latest/*/*.log",
)
# None of those that hold secrets alone, or keys. Those of the inventory are taken out of all of them.
CONFIG_FILES = (
    "/etc/airflow/airflow.cfg",
    "/etc/airflowops/firewall.nft",
    "/etc/firewalld/policies/airflowops.xml",
    "/etc/ufw/user*.rules",
    "/etc/haproxy/haproxy.cfg",
    "/etc/nginx/nginx.conf",
    "/etc/keepalived/keepalived.conf",
    "/etc/redis-cluster/redis.conf",
    "/etc/redis-cluster/live.conf",
    "/etc/redis-cluster/transport.conf",
    "/etc/postgresql/*/main/conf.d/*.conf",
    "/etc/postgresql/*/main/pg_hba.conf",
    "/etc/patroni/config.yml",
    "/etc/default/etcd",
    "/etc/pgbackrest/pgbackrest.conf",
    "/etc/hosts",
    "/etc/systemd/journald.conf.d/*.conf",
    "/opt/airflow/current/manifest",
)
# Without the statements' values: whose session does what, and for how long.
ACTIVITY = (
    "SELECT pid, usename, datname, client_addr, state, wait_event_type, wait_event, "
    "now() - query_start AS since, left(regexp_replace(query, '''[^'']*''', '?', 'g'), 120) AS query "
    "FROM pg_stat_activity ORDER BY query_start"
)
SHELL = {
    "system.txt": "cat /etc/os-release; uname -a; systemctl --version; uptime; timedatectl",
    "disk.txt": "df -hT; echo; df -i; echo; journalctl --disk-usage",
    "memory.txt": "cat /proc/meminfo; echo; cat /proc/pressure/* 2>/dev/null",
    "processes.txt": "ps -eo pid,ppid,user,rss,pcpu,etime,comm --sort=-rss | head -100",
    "network.txt": "ip -brief address; ip route; echo; ss -s; echo; ss -Hltnp; echo; "
    "ss -Htn | awk '{print $1}' | sort | uniq -c",
    "packages.txt": "dpkg-query -W 2>/dev/null || rpm -qa",
    "rules.txt": "! command -v nft >/dev/null || nft list ruleset",
}
REDIS = {
    "nodes": ["CLUSTER", "NODES"],
    "cluster": ["CLUSTER", "INFO"],
    "info": ["INFO", "ALL"],
    "clients": ["CLIENT", "LIST"],
    "slow": ["SLOWLOG", "GET", "32"],
}
AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
PATRONI = ["patronictl", "-c", "/etc/patroni/config.yml"]
DISTRIBUTIONS = (
    "import importlib.metadata as m; "
    "print('\\n'.join(sorted(f'{d.name}=={d.version}' for d in m.distributions())))"
)
HAPROXY = {
    "haproxy-stat.csv": "show stat",
    "haproxy-info.txt": "show info",
    "haproxy-servers.txt": "show servers state",
}


def support_sources(roles: Collection[str], settings: Mapping[str, Any]) -> dict[str, Any]:
    """{journals, logs, files, commands, sockets, urls} of a host of these roles, for `support_collect`.

    settings: flavor (redis or valkey), redis_ports, redis_password, redis_ca_file (if Redis speaks TLS),
    postgres_port, database, many_metastores, api_url.
    """
    commands = host_commands()
    if "redis_cluster" in roles:
        commands += redis_commands(settings)
    if "postgres_metastore" in roles:
        commands += metastore_commands(settings)
    if "airflow_common" in roles:
        commands += airflow_commands()
    return {
        "journals": journals(),
        "logs": [*FILES_WITH_TIMES],
        "files": [*CONFIG_FILES],
        "commands": commands,
        "sockets": [
            {"name": name, "path": "/run/haproxy/admin.sock", "send": send} for name, send in HAPROXY.items()
        ]
        if "service_endpoints" in roles
        else [],
        "urls": {"airflow-health.json": settings["api_url"]} if "airflow_master" in roles else {},
    }


def journals() -> dict[str, list[str]]:
    """{file: arguments of journalctl}"""
    units = {f"{name}.log": [f"--unit={pattern}" for pattern in patterns] for name, patterns in UNITS.items()}
    return {
        **units,
        "kernel.log": ["--dmesg", "--priority=warning"],
        "errors.log": ["--priority=err"],
        "units.log": ["_PID=1"],
    }


def host_commands() -> list[Command]:
    systemctl = ["systemctl", "--no-pager"]
    commands = {
        "units.txt": [*systemctl, "list-units", "--all", "--full", *PATTERNS],
        "failed-units.txt": [*systemctl, "--failed", "--full"],
        "status.txt": [*systemctl, "status", "--all", "--full", "--lines=0", *PATTERNS],
        "unit-files.txt": [*systemctl, "cat", *PATTERNS],
        "timers.txt": [*systemctl, "list-timers", "--all"],
        **{name: ["sh", "-c", line] for name, line in SHELL.items()},
    }
    return [{"name": name, "argv": argv} for name, argv in commands.items()]


def redis_commands(settings: Mapping[str, Any]) -> list[Command]:
    ca_file = settings["redis_ca_file"]
    client = [f"{settings['flavor']}-cli", "--no-auth-warning"]
    client += ["--tls", "--cacert", ca_file] if ca_file else []
    return [
        {
            "name": f"redis-{port}-{name}.txt",
            "argv": [*client, "-p", str(port), *words],
            "environment": {"REDISCLI_AUTH": settings["redis_password"]},
        }
        for port in settings["redis_ports"]
        for name, words in REDIS.items()
    ]


def metastore_commands(settings: Mapping[str, Any]) -> list[Command]:
    psql = [*AS_POSTGRES, "psql", "--no-psqlrc", f"--port={settings['postgres_port']}"]
    expanded = [*psql, "--expanded"]
    databases = "SELECT *, pg_database_size(datname) FROM pg_stat_database"
    errors = ["--dbname", settings["database"], "--command", "SELECT * FROM import_error"]
    commands = {
        "postgresql-activity.txt": [*psql, "--command", ACTIVITY],
        "postgresql-replication.txt": [*expanded, "--command", "SELECT * FROM pg_stat_replication"],
        "postgresql-databases.txt": [*expanded, "--command", databases],
        "import-errors.txt": [*expanded, *errors],
        "backups.txt": [*AS_POSTGRES, "pgbackrest", "info"],
    }
    if settings["many_metastores"]:
        commands["patroni.txt"] = [*PATRONI, "list", "--extended", "--timestamp"]
        commands["patroni-history.txt"] = [*PATRONI, "history"]
    return [{"name": name, "argv": argv} for name, argv in commands.items()]


def airflow_commands() -> list[Command]:
    python = ["/opt/airflow/current/bin/python", "-c", DISTRIBUTIONS]
    return [
        {"name": "python-packages.txt", "argv": python},
        {"name": "dags.txt", "argv": ["ls", "-lR", "--time-style=full-iso", "/opt/airflow/dags"]},
    ]
