# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the judges of a cluster's health share: what was seen, and what is known to be down."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from ansible_collections.airflowops.cluster.plugins.plugin_utils.health.report import (
    PROBLEM,
    WARNING,
    Report,
    span,
)

Finding = Mapping[str, Any]


class Down:
    """Something that is not there: why, and the finding that says so, if there is one."""

    def __init__(self, because: str, finding: dict[str, Any] | None = None) -> None:
        self.because = because
        self.finding = finding


class Context:
    """One look at a cluster."""

    def __init__(
        self, expected: Mapping[str, Any], observed: Mapping[str, Any], limits: Mapping[str, Any], now: float
    ) -> None:
        self.expected = expected
        self.observed = observed
        self.limits = limits
        self.now = now
        self.report = Report()
        self.queues: list[dict[str, Any]] = []
        self.versions: dict[str, dict[str, str]] = {}
        self.redis_members: list[dict[str, Any]] = []
        self._down: dict[tuple[str, ...], Down] = {}

    # --- What was seen

    def look(self, host: str) -> dict[str, Any]:
        return self.observed.get(host, {}).get("look") or {}

    def seen(self, host: str) -> bool:
        return bool(self.look(host))

    def listed(self, host: str, name: str) -> list[Any]:
        """A list of what was seen; none where it could not be looked at."""
        value = self.look(host).get(name)
        return value if isinstance(value, list) else []

    def table(self, host: str, name: str) -> dict[str, Any]:
        """A dictionary of what was seen; an empty one where it could not be looked at."""
        value = self.look(host).get(name)
        return value if isinstance(value, dict) and "error" not in value else {}

    def error(self, host: str, name: str) -> str:
        """Why something could not be looked at; empty if it could, or was not to be."""
        value = self.look(host).get(name)
        return str(value["error"]) if isinstance(value, dict) and "error" in value else ""

    def parts(self, component: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """(host, part) of each part of a component."""
        for host, entry in self.expected["hosts"].items():
            for part in entry["parts"]:
                if part["component"] == component:
                    yield host, part

    def unit(self, host: str, part: Mapping[str, Any]) -> dict[str, Any]:
        return self.table(host, "systemd").get("units", {}).get(part["unit"], {})

    # --- What is down

    def set_down(self, *key: str, because: str, finding: dict[str, Any] | None = None) -> None:
        self._down.setdefault(key, Down(because, finding))

    def host_down(self, host: str, because: str, finding: dict[str, Any] | None = None) -> None:
        self.set_down("host", host, because=because, finding=finding)

    def down(self, *key: str) -> Down | None:
        return self._down.get(key)

    def any_down(self, kind: str) -> list[Down]:
        """All that are down of a kind, such as the Redis nodes."""
        return [down for key, down in self._down.items() if key[0] == kind]

    def first_down(self, *keys: tuple[str, ...]) -> Down | None:
        return next((self._down[key] for key in keys if key in self._down), None)

    # --- Words for what is found

    def graded(
        self,
        value: float,
        warn: float,
        limit: float,
        component: str,
        what: str,
        cause: str,
        fix: str,
        **place: str,
    ) -> None:
        """A problem from `limit` on, a warning from `warn` on."""
        if value >= limit:
            self.report.find(PROBLEM, component, what, cause, fix, **place)
        elif value >= warn:
            self.report.find(WARNING, component, what, cause, fix, **place)

    def unit_fault(
        self, host: str, part: Mapping[str, Any], *needs: tuple[str, ...]
    ) -> dict[str, Any] | None:
        """The finding about a part that does not run; None if it runs, or if that is a consequence.

        needs: what it stands on, such as ("metastore",). If that is down and nobody has stopped the part, the
        part is not at fault. What is down is noted as ("part", host, name).
        """
        host_down = self.down("host", host)
        name = part["name"]
        if host_down:
            self.report.unknown(part["component"], "", host_down.because, host=host, part=name)
            self.set_down("part", host, name, because=host_down.because, finding=host_down.finding)
            return None
        unit = self.unit(host, part)
        state = unit.get("state", "")
        if not unit:
            why = self.error(host, "systemd") or "systemd reported nothing of it"
            self.report.unknown(part["component"], "", why, host=host, part=name)
            return None
        if state in ("active", "reloading"):
            if not unit.get("enabled"):
                self.report.warn(
                    part["component"],
                    "runs, but would not start with the host",
                    "its unit is not enabled",
                    f"`systemctl enable {unit['unit']}`",
                    host=host,
                    part=name,
                )
            return None
        cause = self.first_down(*needs)
        stopped = state in ("inactive", "deactivating")
        if cause and not stopped:
            self.report.unknown(part["component"], "", cause.because, host=host, part=name)
            self.set_down("part", host, name, because=cause.because, finding=cause.finding)
            return None
        what = "does not serve yet" if state == "activating" else "does not run"
        finding = self.report.problem(
            part["component"], what, unit_cause(unit), unit_fix(unit), host=host, part=name
        )
        self.set_down("part", host, name, because=f"{name} on {host} {what}", finding=finding)
        return finding


def unit_cause(unit: Mapping[str, Any]) -> str:
    name, state = unit["unit"], unit["state"]
    since = f" for {span(unit['seconds'])}" if unit.get("seconds") is not None else ""
    if not unit["loaded"]:
        return f"there is no unit {name}, or it is masked"
    if state == "failed":
        return f"{name} has failed ({unit['sub_state']}){since}"
    if state == "activating" and unit["sub_state"] == "auto-restart":
        return f"{name} has ended by itself, and systemd restarts it"
    if state == "activating":
        return f"{name} has been starting{since}"
    return f"{name} was stopped and is {state}{since}"


def unit_fix(unit: Mapping[str, Any]) -> str:
    name = unit["unit"]
    if not unit["loaded"]:
        return f"run site.yml; if somebody masked it, `systemctl unmask {name}` first"
    if unit["state"] == "activating":
        return f"`journalctl -u {name} -n 50` says what it waits for"
    return f"`journalctl -u {name} -n 50` for the reason, then `systemctl start {name}`"
