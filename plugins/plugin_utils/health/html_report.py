# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws the report of a cluster's health as one HTML page that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import Any, Mapping, Sequence

from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.report import (
    COMPONENTS,
    grouped_unknowns,
    span,
    where,
)

# {tier: (title, the roles whose hosts are in it, the components of the parts that are drawn)}
TIERS = {
    "front": ("Front", ("nginx_lb", "flower"), ("front", "flower")),
    "masters": ("Masters", ("airflow_master",), ("airflow",)),
    "workers": ("Workers", ("airflow_worker",), ("workers",)),
    "redis": ("Redis Cluster", ("redis_cluster",), ("redis",)),
    "metastore": ("Metastore", ("postgres_metastore", "etcd"), ("metastore", "backups")),
}
# Who speaks to whom, and of what.
EDGES = (
    ("front", "masters", "UI, REST API"),
    ("workers", "masters", "execution API"),
    ("masters", "redis", "queues tasks"),
    ("workers", "redis", "takes tasks"),
    ("masters", "metastore", "state"),
)
SIGNS = {"ok": "●", "warning": "▲", "problem": "■", "unknown": "?"}
VERDICTS = {
    "ok": "All is well",
    "warning": "Nothing is broken, something wants to be looked at",
    "problem": "Something is broken",
    "unknown": "Not everything could be looked at",
}
BOX, GAP, LINE, HEAD, MARGIN, LANE = 256, 12, 17, 40, 12, 118
ACROSS = 4
LONGEST = 38
STYLE = """
:root {
  --ok: #1a7f37; --warning: #9a6700; --problem: #cf222e; --unknown: #6e7781;
  --line: #d0d7de; --soft: #f6f8fa; --text: #1f2328;
}
* { box-sizing: border-box; }
body {
  margin: 24px auto; max-width: 1180px; padding: 0 16px;
  font: 14px/1.45 system-ui, sans-serif; color: var(--text); background: #fff;
}
h1 { font-size: 22px; margin: 0; }
h2 { font-size: 17px; margin: 28px 0 8px; }
header { border-left: 8px solid var(--unknown); padding: 4px 0 4px 14px; margin-bottom: 16px; }
header.ok { border-color: var(--ok); }
header.warning { border-color: var(--warning); }
header.problem { border-color: var(--problem); }
header h1, header p { color: var(--text); }
header p { margin: 2px 0 0; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 5px 9px; border-bottom: 1px solid var(--line); }
th { background: var(--soft); font-weight: 600; }
td.state { white-space: nowrap; font-weight: 600; }
.ok { color: var(--ok); }
.warning { color: var(--warning); }
.problem { color: var(--problem); }
.unknown { color: var(--unknown); }
code { background: var(--soft); padding: 0 3px; border-radius: 3px; font-size: 13px; }
ul { margin: 4px 0 0; padding-left: 18px; }
.picture { overflow-x: auto; }
svg { font: 11.5px system-ui, sans-serif; max-width: 100%; height: auto; }
svg .tier { fill: var(--soft); stroke: var(--line); }
svg .box { fill: #fff; stroke: var(--line); stroke-width: 1.5; }
svg .box.ok { stroke: var(--ok); }
svg .box.warning { stroke: var(--warning); }
svg .box.problem { stroke: var(--problem); stroke-width: 2.5; }
svg .box.unknown { stroke: var(--unknown); stroke-dasharray: 5 3; }
svg text { fill: var(--text); }
svg .small { font-size: 11px; fill: var(--unknown); }
svg .name { font-weight: 600; font-size: 13px; }
svg text.ok { fill: var(--ok); }
svg text.warning { fill: var(--warning); }
svg text.problem { fill: var(--problem); }
svg text.unknown { fill: var(--unknown); }
svg .edge { fill: none; stroke: #8c959f; stroke-width: 1.3; }
svg .arrow { fill: #8c959f; }
"""


def page(report: Mapping[str, Any]) -> str:
    body = [
        header(report),
        *findings(report),
        "<h2>What is where</h2>",
        f'<div class="picture">{picture(report)}</div>',
        *components(report),
        *queues(report),
        *machines(report),
        *versions(report),
    ]
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Nothing is loaded and nothing is run, whatever stands in a text.
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src '
        "'unsafe-inline'\">\n"
        f"<title>{escape(report['cluster'])}: {VERDICTS[report['state']]}</title>\n"
        f"<style>{STYLE}</style>\n</head>\n<body>\n" + "\n".join(body) + "\n</body>\n</html>\n"
    )


def header(report: Mapping[str, Any]) -> str:
    counts = report["counts"]
    reported = ", ".join(
        f"{number} {word if number == 1 or word == 'unknown' else word + 's'}"
        for number, word in (
            (counts["problems"], "problem"),
            (counts["warnings"], "warning"),
            (counts["unknown"], "unknown"),
        )
        if number
    )
    return (
        f'<header class="{report["state"]}"><h1>{escape(report["cluster"])}: {VERDICTS[report["state"]]}</h1>'
        f"<p>{escape(report['made'])}{' · ' + reported if reported else ''}</p></header>"
    )


# --- Tables


def words(text: str) -> str:
    """Text with what stands between backquotes as code."""
    pieces = escape(str(text)).split("`")
    return "".join(
        f"<code>{piece}</code>" if at % 2 and at < len(pieces) - 1 else piece
        for at, piece in enumerate(pieces)
    )


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The cells are HTML."""
    if not rows:
        return []
    lines = [
        f"<h2>{escape(title)}</h2>",
        "<table>",
        "<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>",
    ]
    lines += [
        "<tr>" + "".join(cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row) + "</tr>"
        for row in rows
    ]
    return [*lines, "</table>"]


def state_cell(state: str) -> str:
    return f'<td class="state {state}">{SIGNS[state]} {state}</td>'


def findings(report: Mapping[str, Any]) -> list[str]:
    rows = []
    for entry in report["findings"]:
        so = "".join(f"<li>{words(text)}</li>" for text in entry["consequences"])
        rows.append(
            [
                state_cell(entry["level"]),
                escape(COMPONENTS[entry["component"]]),
                escape(where(entry)),
                words(entry["what"]) + (f"<ul>{so}</ul>" if so else ""),
                words(entry["cause"]),
                words(entry["fix"]),
            ]
        )
    for name, title in COMPONENTS.items():
        for text in grouped_unknowns(report["unknown"], name):
            what, _, because = text.partition(": because ")
            rows.append(
                [state_cell("unknown"), escape(title), "", words(what), words(because), "fix the cause"]
            )
    return table("What is wrong", ("", "component", "where", "what, and what follows", "cause", "fix"), rows)


def components(report: Mapping[str, Any]) -> list[str]:
    rows = [
        [state_cell(entry["state"]), escape(entry["title"]), escape("; ".join(entry["notes"]))]
        for entry in report["components"]
    ]
    return table("Components", ("", "component", ""), rows)


def queues(report: Mapping[str, Any]) -> list[str]:
    def reported(value: Any) -> str:
        return "?" if value is None else str(value)

    rows = [
        [
            state_cell(entry["state"]),
            escape(entry["queue"]),
            f"{reported(entry['workers'])} of {entry['wanted']}",
            reported(entry["messages"]),
            str(entry["queued_tasks"]),
            span(entry["oldest_seconds"]) if entry["oldest_seconds"] else "",
        ]
        for entry in report["queues"]
    ]
    return table("Queues", ("", "queue", "workers", "messages", "queued tasks", "the first waits for"), rows)


def machines(report: Mapping[str, Any]) -> list[str]:
    def percent(value: Any) -> str:
        return "" if value is None else f"{value:g} %"

    rows = [
        [
            state_cell(host["state"]),
            escape(host["name"]),
            escape(host["address"]),
            escape(host["os"]),
            percent(host["memory_used_percent"]),
            escape(", ".join(f"{disk['path']} {disk['used_percent']:g} %" for disk in host["disks"])),
            "" if host["clock_offset"] is None else f"{host['clock_offset']:+.2f} s",
        ]
        for host in report["hosts"]
    ]
    return table("Hosts", ("", "host", "address", "system", "memory used", "disks used", "clock"), rows)


def versions(report: Mapping[str, Any]) -> list[str]:
    rows = []
    for program, places in report["versions"].items():
        kinds: dict[str, list[str]] = {}
        for place, version in places.items():
            kinds.setdefault(version, []).append(place)
        rows += [
            [escape(program), escape(version), escape(", ".join(kinds[version]))] for version in sorted(kinds)
        ]
    return table("Versions", ("program", "version", "on"), rows)


# --- The picture


def shortened(text: str, most: int = LONGEST) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def lines_of(host: Mapping[str, Any], tier: str, report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """[(state, line, all of it)] of a host in a tier."""
    shown = [part for part in host["parts"] if part["component"] in TIERS[tier][2]]
    # What leads from here to the others, and what concerns the host, once: where it is drawn first.
    first = next(name for name in TIERS if {*host["roles"]} & {*TIERS[name][1]})
    if tier == first:
        shown += [part for part in host["parts"] if part["component"] == "endpoints"]
    members = {member["node"]: member for member in report["redis"]}
    lines = []
    for part in shown:
        text = part["name"]
        reported = role = part["role"]
        member = members.get(f"{host['name']}:{text.split()[-1]}") if part["component"] == "redis" else None
        if member and member["replica_of"]:
            reported = role = f"replica of {member['replica_of']}"
        elif member:
            role = "master, broker" if member["owner"] else "master"
            reported = f"{role}, {member['slots']} slots"
        state = part["state"]
        if state == "ok":
            line = " · ".join(word for word in (f"{text}: {role}" if role else text, part["version"]) if word)
        else:
            line = f"{text}: {part['detail'] if part['detail'] and host['reachable'] else state}"
        details = (reported, part["version"], part["detail"] or state)
        whole = f"{text}: {', '.join(filter(None, details))}"
        lines.append((state, line, whole))
    if tier == first:
        lines += [
            (entry["level"], entry["what"], entry["what"])
            for entry in report["findings"]
            if entry["host"] == host["name"] and not entry["part"]
        ]
    return lines


def picture(report: Mapping[str, Any]) -> str:
    width = LANE + MARGIN * 2 + ACROSS * BOX + (ACROSS - 1) * GAP
    shapes: list[str] = []
    middles: dict[str, float] = {}
    top: float = 4
    for tier, (title, roles, _components) in TIERS.items():
        hosts = [host for host in report["hosts"] if {*host["roles"]} & {*roles}]
        if not hosts:
            continue
        height, boxes = tier_boxes(hosts, tier, report, top + 24)
        shapes.append(
            f'<rect class="tier" x="1" y="{top}" width="{width - LANE}" height="{height + 24 + MARGIN}"'
            ' rx="8"/>'
            f'<text class="name" x="{MARGIN}" y="{top + 18}">{escape(title)}</text>' + boxes
        )
        middles[tier] = top + (height + 24 + MARGIN) / 2
        top += height + 24 + MARGIN + 16
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{top}" '
        f'viewBox="0 0 {width} {top}" role="img" '
        f'aria-label="Hosts and their parts">{"".join(shapes)}{edges(middles, width - LANE)}</svg>'
    )


def tier_boxes(
    hosts: Sequence[Mapping[str, Any]], tier: str, report: Mapping[str, Any], top: float
) -> tuple[float, str]:
    """(height, shapes) of the hosts of a tier, in rows."""
    shapes: list[str] = []
    y = top
    for at in range(0, len(hosts), ACROSS):
        row = [(host, lines_of(host, tier, report)) for host in hosts[at : at + ACROSS]]
        height = HEAD + LINE * max((len(lines) for _, lines in row), default=0) + 8
        for number, (host, lines) in enumerate(row):
            shapes.append(box(host, lines, MARGIN + number * (BOX + GAP), y, height))
        y += height + GAP
    return y - GAP - top, "".join(shapes)


def box(
    host: Mapping[str, Any], lines: Sequence[tuple[str, str, str]], x: float, y: float, height: float
) -> str:
    states = [state for state, _, _ in lines]
    state = max(["ok", *states], key=("ok", "unknown", "warning", "problem").index)
    if not host["reachable"]:
        state = host["state"]
    shapes = [
        f'<g><rect class="box {state}" x="{x}" y="{y}" width="{BOX}" height="{height}" rx="6"/>',
        f'<text class="name" x="{x + 10}" y="{y + 18}">{escape(shortened(host["name"], 28))}</text>',
        f'<text class="small" x="{x + 10}" y="{y + 32}">{escape(host["address"])}'
        f"{'' if host['reachable'] else ' · not looked at'}</text>",
    ]
    for number, (state, line, whole) in enumerate(lines):
        at = y + HEAD + LINE * number + 10
        shapes.append(
            f'<text class="{state}" x="{x + 10}" y="{at}">{SIGNS[state]}</text>'
            f'<text x="{x + 24}" y="{at}"{"" if state == "ok" else f" class={chr(34)}{state}{chr(34)}"}>'
            f"<title>{escape(whole)}</title>{escape(shortened(line))}</text>"
        )
    return "".join([*shapes, "</g>"])


def edges(middles: Mapping[str, float], x: float) -> str:
    """Arrows beside the tiers, each in a lane of its own."""
    shapes = []
    drawn = [edge for edge in EDGES if edge[0] in middles and edge[1] in middles]
    ends: dict[str, int] = {}
    for number, (one, other, text) in enumerate(drawn):
        lane = x + 16 + 20 * number
        start, end = (middles[tier] + 11 * (ends.setdefault(tier, 0) - 1) for tier in (one, other))
        for tier in (one, other):
            ends[tier] += 1
        shapes.append(
            f'<path class="edge" d="M{x} {start} H{lane} V{end} H{x + 7}"/>'
            f'<path class="arrow" d="M{x + 1} {end} l8 -4 v8 z"/>'
            f'<text class="small" transform="translate({lane - 3} {(start + end) / 2}) rotate(-90)" '
            f'text-anchor="middle">{escape(text)}</text>'
        )
    return "".join(shapes)
