#!/usr/bin/env python3
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes what preflight knows of the options of Airflow, Redis and PostgreSQL: roles/preflight/files/options.

    option_data.py airflow LOCK_FILE...      # of one version; its packages are fetched from PyPI by uv
    option_data.py redis SERVER              # redis-server or valkey-server
    option_data.py postgresql BIN_DIRECTORY  # as a user other than root

Nothing is written by hand into those files: for a new release run this again. Only the standard library and
PyYAML are used, and only the latter by the first command, so that the others run on a bare host.
"""

from __future__ import annotations

import ast
import json
import re
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

OPTIONS = Path(__file__).parents[2] / "roles" / "preflight" / "files" / "options"
PINNED = re.compile(r"^(apache-airflow-(?:core|providers-[a-z0-9-]+))==([^\s;\\]+)", re.MULTILINE)
# Read as JSON: `getjson("section", "option"`.
AS_JSON = re.compile(r"getjson\(\s*(?:section=)?\"(\w+)\",\s*(?:key=)?\"(\w+)\"")
WEIGHT_RULES = ["absolute", "downstream", "upstream"]


def write(name: str, data: dict[str, Any]) -> None:
    """One entry a line, so that a difference between two releases can be read."""
    lines = []
    for key, value in data.items():
        if isinstance(value, dict) and key != "providers":
            entries = [f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in sorted(value.items())]
            lines.append(f"{json.dumps(key)}: {{\n" + ",\n".join(entries) + "\n}")
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    (OPTIONS / name).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(OPTIONS / name)


# --- Airflow


def airflow(lock_files: list[str]) -> None:
    pins = dict(pin for file in lock_files for pin in PINNED.findall(Path(file).read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory() as folder:
        wanted = [f"{name}=={version}" for name, version in pins.items()]
        uv = Path(sys.executable).parent / "uv"
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--no-deps", "--target", folder, *wanted], check=True
        )
        version = pins.pop("apache-airflow-core")
        write(f"airflow-{version}.json", {"airflow": version, "providers": pins, **airflow_options(folder)})


def airflow_options(folder: str) -> dict[str, Any]:
    import yaml

    package = Path(folder) / "airflow"
    described = {
        "core": yaml.safe_load((package / "config_templates/config.yml").read_text(encoding="utf-8"))
    }
    for file in sorted(package.glob("providers/**/get_provider_info.py")):
        provider = runpy.run_path(str(file))["get_provider_info"]()
        described[provider["package-name"]] = provider.get("config") or {}
    as_json = {found for file in package.rglob("*.py") for found in AS_JSON.findall(file.read_text("utf-8"))}
    as_json.add(("core", "asset_manager_kwargs"))
    choices, renamed = enumerations(package / "configuration.py"), renamed_options(package)
    options: dict[str, Any] = {}
    for owner, sections in described.items():
        for section, content in sections.items():
            for option, given in (content.get("options") or {}).items():
                entry = describe(given)
                entry.update({"of": owner} if owner != "core" else {})
                entry.update({"json": True} if (section, option) in as_json else {})
                entry.update({"choices": choices[section, option]} if (section, option) in choices else {})
                options.setdefault(f"{section}.{option}", entry)
    revisions = schema_revisions(package)
    return {
        "options": options,
        "renamed": renamed,
        "revision": next(reversed(revisions)),
        "revisions": revisions,
    }


def schema_revisions(package: Path) -> dict[str, str]:
    """{revision of the schema: the Airflow that brought it}, the newest last."""
    found = {}
    for file in sorted((package / "migrations/versions").glob("[0-9]*.py")):
        names = assignments(file)
        found[ast.literal_eval(names["revision"])] = ast.literal_eval(names["airflow_version"])
    return found


def describe(given: dict[str, Any]) -> dict[str, Any]:
    """Type, least value and kind of an option. It is bounded where neither default nor text is below zero."""
    entry: dict[str, Any] = {"type": given["type"]}
    default = str(given.get("default"))
    text = f"{default} {given.get('description')}".lower()
    if given.get("sensitive"):
        entry["sensitive"] = True
    if given["type"] in ("integer", "float"):
        if re.fullmatch(r"[0-9.]+", default) and not re.search(r"-1\b|negative|below zero", text):
            entry["min"] = 0
        if default in ("None", ""):
            entry["empty"] = True
    elif given["type"] == "boolean" and default.lower() not in ("true", "false"):
        entry["empty"] = True
    return entry


def assignments(file: Path) -> dict[str, ast.expr]:
    """Everything that a file assigns to a name of a class or of its own."""
    found = {}
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = node.value
    return found


def enumerations(file: Path) -> dict[tuple[str, str], list[str]]:
    """Airflow's own list of the options with few values, without importing it."""
    names = assignments(file)

    def texts(node: ast.expr) -> list[str]:
        if isinstance(node, ast.Name):
            return texts(names[node.id])
        if not isinstance(node, ast.List):
            return WEIGHT_RULES
        return [
            text
            for item in node.elts
            for text in (texts(item.value) if isinstance(item, ast.Starred) else [ast.literal_eval(item)])
        ]

    given = names["enums_options"]
    assert isinstance(given, ast.Dict)
    return {ast.literal_eval(key): texts(value) for key, value in zip(given.keys, given.values) if key}


def renamed_options(package: Path) -> dict[str, str]:
    """{the former name: the name that counts}."""
    given = ast.literal_eval(assignments(package / "_shared/configuration/parser.py")["deprecated_options"])
    return {f"{old[0]}.{old[1]}": f"{new[0]}.{new[1]}" for new, old in given.items()}


# --- Redis and Valkey


def complaint(server: str, directive: str, value: str) -> str:
    """What the server says of a directive; one that it takes is followed by one that no server takes."""
    run = subprocess.run(
        [server, f"--{directive}", value, "--no-such-directive", "1"],
        capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip
    lines = (run.stdout + run.stderr).strip().splitlines()
    wrong = [number for number, line in enumerate(lines) if line.startswith(">>> ")]
    if not wrong or "no-such-directive" in lines[wrong[0]] or len(lines) < wrong[0] + 2:
        return ""
    return lines[wrong[0] + 1]


def describe_directive(server: str, name: str) -> dict[str, Any]:
    said = complaint(server, name, "no-such-value")
    if "'yes' or 'no'" in said:
        return {"type": "boolean"}
    choices = re.search(r"must be one of the following: (.*)", said)
    if choices:
        return {"type": "enum", "choices": choices.group(1).replace(",", " ").split()}
    kind = "memory" if "memory" in said else "integer" if "integer" in said else ""
    if not kind:
        return {"type": "text"}
    bounds = re.search(r"between (-?\d+) and (\d+)", complaint(server, name, "-99999999999"))
    limits = {"min": int(bounds.group(1)), "max": int(bounds.group(2))} if bounds else {}
    return {"type": kind, **({"percent": True} if "percent" in said else {}), **limits}


def redis(server: str) -> None:
    version = re.search(
        r"(Redis|Valkey)?.*v=(\d+\.\d+)", subprocess.check_output([server, "--version"], text=True)
    )
    assert version
    names = directive_names(server)
    flavor = "valkey" if "valkey" in Path(server).name else "redis"
    data = {name: describe_directive(server, name) for name in names}
    # Read at the start alone, so that no running server lists them.
    data.update({name: {"type": "startup"} for name in ("include", "loadmodule", "rename-command", "user")})
    write(
        f"{flavor}-{version.group(2)}.json",
        {"server": flavor, "version": version.group(2), "directives": data},
    )


def directive_names(server: str) -> list[str]:
    client = server.replace("-server", "-cli")
    with tempfile.TemporaryDirectory() as folder:
        socket = f"{folder}/socket"
        command = [server, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
            while not Path(socket).exists():
                pass
            said = subprocess.check_output([client, "-s", socket, "--json", "config", "get", "*"], text=True)
            running.terminate()
    return sorted(json.loads(said))


# --- PostgreSQL


def postgresql(binaries: str) -> None:
    columns = "name, vartype, unit, min_val, max_val, enumvals::text[] AS enumvals, context"
    query = f"SELECT json_agg(setting) FROM (SELECT {columns} FROM pg_settings ORDER BY name) AS setting"
    with tempfile.TemporaryDirectory() as folder:
        data = f"{folder}/data"
        subprocess.run(
            [f"{binaries}/initdb", "-D", data, "--auth=trust"], check=True, stdout=subprocess.DEVNULL
        )
        said = subprocess.check_output(
            [f"{binaries}/postgres", "--single", "-D", data, "-P", "postgres"], input=query, text=True
        )
        version = Path(f"{data}/PG_VERSION").read_text(encoding="utf-8").strip()
    found = re.search(r'json_agg = "(.*)"\s*\(typeid', said, re.DOTALL)
    assert found, said
    settings = {}
    for setting in json.loads(found.group(1)):
        entry = {"type": setting["vartype"], "context": setting["context"]}
        for key, name in {"unit": "unit", "min_val": "min", "max_val": "max", "enumvals": "choices"}.items():
            if setting[key] is not None:
                entry[name] = float(setting[key]) if name in ("min", "max") else setting[key]
        settings[setting["name"]] = entry
    write(f"postgresql-{version}.json", {"version": version, "settings": settings})


def main(kind: str, *arguments: str) -> None:
    if kind == "airflow":
        airflow(list(arguments))
    else:
        {"redis": redis, "postgresql": postgresql}[kind](*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
