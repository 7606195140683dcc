# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The published guides' steps against site.yml, each on fresh lab hosts, up to the first successful DAG run.

The guides' side is tests/benchmarks/guide.sh: plain shell over SSH, every step on all of its hosts at once.
Both sides install the same Airflow and are done when the API says that `hello_world2` has succeeded. The last
line printed is JSON; the table goes into docs/benchmarks.md. Ends with 1 if ours takes more than half.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/lab")]
import conftest  # noqa: F401 - makes the collection importable
from lab import Lab, wait_until

BEGIN, END = "<!-- converge -->", "<!-- converge end -->"


def fresh(lab: Lab) -> None:
    lab.molecule("destroy")
    lab.molecule("create")
    for host in lab.hosts:
        lab.host(host).run("systemctl is-system-running --wait")


def first_dag_run(lab: Lab) -> None:
    """From the moment the API answers: unpause, trigger, wait."""
    wait_until("the DAG is known", lambda: lab.airflow.find("dags/hello_world2"), timeout=300, poll=0.5)
    lab.airflow.patch("dags/hello_world2", {"is_paused": False})
    run = lab.airflow.post("dags/hello_world2/dagRuns", {"logical_date": None})["dag_run_id"]
    wait_until(
        "the DAG run's end",
        lambda: lab.airflow.get(f"dags/hello_world2/dagRuns/{run}")["state"] == "success",
        timeout=300,
    )


def ours(lab: Lab) -> dict[str, float]:
    fresh(lab)
    start = time.monotonic()
    lab.playbook("site.yml")
    converged = time.monotonic() - start
    first_dag_run(lab)
    total = time.monotonic() - start
    start = time.monotonic()
    lab.playbook("site.yml")
    return {"converge": converged, "dag_run": total, "second": time.monotonic() - start}


def guide(lab: Lab) -> dict[str, float]:
    fresh(lab)
    # The password that the client below logs in with; the guide's script sets it.
    secrets = lab.directory / "secrets"
    secrets.mkdir(exist_ok=True)
    (secrets / "admin").write_text("guide-admin-password")
    start = time.monotonic()
    subprocess.run([ROOT / "tests/benchmarks/guide.sh", lab.directory], check=True, stdout=subprocess.DEVNULL)
    converged = time.monotonic() - start
    first_dag_run(lab)
    return {"converge": converged, "dag_run": time.monotonic() - start}


def table(results: dict[str, list[dict[str, float]]], ratio: float) -> str:
    def median(side: str, key: str) -> float:
        return statistics.median(result[key] for result in results[side])

    return "\n".join(
        [
            BEGIN,
            f"| | guides' steps | `site.yml` | ratio |\n|---|---|---|---|\n"
            f"| bare hosts to first successful DAG run | {median('guide', 'dag_run'):.0f} s "
            f"| {median('ours', 'dag_run'):.0f} s | {ratio:.2f} |\n"
            f"| second run, nothing to change | - | {median('ours', 'second'):.0f} s "
            f"| {median('ours', 'second') / median('ours', 'converge'):.2f} of the first |",
            f"\nMedians of {len(results['ours'])}, taken in turn in one run of `make bench SUITE=converge`.",
            END,
        ]
    )


def main(rounds: int) -> int:
    lab = Lab("multi_node")
    results: dict[str, list[dict[str, float]]] = {"guide": [], "ours": []}
    for _ in range(rounds):
        for name, side in (("guide", guide), ("ours", ours)):
            lab.__dict__.pop("airflow", None)
            lab.host.cache_clear()
            results[name].append(side(lab))
            print(name, {key: round(value, 1) for key, value in results[name][-1].items()}, flush=True)
    lab.molecule("destroy")
    ratio = statistics.median(r["dag_run"] for r in results["ours"]) / statistics.median(
        r["dag_run"] for r in results["guide"]
    )
    page = ROOT / "docs/benchmarks.md"
    text = page.read_text()
    before, rest = text.split(BEGIN)
    page.write_text(before + table(results, ratio) + rest.split(END)[1])
    print(json.dumps({"suite": "converge", "rounds": rounds, "results": results, "ratio": round(ratio, 3)}))
    return 0 if ratio <= 0.5 else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1))
