# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a look at a cluster found: findings, the state of every part, and the table that people read.

A finding names component, host, part, what is wrong, its cause and its fix. What follows from a finding is
reported with it as a consequence, and what could not be checked because of it as unknown: neither is a
finding of its own.
"""

from __future__ import annotations

import textwrap
from datetime import datetime, timezone
from typing import Any, Iterable

# The shape of the JSON file. Another number means that a reader of the one before may not understand it.
FORMAT = 2

COMPONENTS = {
    "hosts": "Hosts",
    "redis": "Redis Cluster",
    "metastore": "Metastore",
    "endpoints": "HAProxy",
    "airflow": "Airflow",
    "workers": "Workers and queues",
    "dags": "DAGs",
    "flower": "Flower",
    "front": "nginx",
    "backups": "Backups",
    "certificates": "Certificates",
    "versions": "Versions",
}
OK, WARNING, PROBLEM, UNKNOWN = "ok", "warning", "problem", "unknown"
# The worst of several is the state of the whole.
ORDER = (OK, UNKNOWN, WARNING, PROBLEM)
WIDTH = 100


def worst(states: Iterable[str]) -> str:
    return max(states, key=ORDER.index, default=OK)


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def span(seconds: float) -> str:
    """Seconds as people say them: 95 s, 12 min, 5 h, 40 days."""
    seconds = abs(seconds)
    for unit, length, least in (("days", 86400, 2 * 86400), ("h", 3600, 2 * 3600), ("min", 60, 120)):
        if seconds >= least:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


class Report:
    """Collects what is found. Parts are keyed by host and name."""

    def __init__(self) -> None:
        self.findings: list[dict[str, Any]] = []
        self.parts: dict[tuple[str, str], dict[str, Any]] = {}
        self.unknowns: list[dict[str, Any]] = []
        self.notes: dict[str, list[str]] = {}

    def find(
        self, level: str, component: str, what: str, cause: str, fix: str, host: str = "", part: str = ""
    ) -> dict[str, Any]:
        finding = {
            "level": level,
            "component": component,
            "host": host,
            "part": part,
            "what": what,
            "cause": cause,
            "fix": fix,
            "consequences": [],
        }
        self.findings.append(finding)
        if (host, part) in self.parts:
            entry = self.parts[host, part]
            entry["state"] = worst([entry["state"], level])
            entry["detail"] = what
        return finding

    def problem(self, component: str, what: str, cause: str, fix: str, **where: str) -> dict[str, Any]:
        return self.find(PROBLEM, component, what, cause, fix, **where)

    def warn(self, component: str, what: str, cause: str, fix: str, **where: str) -> dict[str, Any]:
        return self.find(WARNING, component, what, cause, fix, **where)

    def unknown(self, component: str, what: str, because: str, host: str = "", part: str = "") -> None:
        """What could not be looked at, and why: reported once however many things have the same reason."""
        self.unknowns.append(
            {"component": component, "host": host, "part": part, "what": what, "because": because}
        )
        if (host, part) in self.parts:
            self.parts[host, part].update(state=UNKNOWN, detail=f"unknown: because {because}")

    def note(self, component: str, text: str) -> None:
        """A value for the table, of what is well."""
        self.notes.setdefault(component, []).append(text)

    def add_part(self, host: str, part: dict[str, Any]) -> None:
        self.parts[host, part["name"]] = {
            "host": host,
            "name": part["name"],
            "component": part["component"],
            "unit": part.get("unit", ""),
            "state": OK,
            "detail": "",
            "role": "",
            "version": "",
        }

    def set_part(self, host: str, name: str, **values: str) -> None:
        if (host, name) in self.parts:
            self.parts[host, name].update(values)

    def component_state(self, component: str) -> str:
        states = [entry["level"] for entry in self.findings if entry["component"] == component]
        states += [UNKNOWN for entry in self.unknowns if entry["component"] == component]
        return worst(states)


def follows(finding: dict[str, Any], text: str) -> None:
    if text not in finding["consequences"]:
        finding["consequences"].append(text)


def finished(
    report: Report, name: str, now: float, hosts: list[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    """The report as it is written to JSON, drawn, and printed."""
    ordered = sorted(
        report.findings,
        key=lambda entry: (
            -ORDER.index(entry["level"]),
            list(COMPONENTS).index(entry["component"]),
            entry["host"],
            entry["part"],
        ),
    )
    for host in hosts:
        host["parts"] = [
            {key: value for key, value in part.items() if key != "host"}
            for (owner, _), part in report.parts.items()
            if owner == host["name"]
        ]
    used = {part["component"] for part in report.parts.values()}
    used |= {entry["component"] for entry in [*report.findings, *report.unknowns]} | {*report.notes}
    result = {
        "format": FORMAT,
        "cluster": name,
        "made": datetime.fromtimestamp(now, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        # What is unknown without a problem behind it is no clean bill of health.
        "state": worst(
            [entry["level"] for entry in report.findings] + [UNKNOWN for _ in report.unknowns[:1]]
        ),
        "counts": {
            "problems": sum(entry["level"] == PROBLEM for entry in report.findings),
            "warnings": sum(entry["level"] == WARNING for entry in report.findings),
            "unknown": len(report.unknowns),
        },
        "components": [
            {
                "name": component,
                "title": title,
                "state": report.component_state(component),
                "notes": report.notes.get(component, []),
            }
            for component, title in COMPONENTS.items()
            if component in used
        ],
        "findings": ordered,
        "unknown": report.unknowns,
        "hosts": hosts,
        **more,
    }
    return {**result, "text": as_text(result)}


def where(entry: dict[str, Any]) -> str:
    return " ".join(word for word in (entry["host"], entry["part"]) if word)


def wrapped(label: str, text: str, indent: str = "      ") -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=f"{indent}{label:<6} ",
        subsequent_indent=f"{indent}{' ' * 7}",
        break_long_words=False,
        break_on_hyphens=False,
    )


def grouped_unknowns(unknowns: list[dict[str, Any]], component: str) -> list[str]:
    """One line for each reason."""
    reasons: dict[str, list[str]] = {}
    for entry in unknowns:
        if entry["component"] == component:
            reasons.setdefault(entry["because"], []).append(
                " ".join(word for word in (where(entry), entry["what"]) if word)
            )
    return [f"{', '.join(dict.fromkeys(items))}: because {because}" for because, items in reasons.items()]


def as_text(result: dict[str, Any]) -> str:
    """The table by component, with cause and fix below what is wrong."""
    lines = []
    wide = max((len(entry["title"]) for entry in result["components"]), default=0)
    for component in result["components"]:
        notes = "; ".join(component["notes"])
        lines.append(f"{component['title']:<{wide}}  {component['state']:<7}  {notes}".rstrip())
        for entry in result["findings"]:
            if entry["component"] != component["name"]:
                continue
            place = where(entry)
            lines.append(
                wrapped(entry["level"] + ":", f"{place + ': ' if place else ''}{entry['what']}", "  ")
            )
            if entry["cause"]:
                lines.append(wrapped("cause", entry["cause"]))
            lines += [wrapped("so", text) for text in entry["consequences"]]
            lines.append(wrapped("fix", entry["fix"]))
        lines += [
            wrapped("unknown:", text, "  ") for text in grouped_unknowns(result["unknown"], component["name"])
        ]
    counts = result["counts"]
    verdict = {
        OK: "All is well.",
        UNKNOWN: "Not everything could be looked at.",
        WARNING: "Nothing is broken; something wants to be looked at.",
        PROBLEM: f"{count(counts['problems'], 'problem')}.",
    }[result["state"]]
    lines += ["", f"{result['cluster']}, {result['made']}: {verdict}"]
    return "\n".join(lines)
