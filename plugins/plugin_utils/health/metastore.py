# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges the metastore, with one host or with three, and its backups."""

from __future__ import annotations

from typing import Any

from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.context import Context
from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.report import count, follows, span

MIB = 1024**2


def judge_metastore(context: Context) -> None:
    if not context.expected["metastore_hosts"]:
        if context.expected["metastore"] == "other":
            context.report.note("metastore", "the database is another one (airflow_database_url)")
        return
    many = len(context.expected["metastore_hosts"]) > 1
    faults = servers(context, "patroni" if many else "postgresql")
    if many:
        faults += etcd(context)
        members(context, faults)
    primary(context, faults)


def servers(context: Context, name: str) -> list[dict[str, Any]]:
    """Each PostgreSQL by itself. Returns the findings about those that are down."""
    faults = []
    for host, part in context.parts("metastore"):
        if part["name"] != name:
            continue
        fault = context.unit_fault(host, part)
        down = context.down("part", host, name)
        if down:
            if fault or down.finding:
                faults.append(fault or down.finding or {})
            context.set_down("postgres", host, because=down.because, finding=down.finding)
            continue
        if not context.seen(host):
            continue
        why = context.error(host, "postgres")
        if why:
            fault = context.report.problem(
                "metastore",
                "runs and PostgreSQL does not answer",
                why,
                f"`journalctl -u {context.unit(host, part).get('unit', name)} -n 50`, and "
                "PostgreSQL's own log in "
                "/var/log/postgresql",
                host=host,
                part=name,
            )
            faults.append(fault)
            context.set_down("postgres", host, because=f"PostgreSQL on {host} does not answer", finding=fault)
            continue
        one(context, host, name)
    return faults


def one(context: Context, host: str, name: str) -> None:
    seen = context.table(host, "postgres")
    if not seen:
        return
    context.report.set_part(host, name, role="replica" if seen["recovery"] else "primary")
    if seen["max_connections"]:
        percent = round(100 * seen["connections"] / seen["max_connections"], 1)
        context.graded(
            percent,
            context.limits["connections_warn_percent"],
            context.limits["connections_percent"],
            "metastore",
            f"{percent:g} % of its connections are used",
            f"{seen['connections']} of {seen['max_connections']}; when all are, Airflow gets none",
            "see who has them (`SELECT usename, client_addr, state, count(*) FROM "
            "pg_stat_activity GROUP BY 1, 2, 3`); "
            "raise postgres_metastore_max_connections",
            host=host,
            part=name,
        )
    if seen.get("archive_failed_since") and not seen["recovery"]:
        context.report.problem(
            "backups",
            "WAL cannot be archived, so what is written now is in no backup",
            f"the archive command failed, last {span(context.now - seen['archive_failed_since'])} ago",
            "`journalctl -u postgresql@* -u patroni -n 50`, /var/log/pgbackrest on this host; "
            "is the repository "
            "reachable, and its disk not full?",
            host=host,
        )


def etcd(context: Context) -> list[dict[str, Any]]:
    faults = []
    healthy = 0
    for host, part in context.parts("metastore"):
        if part["name"] != "etcd":
            continue
        fault = context.unit_fault(host, part)
        down = context.down("part", host, "etcd")
        if down:
            if fault or down.finding:
                faults.append(fault or down.finding or {})
            continue
        if not context.seen(host):
            continue
        seen, why = context.table(host, "etcd"), context.error(host, "etcd")
        if seen.get("healthy"):
            healthy += 1
            missing = [name for name in context.expected["etcd_hosts"] if name not in seen["members"]]
            if seen["members"] and host in missing:
                faults.append(
                    context.report.problem(
                        "metastore",
                        "is not a member of etcd",
                        "it was taken out, or is new",
                        "run site.yml",
                        host=host,
                        part="etcd",
                    )
                )
        else:
            # Without a majority none of them is.
            context.report.set_part(host, "etcd", state="problem", detail="not healthy")
            if not faults:
                faults.append(
                    context.report.problem(
                        "metastore",
                        "is not healthy",
                        why or seen.get("why") or "it sees no leader",
                        "`journalctl -u etcd -n 50`; two of three must see each other at ports 2379 and 2380",
                        host=host,
                        part="etcd",
                    )
                )
    wanted = len(context.expected["etcd_hosts"])
    unseen = [host for host in context.expected["etcd_hosts"] if not context.seen(host)]
    if healthy + len(unseen) <= wanted // 2 and faults:
        follows(
            faults[0], f"{healthy} of {wanted} etcd are healthy, no majority: nobody may lead the metastore"
        )
    elif healthy:
        context.report.note("metastore", f"etcd: {healthy} of {wanted}")
    return faults


def members(context: Context, faults: list[dict[str, Any]]) -> None:
    """What Patroni says of its members, asked of the first that answers."""
    hosts = context.expected["metastore_hosts"]
    answer = next((context.table(host, "patroni") for host in hosts if context.table(host, "patroni")), None)
    if answer is None:
        if not faults:
            context.report.unknown(
                "metastore",
                "replication",
                "no Patroni can be asked: "
                + next((why for host in hosts if (why := context.error(host, "patroni"))), "none was seen"),
            )
        return
    if answer["pause"]:
        context.report.warn(
            "metastore",
            "Patroni is paused: nobody takes over if the primary is lost",
            "somebody paused it",
            "`patronictl -c /etc/patroni/config.yml resume`",
        )
    by_name = {member["name"]: member for member in answer["members"]}
    leader = next((name for name, member in by_name.items() if "leader" in member.get("role", "")), None)
    if leader is None and not faults:
        faults.append(
            context.report.problem(
                "metastore",
                "nobody leads",
                "no host that may take over has started, or etcd has no majority",
                "`patronictl -c /etc/patroni/config.yml list`; start patroni on the last primary",
            )
        )
    for host in hosts:
        if context.down("postgres", host):
            continue
        member = by_name.get(host)
        if member is None:
            if context.seen(host):
                context.report.problem(
                    "metastore",
                    "is no member of Patroni's cluster",
                    "it has not registered in etcd",
                    "`journalctl -u patroni -n 50`",
                    host=host,
                    part="patroni",
                )
            continue
        lag = member.get("lag")
        role = str(member.get("role", "")).replace("_", " ")
        context.report.set_part(host, "patroni", role=role)
        if member.get("state") not in ("running", "streaming"):
            context.report.problem(
                "metastore",
                f"its state is {member.get('state')!r}",
                "the copy is broken, or being made",
                "`patronictl -c /etc/patroni/config.yml list`; a broken copy is made again by "
                "`patronictl reinit airflow " + host + "`",
                host=host,
                part="patroni",
            )
        elif (
            host != leader
            and leader
            and (not isinstance(lag, int) or lag > context.limits["replication_lag_mib"] * MIB)
        ):
            context.report.problem(
                "metastore",
                f"is {lag / MIB:.0f} MiB behind the primary"
                if isinstance(lag, int)
                else "its lag is not known",
                "its disk or the network is too slow, or replication stands still",
                "`journalctl -u patroni -n 50` there; if it does not catch up, `patronictl reinit airflow "
                + host
                + "`",
                host=host,
                part="patroni",
            )
    standby = [name for name, member in by_name.items() if "sync" in member.get("role", "")]
    if context.expected["synchronous"] and leader and not standby:
        text = "no second host confirms commits: they are on one host alone"
        if faults:
            follows(faults[0], text)
        else:
            context.report.warn(
                "metastore",
                text,
                "no replica keeps up, or one is just taking over",
                "`patronictl -c /etc/patroni/config.yml list`; `journalctl -u patroni` on the replicas",
            )


def primary(context: Context, faults: list[dict[str, Any]]) -> None:
    hosts = context.expected["metastore_hosts"]
    found = [host for host in hosts if context.table(host, "postgres").get("recovery") is False]
    if len(found) == 1:
        seen = context.table(found[0], "postgres")
        context.report.note(
            "metastore",
            f"{found[0]} is the primary, {seen['connections']} of {seen['max_connections']} connections used",
        )
        if context.expected["database"] not in (seen.get("databases") or []):
            finding = context.report.problem(
                "metastore",
                f"there is no database {context.expected['database']}",
                "it was dropped, or never made",
                "restore it (restore.yml), or run site.yml where there is nothing to restore",
                host=found[0],
            )
            context.set_down("metastore", because="its database is missing", finding=finding)
    elif len(found) > 1:
        context.report.problem(
            "metastore",
            f"two primaries: {', '.join(found)}",
            "one was cut off and did not step down",
            "`patronictl -c /etc/patroni/config.yml list` says which leads; stop patroni on the other",
        )
    else:
        gone = context.first_down(*(("host", host) for host in hosts))
        broken = [fault for fault in faults if context.seen(fault["host"])]
        if broken:
            follows(broken[0], "no primary: nothing is scheduled, and the UI gives errors")
            context.set_down("metastore", because="the metastore is down", finding=broken[0])
        elif gone:
            # It may serve all the same.
            context.set_down("metastore", because=gone.because, finding=gone.finding)
        else:
            context.set_down("metastore", because="the metastore has no primary")


# --- Backups


def judge_backups(context: Context) -> None:
    for host, part in context.parts("backups"):
        context.unit_fault(host, part)
    if not context.expected["backups"] or not context.expected["metastore_hosts"]:
        return
    host = context.expected["backup_host"]
    down = context.down("host", host)
    if down:
        context.report.unknown("backups", "backups", down.because, host=host)
        return
    look = context.look(host)
    if look and look.get("host", {}).get("os", {}).get("id") not in ("debian", "ubuntu"):
        context.report.note("backups", "none: not made on this distribution")
        return
    fix = "`journalctl -u 'metastore-backup@*' -n 50` there, then run backup.yml"
    why = context.error(host, "backups")
    if why:
        context.report.problem("backups", "pgBackRest cannot be asked", why, fix, host=host)
        return
    seen = context.table(host, "backups")
    if not seen:
        return
    good = [backup for backup in seen["backups"] if not backup["failed"]]
    if not good:
        context.report.problem(
            "backups", "there is no backup of the metastore", f"pgBackRest: {seen['status']}", fix, host=host
        )
        return
    newest = max(backup["ended"] for backup in good)
    hours = (context.now - newest) / 3600
    context.report.note(
        "backups", f"{count(len(good), 'backup')}, the newest {span(context.now - newest)} old"
    )
    if hours > context.limits["backup_hours"]:
        context.report.problem(
            "backups",
            f"the newest backup is {span(context.now - newest)} old",
            "the timers did not run, or their runs failed",
            "`systemctl list-timers 'metastore-backup-*'`; " + fix,
            host=host,
        )
    oldest = min(backup["ended"] for backup in good)
    verified = (seen["verified"] or {}).get("time", 0)
    days = context.limits["backup_verified_days"] * 86400
    # One that is new need not have been verified yet.
    if days and context.now - max(verified, oldest if not verified else 0) > days:
        context.report.warn(
            "backups",
            f"verified {span(context.now - verified)} ago" if verified else "never verified",
            "a backup that nobody has restored may be none",
            "run backup_verify.yml",
            host=host,
        )
    elif verified:
        context.report.note("backups", f"verified {span(context.now - verified)} ago")
