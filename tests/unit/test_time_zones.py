# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time zone of the controller changes no verdict, the language of a host no reading of its dates."""

from __future__ import annotations

import datetime
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.module_utils.health.certificates import parse_certificate

ROOT = Path(__file__).parents[2]
METASTORE = ROOT / "roles/postgres_metastore/tasks"
ANSIBLE = Path(sys.executable).parent / "ansible-playbook"
# now() has no zone: timestamp() takes its UTC for local time, and one hour for another when summer ends.
NAIVE = re.compile(
    r"now\([^)]*\)\s*\.\s*timestamp\(|datetime\.(?:now\(\)|utcnow\(|utcfromtimestamp\()|fromtimestamp\(\w+\)"
)


def task(name: str, title: str) -> dict[str, Any]:
    """A task of the metastore's as it is written."""
    tasks = yaml.safe_load((METASTORE / name).read_text(encoding="utf-8"))
    flat = [inner for entry in tasks for inner in entry.get("block", [entry])]
    return next(entry for entry in flat if entry["name"] == title)


@pytest.mark.parametrize("zone", ["Asia/Tokyo", "America/Los_Angeles", "UTC"])
def test_moments_are_judged_alike_in_every_zone(zone: str, tmp_path: Path) -> None:
    now = int(time.time())
    moment = datetime.datetime.fromtimestamp(now - 20, datetime.timezone.utc).isoformat(sep=" ")
    later = datetime.datetime.fromtimestamp(now + 3600, datetime.timezone.utc).isoformat(sep=" ")
    note = task("verify_note.yml", "Note which backup is good")["ansible.builtin.copy"]["content"]
    certificates = yaml.safe_load((ROOT / "roles/certificates/vars/main.yml").read_text(encoding="utf-8"))
    refuse = task("restore_check.yml", "Refuse a moment that cannot be restored")
    age = task("backup_age.yml", "Refuse to go on without a backup")
    # Renewed in the last third of a day, which is eight hours.
    ends = {name: time.strftime("%Y%m%d%H%M%SZ", time.gmtime(now + hours * 3600)) for name, hours in
            {"good": 9, "old": 7}.items()}  # fmt: skip
    good = certificates["__certificates_good"]
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {
            "postgres_metastore_backup_age": 0.1,
            "__postgres_metastore_backups": {
                "backup": [{"label": label, "timestamp": {"stop": now - 60}} for label in ("a", "b")]
            },
            "certificates_ca_directory": str(tmp_path),
            "certificates_days": 1,
            "__certificates_present": {"content": ""},
            "__certificates_ca": {"subject_key_identifier": "a"},
            "__certificates_names": [],
            "__certificates_list_url": "",
            "__certificates_named_lists": "",
        },
        "tasks": [
            {**refuse, "vars": {**refuse["vars"], "postgres_metastore_restore_to": moment}},
            {
                "block": [{**refuse, "vars": {**refuse["vars"], "postgres_metastore_restore_to": later}},
                          {"ansible.builtin.meta": "clear_host_errors"}],
                "rescue": [{"ansible.builtin.set_fact": {"refused": True}}],
            },
            {"ansible.builtin.assert": {"that": "refused | default(false)"}},
            age,
            {"ansible.builtin.assert": {"that": f"(((noted | from_json).time | int) - {now}) | abs < 120"},
             "vars": {"noted": note}},
            *(
                {"ansible.builtin.assert": {"that": "(good | bool) == expected"},
                 "vars": {"good": good, "expected": name == "good", "__certificates_info": {
                     "authority_key_identifier": "a", "subject_alt_name": [], "not_after": end}}}
                for name, end in ends.items()
            ),
        ],
    }  # fmt: skip
    (tmp_path / "ca.crt").touch()
    (tmp_path / "play.yml").write_text(yaml.safe_dump([play]))
    environment = {**os.environ, "TZ": zone, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections")}
    done = subprocess.run(
        [ANSIBLE, "-i", "localhost,", tmp_path / "play.yml"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_takes_utc_for_local_time() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("roles", "playbooks", "plugins", "molecule")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.suffix in (".yml", ".j2", ".py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if NAIVE.search(line)
    ]
    assert found == []


# By name of a month or day: in the language of the process, and a module of Ansible uses that of its host.
NAMED = re.compile(r"str[pf]time\(.*%[aAbBcpxX]")


def test_no_date_is_read_by_names_of_months() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("roles", "plugins")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if NAMED.search(line)
    ]
    assert found == []
    read = parse_certificate("subject=CN = a\nnotAfter=May  9 12:00:00 2028 GMT\n")
    assert read == {"subject": "CN = a", "ends": 1841486400}
