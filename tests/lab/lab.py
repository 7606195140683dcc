# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab as the tests see it: its inventory, its hosts, its Airflow."""

from __future__ import annotations

import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable

import testinfra
import yaml
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.api import AirflowApi

ROOT = Path(__file__).resolve().parents[2]
MASTER_UNITS = (
    "airflow-api-server",
    "airflow-execution-api",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
)
PODMAN = ROOT / "molecule/shared/lab/podman"
BIN = Path(sys.executable).parent


def credential(name: str) -> str:
    """Options of systemd-run that open a secret of Airflow's, as its units do."""
    command = f"""sh -c 'exec cat "$CREDENTIALS_DIRECTORY/{name}"'"""
    return (
        f"--property=LoadCredentialEncrypted={name}:/etc/airflow/credentials/{name} "
        f"--setenv={name}_CMD={shlex.quote(command)}"
    )


class Unsafe(yaml.SafeDumper):
    """Texts are no templates."""


Unsafe.add_representer(str, lambda dumper, text: dumper.represent_scalar("!unsafe", text))


class Lab:
    def __init__(self, topology: str) -> None:
        self.topology = topology
        self.inventories = [ROOT / "molecule/shared/inventory", ROOT / "molecule" / topology / "inventory"]

    def run(self, *command: str | Path, check: bool = True, timeout: float = 1200, **kwargs: Any) -> str:
        """Runs a command in the checkout and returns what it printed; a failure shows it."""
        environment = {
            **os.environ,
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "ANSIBLE_NOCOLOR": "1",
            "NO_COLOR": "1",
        }
        if self.topology == "rough":
            # The controller lives elsewhere than its hosts, and speaks no language of theirs.
            environment = {name: value for name, value in environment.items() if not name.startswith("LC_")}
            environment |= {"TZ": "Asia/Tokyo", "LANG": "C"}
        environment.update(kwargs.pop("env", {}))
        done = subprocess.run(
            [str(word) for word in command],
            cwd=kwargs.pop("cwd", ROOT),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=timeout,
        )
        assert not check or done.returncode == 0, (
            f"{command} ended with {done.returncode}:\n{done.stdout[-6000:]}"
        )
        return done.stdout

    def playbook(self, playbook: str | Path, *arguments: str | Path, **kwargs: Any) -> str:
        inventories = [word for inventory in self.inventories for word in ("-i", inventory)]
        return self.run("ansible-playbook", *inventories, playbook, *arguments, **kwargs)

    def molecule(self, action: str) -> str:
        return self.run("molecule", action, "-s", self.topology)

    def module(self, host: str, name: str, **arguments: Any) -> dict[str, Any]:
        """Runs a module on a host, as root, and returns its result."""
        inventories = [word for inventory in self.inventories for word in ("-i", inventory)]
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as variables:
            # A password may hold what Ansible would take for a template.
            yaml.dump({"lab_arguments": arguments}, variables, Dumper=Unsafe)
            variables.flush()
            given = {key: f"{{{{ lab_arguments[{key!r}] }}}}" for key in arguments}
            text = self.run(
                "ansible", "--become", *inventories, host, "-m", name, "-a", json.dumps(given),
                "-e", f"@{variables.name}",
                env={"ANSIBLE_CALLBACK_RESULT_FORMAT": "json", "ANSIBLE_LOAD_CALLBACK_PLUGINS": "1"},
            )  # fmt: skip
        return json.loads(text[text.index("{") :])

    @functools.cached_property
    def inventory(self) -> dict[str, Any]:
        inventories = [word for inventory in self.inventories for word in ("-i", inventory)]
        return json.loads(self.run("ansible-inventory", *inventories, "--list"))

    def group(self, name: str) -> list[str]:
        return sorted(self.inventory[name].get("hosts", []))

    @functools.cached_property
    def hosts(self) -> list[str]:
        return sorted(self.inventory["_meta"]["hostvars"])

    def variables(self, host: str) -> dict[str, Any]:
        return self.inventory["_meta"]["hostvars"][host]

    def address(self, host: str) -> str:
        variables = self.variables(host)
        return variables.get("ansible_host") or variables["lab_address"]

    @functools.cache  # noqa: B019 - one object lives as long as the session
    def own_name(self, host: str) -> str:
        """What the host calls itself, as Airflow notes it of a task."""
        return self.host(host).check_output("hostname -f").strip()

    @functools.cached_property
    def name(self) -> str:
        return self.variables(self.hosts[0])["lab_name"]

    @property
    def directory(self) -> Path:
        return ROOT / ".lab" / self.name

    def secret(self, name: str) -> str:
        return (self.directory / "secrets" / name).read_text().strip()

    @functools.cache  # noqa: B019 - one object lives as long as the session
    def host(self, host: str) -> Any:
        """The host for testinfra: over SSH, with sudo, as users reach theirs."""
        return testinfra.get_host(
            f"ssh://admin@{self.address(host)}",
            sudo=True,
            ssh_identity_file=str(self.directory / "id_ed25519"),
            ssh_extra_args=f"-o UserKnownHostsFile={self.directory}/known_hosts -o ControlMaster=auto"
            " -o ControlPersist=60s -o ConnectTimeout=5",
        )

    def complaints(self, host: str) -> str:
        """The last of what its journal holds that sounds like trouble."""
        words = "error[^s]|warn|fail|timed out|traceback|lost|refused"
        look = (
            f"journalctl --since -5min -o short-iso --no-pager | grep -iE '{words}' | grep -v ' ansible-'"
            " | cut -c-250 | tail -15"
        )
        try:
            result = self.host(host).run(look)
        except RuntimeError as error:  # It is off.
            return str(error)
        return result.stdout or result.stderr

    def podman(self, action: str, hosts: list[str], *arguments: str) -> None:
        self.run(PODMAN, action, *arguments, *(f"{self.name}-{host}" for host in hosts))

    @functools.cached_property
    def with_load(self) -> tuple[str, ...]:
        """For site.yml under load: the folder of DAGs that it copies holds the load's as well."""
        dags = self.directory / "dags"
        shutil.copytree(ROOT / "roles/airflow_common/files/sample_dags", dags, dirs_exist_ok=True)
        shutil.copy(ROOT / "tests/lab/dags/lab_load.py", dags)
        return "-e", f"airflow_dags_path={dags}"

    @functools.cached_property
    def url(self) -> str:
        front = self.group("nginx_lb")[0]
        return self.variables(front).get("airflow_base_url") or f"http://{self.address(front)}"

    @property
    def ca(self) -> Path | None:
        """The authority of what nginx shows; none where it speaks HTTP alone."""
        return self.directory / "pki/ca.crt" if self.url.startswith("https://") else None

    @functools.cached_property
    def airflow(self) -> AirflowApi:
        return AirflowApi.from_params(
            {
                "url": self.url,
                "username": "admin",
                "password": self.secret("admin"),
                "validate_certs": True,
                "ca_path": str(self.ca) if self.ca else None,
                "use_proxy": False,
            }
        )


def wait_until(what: str, condition: Callable[[], Any], timeout: float, poll: float = 0.5) -> Any:
    """The first true value of the condition, which may fail meanwhile; after the time-out, an error."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            value, error = condition(), None
            if value:
                return value
        except Exception as problem:
            value, error = None, problem
        assert time.monotonic() < deadline, f"not within {timeout} s: {what} (last: {error or value!r})"
        time.sleep(poll)


def recap(output: str) -> dict[str, dict[str, int]]:
    """{host: {ok, changed, ...}} of the last PLAY RECAP in the output of ansible-playbook."""
    text = output[output.rindex("PLAY RECAP") :]
    return {
        host: {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", counts)}
        for host, counts in re.findall(r"^(\S+)\s+: (.*)$", text, re.MULTILINE)
    }


def changed(output: str) -> int:
    return sum(counts["changed"] for counts in recap(output).values())
