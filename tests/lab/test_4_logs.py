# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The support bundle holds what reports a trouble, and no secret."""

from __future__ import annotations

import base64
import json
import shlex
from pathlib import Path
from urllib.parse import quote

import pytest
from lab import Lab, changed, wait_until

pytestmark = pytest.mark.topology("single_node")


def said_as(secret: str) -> list[str]:
    """How a careless program might log it; the last one is a login."""
    raw = secret.encode()
    encoded = [base64.b64encode(raw), base64.urlsafe_b64encode(raw), base64.b64encode(b"admin:" + raw)]
    return [secret, quote(secret, safe=""), raw.hex(), *(one.decode() for one in encoded)]


def told_by(secret: str) -> list[bytes]:
    """What would give it away: of what is in Base64, all but its ends."""
    plain, quoted, digits, *encoded = said_as(secret)
    return [one.encode() for one in (plain, quoted, digits, *(text[10:-6] for text in encoded))]


def bundle(lab: Lab, folder: Path, *arguments: str) -> tuple[Path, str]:
    output = lab.playbook("playbooks/logs.yml", "-e", f"logs_directory={folder}", *arguments)
    assert changed(output) == 0, output
    (archive,) = folder.glob("airflow-logs-*.tar.gz")
    assert str(archive) in output
    assert archive.stat().st_mode & 0o077 == 0
    lab.run("tar", "--extract", "--directory", folder, "--file", archive)
    archive.unlink()
    return next(folder.glob("airflow-logs-*")), output


def test_the_bundle_tells_of_troubles_and_of_no_secret(lab: Lab, tmp_path: Path) -> None:
    name = lab.hosts[0]
    host = lab.host(name)
    secrets = {path.name: path.read_text().strip() for path in (lab.directory / "secrets").iterdir()}
    # The inventory makes the key of this one.
    secrets["fernet"] = base64.b64encode(secrets["fernet"].encode()).decode()
    said = [f"careless {text} indeed" for secret in secrets.values() for text in said_as(secret)]
    assert len(said) > 30
    text = shlex.quote("\n".join([*said, "a mark of the lab"]) + "\n")
    host.run_expect([0], f"printf %s {text} | systemd-cat -p err -t lab")

    folder, _output = bundle(lab, tmp_path, "-e", "logs_since=1h")
    files = {
        str(path.relative_to(folder / name)): path for path in (folder / name).rglob("*") if path.is_file()
    }
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert b"a mark of the lab" in everything
    assert everything.count(b"careless [REMOVED]") >= 30
    for secret_name, secret in secrets.items():
        assert not [form for form in told_by(secret) if form in everything], secret_name

    contents = (folder / "README.md").read_text()
    assert all(f"`{name}/{file}`" in contents for file in files)
    assert "myself,master" in files["state/redis-7000-nodes.txt"].read_text()
    assert "cluster_state:ok" in files["state/redis-7000-cluster.txt"].read_text()
    assert "broker" in files["state/haproxy-stat.csv"].read_text()
    assert json.loads(files["state/airflow-health.json"].read_text())["metadatabase"]["status"] == "healthy"
    assert "airflow-scheduler" in files["state/units.txt"].read_text()
    assert "GET /" in files["logs/var/log/nginx/access.log"].read_text()
    assert "LOG: " in "".join(path.read_text() for file, path in files.items() if "log/postgresql" in file)
    assert "executor" in files["config/etc/airflow/airflow.cfg"].read_text()


def test_it_is_bounded_in_time_and_size(lab: Lab, tmp_path: Path) -> None:
    name = lab.hosts[0]
    host = lab.host(name)
    # As much as journald lets one unit say in half a minute.
    host.run_expect([0], "seq 20000 | sed 's/^/a flood of the lab /' | systemd-cat -p err -t lab")
    last = "journalctl --since -1min -t lab -o cat | grep ' 20000$'"
    wait_until("all of it is written", lambda: host.run(last).rc == 0, timeout=30)
    host.run_expect([0], "logger -p user.err 'after the flood'")
    folder, _output = bundle(lab, tmp_path, "-e", "logs_since=5min", "-e", "logs_max_mib=1")
    size = sum(path.stat().st_size for path in (folder / name).rglob("*") if path.is_file())
    assert size < 1.3 * 2**20
    errors = (folder / name / "journals/errors.log").read_text()
    assert "bytes before this were left out" in errors
    assert "after the flood" in errors


def test_a_time_that_is_none_is_refused(lab: Lab, tmp_path: Path) -> None:
    output = lab.playbook(
        "playbooks/logs.yml", "-e", f"logs_directory={tmp_path}", "-e", "logs_since=soon", check=False
    )
    assert "logs_since is 'soon', which is no time" in " ".join(output.split())
    assert not [*tmp_path.iterdir()]
