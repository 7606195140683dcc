# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module host_files against what it stands in for, on this machine, without SSH: in a folder of its own.

The same files by ansible.builtin.template, one task each, and the same credentials by systemd_credential, one
task each. Only the tasks are timed, as Ansible notes them. The last line printed is JSON; the table
goes into docs/benchmarks.md. Ends with 1 if host_files takes more than half.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- host_files -->", "<!-- host_files end -->"
TEMPLATE = "{% for number in range(40) %}\noption_{{ number }} = {{ value }}\n{% endfor %}\n"
CREDENTIALS = 5


def tasks(side: str, folder: Path, files: int, credentials: int) -> list[dict[str, Any]]:
    rendered = "{{ lookup('ansible.builtin.template', '" + str(folder / "file.conf.j2") + "') }}"
    paths = [str(folder / f"etc/file{number}.conf") for number in range(files)]
    secrets = {str(folder / f"etc/secret{number}"): f"hunter{number}" for number in range(credentials)}
    if side == "host_files":
        entries = [{"path": path, "content": rendered} for path in paths]
        entries += [
            {"path": path, "secret_content": text, "encrypted": True} for path, text in secrets.items()
        ]
        return [{"airflowops.cluster.host_files": {"files": entries}}]
    return [
        *(
            {"ansible.builtin.template": {"src": str(folder / "file.conf.j2"), "dest": path}}
            for path in paths
        ),
        *(
            {"airflowops.cluster.systemd_credential": {"path": path, "content": text}}
            for path, text in secrets.items()
        ),
    ]


def run(side: str, folder: Path, files: int, credentials: int) -> float:
    play = {"hosts": "localhost", "gather_facts": False, "vars": {"value": "as it is"},
            "tasks": tasks(side, folder, files, credentials)}  # fmt: skip
    (folder / f"{side}.yml").write_text(json.dumps([play]))
    done = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", "localhost,", "-c", "local",
         "-e", f"ansible_python_interpreter={sys.executable}", folder / f"{side}.yml"],
        check=True, cwd=ROOT, stdout=subprocess.PIPE,
        env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
             "SYSTEMD_CREDENTIAL_SECRET": str(folder / "credential.secret")},
    )  # fmt: skip
    times = [task["task"]["duration"] for task in json.loads(done.stdout)["plays"][0]["tasks"]]
    begin, end = times[0]["start"], times[-1]["end"]
    return (
        datetime.fromisoformat(end.rstrip("Z")) - datetime.fromisoformat(begin.rstrip("Z"))
    ).total_seconds()


def measure(files: int, credentials: int) -> dict[str, float]:
    """{"SIDE first": seconds, "SIDE second": seconds}"""
    folder = Path(tempfile.mkdtemp(prefix="host-files."))
    (folder / "file.conf.j2").write_text(TEMPLATE)
    found = {}
    try:
        for side in ("modules", "host_files"):
            (folder / "etc").mkdir()
            for which in ("first", "second"):
                found[f"{side} {which}"] = run(side, folder, files, credentials)
            shutil.rmtree(folder / "etc")
    finally:
        shutil.rmtree(folder)
    return found


def table(results: dict[tuple[int, int], list[dict[str, float]]]) -> tuple[str, float]:
    lines = ["| files | credentials | run | `template`, `systemd_credential` | `host_files` | ratio |",
             "|---|---|---|---|---|---|"]  # fmt: skip
    worst = 0.0
    for (files, credentials), rounds in results.items():
        for which, name in (("first", "writes all"), ("second", "changes nothing")):
            theirs, ours = (
                statistics.median(one[f"{side} {which}"] for one in rounds)
                for side in ("modules", "host_files")
            )
            worst = max(worst, ours / theirs)
            lines.append(
                f"| {files} | {credentials} | {name} | {theirs:.1f} s | {ours:.1f} s | {ours / theirs:.2f} |"
            )
    count = len(next(iter(results.values())))
    lines.append(f"\nMedians of {count}, taken in turn in one run of `make bench SUITE=host_files`.")
    return "\n".join([BEGIN, *lines, END]), worst


def main(rounds: int) -> int:
    credentials = CREDENTIALS if shutil.which("systemd-creds") else 0
    cases = [(5, 0), (20, 0), (20, credentials)]
    results: dict[tuple[int, int], list[dict[str, float]]] = {case: [] for case in cases}
    for _ in range(rounds):
        for case in results:
            results[case].append(measure(*case))
            print(case, {key: round(value, 1) for key, value in results[case][-1].items()}, flush=True)
    lines, worst = table(results)
    page = ROOT / "docs/benchmarks.md"
    before, rest = page.read_text().split(BEGIN)
    page.write_text(before + lines + rest.split(END)[1])
    print(json.dumps({"suite": "host_files", "rounds": rounds, "worst_ratio": round(worst, 3)}))
    return 0 if worst <= 0.5 else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3))
