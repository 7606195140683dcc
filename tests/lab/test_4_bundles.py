# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DAGs from git repositories, by SSH with a key and by HTTP with a token, whose server goes away."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import Lab, changed, wait_until
from test_2_verify import run_dag

pytestmark = pytest.mark.usefixtures("long")

TOKEN = "lab-token-7Jq2"
HTTP_PORT = 8099
# git's "dumb" protocol is files; Basic authentication is all that a token needs.
HTTP_SERVER = f"""
import base64, http.server, os
wanted = "Basic " + base64.b64encode(b"git:{TOKEN}").decode()
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.headers.get("Authorization") == wanted:
            return super().do_GET()
        self.send_response(401)
        self.send_header("WWW-Authenticate", "Basic realm=git")
        self.end_headers()
os.chdir("/srv/git")
http.server.ThreadingHTTPServer(("", {HTTP_PORT}), Handler).serve_forever()
"""
DAG = """
from airflow.sdk import DAG
from airflow.providers.standard.operators.python import PythonOperator

def where():
    print("ran from", __file__)

with DAG(dag_id="{dag}", schedule=None):
    PythonOperator(task_id="where", python_callable=where, queue="cloudwalker_q2")
"""


class Server:
    """On the host that runs PostgreSQL: repositories, sshd, and an HTTP server that asks for the token."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab = lab
        self.name = lab.group("postgres_metastore")[0]
        self.host = lab.host(self.name)
        self.address = lab.variables(self.name)["ansible_host"]
        self.key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        self.sh("apt-get install -qq -y git >/dev/null && useradd --create-home gitserver")
        self.put("/home/gitserver/.ssh/authorized_keys", self.key.with_suffix(".pub").read_text())
        self.sh("chown -R gitserver /home/gitserver && chmod -R go= /home/gitserver/.ssh")
        self.put("/srv/git/server.py", HTTP_SERVER)
        for name in ("by_ssh", "by_http"):
            self.sh(f"git init -q --bare -b main /srv/git/{name}.git && git init -q -b main /srv/work/{name}")
            self.commit(name, f"lab_{name}")
        self.sh("systemd-run --unit=git-http /usr/bin/python3 /srv/git/server.py")

    def sh(self, command: str) -> str:
        return self.host.check_output("sh -c %s", command)

    def put(self, path: str, content: str) -> None:
        text = base64.b64encode(content.encode()).decode()
        self.sh(f"mkdir -p {Path(path).parent} && echo {text} | base64 -d > {path}")

    def commit(self, name: str, dag: str) -> None:
        self.put(f"/srv/work/{name}/dags/{dag}.py", DAG.format(dag=dag))
        who = "-c user.name=lab -c user.email=lab@example.org"
        bare = f"/srv/git/{name}.git"
        steps = f"cd /srv/work/{name} && git add . && git {who} commit -qm {dag} && git push -q {bare} main"
        self.sh(f"chown -R gitserver /srv/git /srv/work && runuser -u gitserver -- sh -c '{steps}'")
        self.sh(f"runuser -u gitserver -- git -C {bare} update-server-info")

    @property
    def known_hosts(self) -> str:
        keys = self.sh("cut -d' ' -f1,2 /etc/ssh/ssh_host_ed25519_key.pub")
        return f"{self.address} {keys}"

    def go_away(self) -> None:
        self.sh("systemctl stop git-http && mv /srv/git /srv/away")

    def come_back(self) -> None:
        self.sh("mv /srv/away /srv/git && systemd-run --unit=git-http /usr/bin/python3 /srv/git/server.py")

    @property
    def bundles(self) -> list[dict[str, Any]]:
        return [
            {
                "name": "by-ssh",
                "git": f"ssh://gitserver@{self.address}/srv/git/by_ssh.git",
                "subdir": "dags",
                "refresh": 5,
                "ssh_key": self.key.read_text(),
                "known_hosts": self.known_hosts,
            },
            {
                "name": "by-http",
                "git": f"http://{self.address}:{HTTP_PORT}/by_http.git",
                "subdir": "dags",
                "refresh": 5,
                "token": TOKEN,
            },
        ]

    def end(self) -> None:
        self.sh("systemctl stop git-http; userdel -rf gitserver; rm -rf /srv/git /srv/away /srv/work")


@pytest.fixture(scope="module")
def server(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(lab, tmp_path_factory.mktemp("git"))
    yield server
    server.end()
    lab.playbook("site.yml")


def site(lab: Lab, bundles: list[dict[str, Any]], check: bool = True) -> str:
    return lab.playbook("site.yml", "-e", json.dumps({"airflow_dag_bundles": bundles}), check=check)


def known(lab: Lab, dag: str) -> bool:
    return dag in [entry["dag_id"] for entry in lab.airflow.get_all("dags", "dags", order_by="dag_id")]


def test_what_cannot_be_read_is_named(lab: Lab, server: Server) -> None:
    ssh, http = server.bundles
    closed = {**http, "name": "closed", "git": http["git"].replace(str(HTTP_PORT), "8098")}
    reported = " ".join(site(lab, [ssh, closed], check=False).split())
    words = f"Nothing was changed. To be corrected: - {server.address}:8098, which airflow_dag_bundles names"
    assert words in reported
    reported = " ".join(site(lab, [{**ssh, "ref": "mian"}, {**http, "token": "wrong"}], check=False).split())
    assert "by-ssh: it has no branch or tag mian" in reported
    assert "by-http: " in reported
    assert "Authentication failed" in reported
    # The first two fields are a server's name and its key's kind.
    wrong = " ".join([*ssh["known_hosts"].split()[:2], server.key.with_suffix(".pub").read_text().split()[1]])
    reported = " ".join(site(lab, [{**ssh, "known_hosts": wrong}], check=False).split())
    assert "by-ssh: " in reported
    assert "Host key verification failed" in reported


def test_dags_of_repositories_run(lab: Lab, server: Server) -> None:
    site(lab, server.bundles)
    assert changed(site(lab, server.bundles)) == 0
    for name in ("by_ssh", "by_http"):
        wait_until(f"lab_{name} is known", lambda name=name: known(lab, f"lab_{name}"), timeout=90)
        assert run_dag(lab, f"lab_{name}")["state"] == "success"


def test_a_commit_arrives_by_itself(lab: Lab, server: Server) -> None:
    server.commit("by_ssh", "lab_second")
    wait_until("the new DAG is known", lambda: known(lab, "lab_second"), timeout=90)
    assert run_dag(lab, "lab_second")["state"] == "success"


def test_a_server_that_is_away_takes_nothing(lab: Lab, server: Server) -> None:
    server.go_away()
    try:
        for host in lab.group("airflow_master") + lab.group("airflow_worker"):
            lab.host(host).check_output("systemctl try-restart airflow-dag-processor 'airflow-worker@*'")
        for name in ("by_ssh", "by_http"):
            assert run_dag(lab, f"lab_{name}")["state"] == "success"
    finally:
        server.come_back()


def test_no_key_and_no_token_is_on_a_disk(lab: Lab, server: Server) -> None:
    line = server.key.read_text().splitlines()[2]
    for host in {*lab.group("airflow_master"), *lab.group("airflow_worker")}:
        for secret in (line, TOKEN):
            found = lab.host(host).run(
                "grep -rIlF %s /etc /opt /var /tmp /home /usr/local /srv/git --exclude=server.py", secret
            )
            assert found.stdout == ""
