# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What only a host has takes any password that preflight accepts: systemd, HAProxy, pgBackRest, Alertmanager.

The lab's own secrets are of odd characters (molecule/shared/lab/odd-characters.yml): here are hundreds more.
"""

from __future__ import annotations

import base64
import json
import shlex

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.filter.topology import environment_file, redis_command
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import secret_problem
from lab import Lab
from odd_passwords import PASSWORDS

pytestmark = pytest.mark.topology("single_node")
ACCEPTED = [password for password in PASSWORDS if not secret_problem("redis_cluster_password", password)]
LONGEST = "🔑ab1c7" * 111


def run(lab: Lab, script: str, given: str) -> str:
    """What a script prints on the host that reads the text from the file $given."""
    host = lab.host(lab.hosts[0])
    encoded = base64.b64encode(given.encode()).decode()
    folder = host.check_output("mktemp -d /run/passwords.XXXXXX")
    try:
        for begin in range(0, len(encoded), 60_000):
            host.run_expect([0], f"echo {encoded[begin : begin + 60_000]} >> {folder}/encoded")
        host.run_expect([0], f"base64 -d {folder}/encoded > {folder}/given")
        return host.check_output(f"export given={folder}/given folder={folder}; {script}")
    finally:
        host.run_expect([0], f"rm -r {folder}")


def test_systemd_hands_over_what_an_environment_file_holds(lab: Lab) -> None:
    """As the first user's password comes to Airflow."""
    code = "import json, os; print(json.dumps({n: v for n, v in os.environ.items() if n.startswith('ODD')}))"
    variables = {f"ODD{number}": password for number, password in enumerate(ACCEPTED)}
    printed = run(
        lab,
        "systemd-run --quiet --pipe --wait --collect --property=EnvironmentFile=$given "
        f"/usr/bin/python3 -c {shlex.quote(code)}",
        environment_file(variables),
    )
    assert json.loads(printed) == variables


def test_haproxy_reads_the_longest_login(lab: Lab) -> None:
    assert secret_problem("redis_cluster_broker_password", LONGEST) == ""
    assert "longer" in secret_problem("redis_cluster_broker_password", LONGEST + "🔑ab1c7")
    login = f"global\n    setenv ODD {redis_command(['AUTH', 'airflow', LONGEST])}\n"
    use = "defaults\n  mode tcp\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\nlisten x\n"
    use += '  bind 127.0.0.1:7\n  option tcp-check\n  tcp-check send-binary "${ODD}"\n'
    use += "  server s 127.0.0.1:8 check\n"
    reported = run(lab, "haproxy -c -f $given 2>&1; echo $?", login + use)
    assert reported.splitlines()[-1] == "0", reported


def test_pgbackrest_encrypts_with_the_whole_passphrase(lab: Lab) -> None:
    """It writes by a file, as the role writes it, and reads by what is in its environment."""
    code = """
import json, os, pathlib, subprocess
folder, wrong = pathlib.Path(os.environ["folder"]), []
for number, password in enumerate(json.load(open(os.environ["given"]))):
    repository, config = folder / f"repo{number}", folder / "pgbackrest.conf"
    repository.mkdir()
    config.write_text(f"[global]\\nrepo1-path={repository}\\nrepo1-cipher-type=aes-256-cbc\\nlog-level-file=off\\n"
                      f"[global]\\nrepo1-cipher-pass={password}\\n")
    common = [f"--config={config}", "--stanza=x", "--log-level-console=off"]
    put = subprocess.run(["pgbackrest", *common, "repo-put", "archive/x/archive.info"], input=b"kept",
                         capture_output=True)
    config.write_text(f"[global]\\nrepo1-path={repository}\\nrepo1-cipher-type=aes-256-cbc\\nlog-level-file=off\\n")
    got = subprocess.run(["pgbackrest", *common, "repo-get", "archive/x/archive.info"], capture_output=True,
                         env={**os.environ, "PGBACKREST_REPO1_CIPHER_PASS": password})
    if got.stdout != b"kept":
        wrong.append([password, (put.stderr + put.stdout + got.stderr).decode()])
print(json.dumps(wrong))
"""
    wrong = json.loads(run(lab, f"python3 -c {shlex.quote(code)}", json.dumps(ACCEPTED)))
    assert wrong == [], wrong[:3]


def test_alertmanager_reads_each(lab: Lab) -> None:
    receivers = [
        {
            "name": f"n{number}",
            "email_configs": [{"to": "a@example.org", "auth_username": "a", "auth_password": password}],
        }
        for number, password in enumerate(ACCEPTED)
    ]
    config = {
        "global": {"smtp_smarthost": "127.0.0.1:25", "smtp_from": "a@example.org"},
        "route": {"receiver": "n0"},
        "receivers": receivers,
    }
    text = yaml.dump(config, allow_unicode=True, default_flow_style=False, indent=2)
    assert f"{len(receivers)} receivers" in run(lab, "amtool check-config $given", text)
