# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Airflow's pools, variables, connections, roles and users, as they are and as they are declared.

An object is a dictionary of fields that do not depend on where it was read, so that two of them can be
compared. `plan` is pure; what it is given comes from Airflow's REST API, and what is secret, which the API
hides, from Airflow's own export.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.api import (
    AirflowApi,
    AuthenticationError,
    segment,
)

# In the order in which they are made; they are removed in the opposite one. A user needs his roles.
KINDS = ("pools", "variables", "connections", "roles", "users")
# Airflow's own: never removed, and the roles never changed either.
BUILT_IN = {
    "pools": {"default_pool"},
    "roles": {"Admin", "Op", "User", "Viewer", "Public"},
}
# What can be changed of it (Airflow's services/public/pools.py).
DEFAULT_POOL_FIELDS = ("slots", "include_deferred")
CONNECTION_FIELDS = ("conn_type", "description", "host", "login", "password", "schema", "port", "extra")

Objects = Mapping[str, Mapping[str, Any]]


class ObjectsError(Exception):
    """What is declared cannot be. The text shows no secret."""


class Step(NamedTuple):
    """action: create, change or remove. fields: names of those that differ, never their values."""

    action: str
    kind: str
    name: str
    fields: tuple[str, ...] = ()


def canonical(value: Any) -> Any:
    """A variable's value as Airflow's export gives it back: JSON, unless it is that of a text, is read."""
    if not isinstance(value, str):
        return value
    try:
        read = json.loads(value)
    except ValueError:
        return value
    return value if isinstance(read, str) else read


def exported_variable(value: Any) -> Any:
    """The export wraps a value that has a description, or that could be taken for a wrapped one."""
    if isinstance(value, dict) and value.keys() == {"value", "description"}:
        return canonical(value["value"])
    return canonical(value)


def connection(given: Mapping[str, Any]) -> dict[str, Any]:
    """All fields as text; what is empty is None, the port a number, and `extra` is read."""
    fields: dict[str, Any] = {
        name: None if given.get(name) in (None, "") else str(given[name])
        for name in CONNECTION_FIELDS
        if name != "extra"
    }
    fields["port"] = int(fields["port"]) if fields["port"] else None
    fields["extra"] = canonical(given.get("extra")) or None
    return fields


def declared_connections(connections: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    wanted = {}
    for name, given in connections.items():
        unknown = sorted(set(given) - set(CONNECTION_FIELDS)) if isinstance(given, Mapping) else []
        if not isinstance(given, Mapping) or unknown or not given.get("conn_type"):
            others = ", ".join(CONNECTION_FIELDS[1:])
            raise ObjectsError(
                f"The connection {name} must have conn_type, and may have {others}"
                + (f", but not {', '.join(unknown)}" if unknown else "")
            )
        for field in CONNECTION_FIELDS:
            if field != "extra" and isinstance(given.get(field), (Mapping, list, bool)):
                raise ObjectsError(f"The connection {name} must have text as {field}")
        if not re.fullmatch("[0-9]*", str(given.get("port") or "")):
            raise ObjectsError(f"The connection {name} must have a number as port")
        wanted[name] = connection(given)
    return wanted


def declared_roles(roles: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    for name, given in roles.items():
        if name in BUILT_IN["roles"]:
            raise ObjectsError(f"The role {name} is Airflow's own: declare one of another name")
        if not isinstance(given, Mapping) or not all(isinstance(actions, list) for actions in given.values()):
            raise ObjectsError(
                f"The role {name} must map resources to lists of actions, as in {{DAGs: [can_read]}}"
            )
    return {
        name: {
            "permissions": permissions((action, resource) for resource in given for action in given[resource])
        }
        for name, given in roles.items()
    }


def declared_variable(value: Any) -> dict[str, Any]:
    """`value` is compared, `text` is stored: read and written again, "1.10" would be 1.1."""
    return {"value": canonical(value), "text": value if isinstance(value, str) else json.dumps(value)}


def declared(params: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """{kind: {name: object}} of the module's parameters; a kind that is not declared is not there."""
    wanted: dict[str, dict[str, Any]] = {}
    if params["pools"] is not None:
        wanted["pools"] = {
            pool["name"]: {key: pool[key] for key in ("slots", "description", "include_deferred")}
            for pool in params["pools"]
        }
    if params["variables"] is not None:
        wanted["variables"] = {key: declared_variable(value) for key, value in params["variables"].items()}
    if params["connections"] is not None:
        wanted["connections"] = declared_connections(params["connections"])
    if params["roles"] is not None:
        wanted["roles"] = declared_roles(params["roles"])
    if params["users"] is not None:
        wanted["users"] = {
            user["username"]: {
                "email": user["email"],
                "first_name": user["first_name"],
                "last_name": user["last_name"],
                "roles": sorted(user["roles"]),
                "password": user["password"],
            }
            for user in params["users"]
        }
    for kind in ("pools", "users"):
        names = [entry["name" if kind == "pools" else "username"] for entry in params[kind] or []]
        for name in names:
            if names.count(name) > 1:
                raise ObjectsError(f"{name} stands {names.count(name)} times in {kind}: once is right")
    return wanted


def permissions(pairs: Iterable[tuple[str, str]]) -> list[str]:
    return sorted(f"{action} on {resource}" for action, resource in pairs)


def is_default_pool(kind: str, name: str) -> bool:
    return kind == "pools" and name in BUILT_IN["pools"]


def compared(kind: str, name: str, fields: Mapping[str, Any]) -> list[str]:
    """The fields in which an object can differ from what is declared."""
    if is_default_pool(kind, name):
        # Airflow describes its own pool itself, and refuses a change of that.
        return [field for field in fields if field in DEFAULT_POOL_FIELDS]
    return [field for field in fields if field != "text"]


def same(one: Any, other: Any) -> bool:
    """As JSON: to Python true is 1, and NaN is not itself."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def plan(
    wanted: Mapping[str, Objects],
    found: Mapping[str, Objects],
    prune: Sequence[str],
    keep_users: Sequence[str] = (),
) -> list[Step]:
    """Steps from what was found to what is wanted. `prune`: kinds of which nothing else may stay."""
    steps = []
    for kind in KINDS:
        for name, fields in wanted.get(kind, {}).items():
            if name not in found[kind]:
                steps.append(Step("create", kind, name))
                continue
            before = found[kind][name]
            differ = tuple(
                key for key in compared(kind, name, fields) if not same(fields[key], before.get(key))
            )
            if differ:
                steps.append(Step("change", kind, name, differ))
    for kind in reversed(KINDS):
        if kind in prune:
            kept = {*wanted.get(kind, {}), *BUILT_IN.get(kind, ()), *(keep_users if kind == "users" else ())}
            steps += [Step("remove", kind, name) for name in sorted(found[kind]) if name not in kept]
    return steps


class Airflow:
    """Reads and writes the objects of one Airflow."""

    def __init__(
        self, api: AirflowApi, export: Callable[[], dict[str, Any]], password_fits: Callable[[str, str], bool]
    ):
        """export: {"connections": ..., "variables": ...} in clear text, as Airflow's command line gives them.
        password_fits: whether a user can log in so.
        """
        self._api = api
        self._export = export
        self._password_fits = password_fits

    def found(self, kinds: Iterable[str], wanted: Mapping[str, Objects]) -> dict[str, dict[str, Any]]:
        kinds = set(kinds)
        found: dict[str, dict[str, Any]] = {}
        if "pools" in kinds:
            found["pools"] = {
                pool["name"]: {
                    "slots": pool["slots"],
                    "description": pool["description"] or "",
                    "include_deferred": pool["include_deferred"],
                }
                for pool in self._api.get_all("pools", "pools", order_by="name")
            }
        if kinds & {"variables", "connections"}:
            exported = self._export()
            found["variables"] = {
                key: {"value": exported_variable(value)} for key, value in exported["variables"].items()
            }
            found["connections"] = {
                name: connection(given) for name, given in exported["connections"].items()
            }
        if "roles" in kinds:
            found["roles"] = {
                role["name"]: {
                    "permissions": permissions(
                        (entry["action"]["name"], entry["resource"]["name"]) for entry in role["actions"]
                    )
                }
                for role in self._api.get_all("/auth/fab/v1/roles", "roles", order_by="name")
            }
        if "users" in kinds:
            found["users"] = {
                user["username"]: self._user(user, wanted.get("users", {}).get(user["username"]))
                for user in self._api.get_all("/auth/fab/v1/users", "users", order_by="username")
            }
        return found

    def _user(self, user: Mapping[str, Any], wanted: Mapping[str, Any] | None) -> dict[str, Any]:
        fields = {
            "email": user["email"],
            "first_name": user["first_name"],
            "last_name": user["last_name"],
            "roles": sorted(role["name"] for role in user["roles"] or []),
        }
        # Nobody can read it: whether it is the one that is wanted shows when somebody logs in with it.
        if wanted and self._password_fits(user["username"], wanted["password"]):
            fields["password"] = wanted["password"]
        return fields

    def apply(self, steps: Iterable[Step], wanted: Mapping[str, Objects]) -> None:
        for step in steps:
            path = self._path(step.kind)
            one = f"{path}/{segment(step.name)}"
            if step.action == "remove":
                self._api.delete(one)
                continue
            body = self._body(step.kind, step.name, wanted[step.kind][step.name])
            if step.action == "create":
                self._api.post(path, body)
            elif is_default_pool(step.kind, step.name):
                self._api.patch(one, body, update_mask=DEFAULT_POOL_FIELDS)
            else:
                self._api.patch(one, body)

    @staticmethod
    def _path(kind: str) -> str:
        return f"/auth/fab/v1/{kind}" if kind in ("roles", "users") else kind

    @staticmethod
    def _body(kind: str, name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        if kind == "pools":
            return {"name": name, **fields}
        if kind == "variables":
            return {"key": name, "value": fields["text"]}
        if kind == "connections":
            extra = fields["extra"]
            text = extra if extra is None or isinstance(extra, str) else json.dumps(extra)
            return {"connection_id": name, **fields, "extra": text}
        if kind == "roles":
            pairs = [entry.split(" on ", 1) for entry in fields["permissions"]]
            actions = [
                {"action": {"name": action}, "resource": {"name": resource}} for action, resource in pairs
            ]
            return {"name": name, "actions": actions}
        return {"username": name, **fields, "roles": [{"name": role} for role in fields["roles"]]}


def password_fits(params: Mapping[str, Any], username: str, password: str) -> bool:
    """Whether Airflow lets the user in with it."""
    try:
        AirflowApi.from_params({**params, "username": username, "password": password}).log_in()
    except AuthenticationError:
        return False
    return True
