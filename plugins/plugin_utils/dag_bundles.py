# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`airflow_dag_bundles`: Airflow's configuration of them, the secrets in them, and what is wrong with them.

Pure functions. A bundle is {name, git, ref, subdir, refresh, ssh_key, known_hosts, username, token}, or
{name, s3, refresh, ...} with the rest of a place in an object store (see `object_store`), or {name,
classpath, kwargs, refresh} for a kind of its own.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any, Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from ansible_collections.airflowops.cluster.plugins.plugin_utils import object_store
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import as_integer, nearest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import is_placeholder
from ansible_collections.airflowops.cluster.plugins.plugin_utils.secrets_backends import CLASS

# What the folder airflow_dags_path is called in Airflow: its own name for the default bundle.
FOLDER = "dags-folder"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
OF_SSH = ("ssh_key", "known_hosts")
OF_HTTPS = ("username", "token")
OF_GIT = ("git", "ref", "subdir", *OF_SSH, *OF_HTTPS)
OF_OTHERS = ("classpath", "kwargs")
# What an entry of each kind may have, besides its name and refresh.
KINDS = {"git": OF_GIT, "s3": object_store.OF_S3, "classpath": OF_OTHERS}
OPTIONS = ("name", "refresh", *OF_GIT, *object_store.OF_S3, *OF_OTHERS)
# user@host:path, as git clone takes it.
SCP = re.compile(r"(?:(?P<user>[^@/:]+)@)?(?P<host>[^/:@]+):(?!//)(?P<path>.+)")
PORTS = {"ssh": 22, "https": 443, "http": 80}
REFRESH_SECONDS = 60
LEAST_REFRESH = 5


# --- What Airflow's configuration says


def identifier(bundle: Mapping[str, Any]) -> str:
    return str(bundle["name"]).replace("-", "_")


def connection_id(bundle: Mapping[str, Any]) -> str:
    return f"airflowops_{identifier(bundle)}"


def connection_variable(bundle: Mapping[str, Any]) -> str:
    return f"AIRFLOW_CONN_{connection_id(bundle).upper()}"


def key_credential(bundle: Mapping[str, Any]) -> str:
    return f"AIRFLOWOPS_KEY_{identifier(bundle).upper()}"


def known_hosts_file(bundle: Mapping[str, Any], directory: str) -> str:
    return f"{directory}/{bundle['name']}.known_hosts"


def bundle_config(bundles: Iterable[Mapping[str, Any]], folder: bool) -> list[dict[str, Any]]:
    """`[dag_processor] dag_bundle_config_list`; `folder` is whether there is a folder of DAGs, too."""
    config: list[dict[str, Any]] = []
    if folder:
        config.append(
            {
                "name": FOLDER,
                "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
                "kwargs": {},
            }
        )
    for bundle in bundles:
        kwargs: dict[str, Any] = {"refresh_interval": as_integer(bundle.get("refresh")) or REFRESH_SECONDS}
        if "git" in bundle:
            kwargs.update(git_conn_id=connection_id(bundle), tracking_ref=bundle.get("ref") or "main")
            if bundle.get("subdir"):
                kwargs["subdir"] = bundle["subdir"]
            classpath = "airflowops_runtime.dag_bundles.GitBundle"
        elif "s3" in bundle:
            bucket, prefix = object_store.bucket_and_prefix(bundle)
            kwargs.update(aws_conn_id=connection_id(bundle), bucket_name=bucket, prefix=prefix)
            if bundle.get("endpoint"):
                # Where the UI leads to: the provider knows Amazon's own address alone.
                kwargs["view_url_template"] = "/".join(
                    [str(bundle["endpoint"]).rstrip("/"), bucket, *([prefix] if prefix else [])]
                )
            classpath = "airflowops_runtime.dag_bundles.S3Bundle"
        else:
            kwargs.update(bundle.get("kwargs") or {})
            classpath = bundle["classpath"]
        config.append({"name": bundle["name"], "classpath": classpath, "kwargs": kwargs})
    return config


def bundle_secrets(bundles: Iterable[Mapping[str, Any]], directory: str) -> dict[str, str]:
    """{name of a credential: its content}. The connection of each repository or object store, and its key.

    A connection is read by sitecustomize.py, which knows where systemd has put the key.
    """
    secrets = {}
    for bundle in bundles:
        if "s3" in bundle:
            secrets[connection_variable(bundle)] = json.dumps(object_store.connection(bundle))
        if "git" not in bundle:
            continue
        connection: dict[str, Any] = {"conn_type": "git", "host": bundle["git"]}
        if bundle.get("token"):
            connection.update(login=bundle.get("username") or "git", password=bundle["token"])
        if bundle.get("ssh_key"):
            connection["extra"] = {
                "key_file": f"${{CREDENTIALS_DIRECTORY}}/{key_credential(bundle)}",
                "strict_host_key_checking": "yes",
                "known_hosts_file": known_hosts_file(bundle, directory),
            }
            # OpenSSH takes no key whose last line has no end.
            secrets[key_credential(bundle)] = str(bundle["ssh_key"]).rstrip("\n") + "\n"
        secrets[connection_variable(bundle)] = json.dumps(connection)
    return secrets


def bundle_files(bundles: Iterable[Mapping[str, Any]], directory: str) -> list[dict[str, Any]]:
    """The files with the keys of servers, which are no secret."""
    files: list[dict[str, Any]] = []
    for bundle in bundles:
        if bundle.get("known_hosts"):
            content = str(bundle["known_hosts"]).rstrip("\n") + "\n"
            files.append({"path": known_hosts_file(bundle, directory), "content": content})
    return [{"path": directory, "directory": True}, *files] if files else []


# --- Where the servers are


def server_of(url: str) -> tuple[str, str, int] | None:
    """Scheme, host and port of a repository's server; nothing for a path on the host, or what is no URL."""
    match = SCP.fullmatch(url) if "://" not in url else None
    if match:
        return "ssh", match["host"], PORTS["ssh"]
    try:
        parts = urlsplit(url)
        if parts.scheme in PORTS and parts.hostname:
            return parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme]
    except ValueError:
        pass
    return None


def by_proxy(scheme: str, environment: Any) -> bool:
    """Whether what fetches goes by a proxy, as git and boto do by these variables."""
    given = environment.items() if isinstance(environment, Mapping) else ()
    named = {str(name).lower() for name, value in given if value}
    return scheme != "ssh" and not named.isdisjoint((f"{scheme}_proxy", "all_proxy"))


def bundle_servers(bundles: Any, directory: str, environment: Any = None) -> list[dict[str, str]]:
    """[{server: HOST:PORT, copy: a file of what a host has of it}] of the bundles from other hosts.

    Of what is no list of bundles: none. environment: airflow_environment; with a proxy there, the servers
    behind it are left out, as only the fetch itself shows whether they are reached.
    """
    listed = bundles if isinstance(bundles, Sequence) and not isinstance(bundles, str) else []
    found = []
    for bundle in listed:
        if not isinstance(bundle, Mapping):
            continue
        repository, store = server_of(str(bundle.get("git", ""))), object_store.server_of(bundle)
        copy = f"{directory}/{bundle.get('name')}"
        if repository and not by_proxy(repository[0], environment):
            found.append({"server": f"{repository[1]}:{repository[2]}", "copy": f"{copy}/bare/HEAD"})
        elif store and not by_proxy(urlsplit(str(bundle["endpoint"])).scheme, environment):
            found.append({"server": f"{store[0]}:{store[1]}", "copy": f"{copy}/whole.json"})
    return found


# --- What is wrong


def bundle_problems(bundles: Any) -> list[str]:
    """What is wrong with the variable, in words without its secrets, each to stand before a host's name."""
    if not isinstance(bundles, Sequence) or isinstance(bundles, str):
        return ["airflow_dag_bundles is no list: give it a list of bundles, as in [{name: etl, git: URL}]"]
    problems = []
    for number, bundle in enumerate(bundles, start=1):
        if not isinstance(bundle, Mapping):
            problems.append(
                f"Bundle {number} of airflow_dag_bundles is no dictionary: give it name, and git or s3"
            )
            continue
        name = bundle.get("name")
        label = f"Bundle {name if isinstance(name, str) and name else number} of airflow_dag_bundles"
        problems += [f"{label} {problem}" for problem in problems_of(bundle)]
    names = Counter(
        identifier(bundle) for bundle in bundles if isinstance(bundle, Mapping) and "name" in bundle
    )
    for name, times in names.items():
        if times > 1:
            problems.append(f"airflow_dag_bundles names {name} {times} times: give each bundle its own name")
    return problems


def problems_of(bundle: Mapping[str, Any]) -> list[str]:
    problems = []
    name = bundle.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name) or name == FOLDER:
        problems.append(
            "has no fit name: use lower-case letters, digits, - and _, begin with a letter or digit, and "
            f"leave {FOLDER} to the folder of airflow_dags_path"
        )
    for option in bundle:
        if option not in OPTIONS:
            problems.append(f"has an option {option} that there is none of{nearest(str(option), OPTIONS)}")
    refresh = as_integer(bundle.get("refresh", REFRESH_SECONDS))
    if refresh is None or refresh < LEAST_REFRESH:
        problems.append(f"has a refresh that is no number of seconds from {LEAST_REFRESH} on")
    kinds = [kind for kind in KINDS if kind in bundle]
    if len(kinds) != 1:
        problems.append(
            "needs one of git, the URL of a repository, s3, a place in an object store, and classpath, a "
            "class of its own"
        )
        return problems
    (kind,) = kinds
    foreign = [option for option in OPTIONS[2:] if option in bundle and option not in KINDS[kind]]
    if foreign:
        problems.append(f"has {' and '.join(foreign)}, which goes with no {kind}: remove it")
    if kind == "git":
        problems += git_problems(bundle)
    elif kind == "s3":
        problems += object_store.place_problems(bundle)
    else:
        problems += class_problems(bundle)
    return problems


def class_problems(bundle: Mapping[str, Any]) -> list[str]:
    problems = []
    if not isinstance(bundle["classpath"], str) or not CLASS.fullmatch(bundle["classpath"]):
        problems.append("has a classpath that names no class: write it as package.module.Class")
    if not isinstance(bundle.get("kwargs") or {}, Mapping):
        problems.append("has kwargs that are no dictionary: write them as {name: value}")
    return problems


def git_problems(bundle: Mapping[str, Any]) -> list[str]:
    url = str(bundle["git"])
    server = server_of(url)
    problems = [
        f"has a {option} that is no text: set it in quotes, as YAML reads 1.10 as a number"
        for option in ("ref", "subdir")
        if not isinstance(bundle.get(option) or "", str)
    ]
    if server is None:
        if url.startswith(("/", "file:///")):
            return problems
        return [
            *problems,
            "has a git that is no URL: write ssh://git@HOST/PATH, git@HOST:PATH or https://HOST/PATH",
        ]
    scheme, host, port = server
    if scheme == "ssh":
        if not bundle.get("ssh_key"):
            problems.append("needs ssh_key, the private key that its server lets read")
        elif is_placeholder(str(bundle["ssh_key"])) or "PRIVATE KEY" not in str(bundle["ssh_key"]):
            problems.append(
                "has an ssh_key that is no private key: give the file's whole text, from the vault"
            )
        if not bundle.get("known_hosts"):
            where = host if port == PORTS["ssh"] else f"-p {port} {host}"
            problems.append(
                f"needs known_hosts, the keys of its server: what `ssh-keyscan {where}` prints, compared "
                "with what the server's administrator says"
            )
    elif urlsplit(url).password:
        problems.append("has a password in its URL, which is no secret there: put it into token")
    foreign = [option for option in (OF_HTTPS if scheme == "ssh" else OF_SSH) if bundle.get(option)]
    if foreign:
        problems.append(
            f"has {' and '.join(foreign)}, which {scheme} does not use: remove it, or change the URL"
        )
    return problems
