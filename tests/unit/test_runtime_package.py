# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The runtime package without Airflow: its registry, its guard, and what preflight and health make of it."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.module_utils.airflow.patches import patches_not_on
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight import environment, release
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.problems import Problems

ROOT = Path(__file__).parents[2]
FILES = ROOT / "roles/airflow_common/files"
sys.path.insert(0, str(FILES))
from airflowops_runtime import apply as guard
from airflowops_runtime import registry
from airflowops_runtime.patch import Mismatch, Patch, Target, check_target, digest_of
from airflowops_runtime.registry import KINDS, PATCHES


def test_patches_and_their_kinds_can_be_switched_off_by_their_names() -> None:
    specs = yaml.safe_load(
        (ROOT / "roles/airflow_common/meta/argument_specs.yml").read_text(encoding="utf-8")
    )
    choices = specs["argument_specs"]["inputs"]["options"]["airflow_patches_off"]["choices"]
    assert {*choices} == {*KINDS, *PATCHES}


@pytest.mark.parametrize("patch", PATCHES.values(), ids=lambda patch: patch.name)
def test_an_entry_is_complete(patch: Patch) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", patch.name)
    assert patch.kind in KINDS
    assert {*patch.packages} <= {*registry.tested_versions()}
    assert patch.services
    assert patch.changes.endswith(".")
    assert patch.why.endswith(".")
    module, _, name = patch.install.partition(":")
    if module.startswith("airflowops_runtime."):
        text = (FILES / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert re.search(rf"^(def|class) {name}\b", text, re.MULTILINE)


def test_the_page_has_what_the_registry_says() -> None:
    subprocess.run([sys.executable, ROOT / "tests/tools/runtime_table.py", "--check"], check=True)


LOCKS = sorted((FILES / "locks").glob("airflow-*.txt"))


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_the_lock_files_of_the_collection_hold_tested_versions(path: Path) -> None:
    pinned = dict(
        re.findall(r"^([A-Za-z0-9._-]+)[^ =]* *== *([^\s;]+)", path.read_text(encoding="utf-8"), re.M)
    )
    for name, versions in registry.tested_versions().items():
        assert pinned.get(name, versions[0]) in versions


def test_each_tested_version_is_that_of_a_lock_file() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in LOCKS)
    for name, versions in registry.tested_versions().items():
        for version in versions:
            assert f"\n{name}=={version} " in f"\n{text}"


# --- The guard, with targets of its own


class Upstream:
    def method(self, one: int, two: int = 2, *rest: int, **named: int) -> Any:
        return self.field, one, two, rest, named  # type: ignore[attr-defined]


class Heir(Upstream):
    pass


HERE = f"{__name__}:Upstream.method"


@pytest.mark.parametrize(
    "target",
    [
        Target(HERE),
        Target(HERE, parameters="self, one, two=, *rest, **named"),
        Target(HERE, source=("0" * 16, digest_of(Upstream.method))),
        Target(HERE, uses=("field",)),
        Target(__name__, calls=(("class Heir(", 2),)),
    ],
)
def test_what_is_as_it_was_fits(target: Target) -> None:
    check_target(target)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (Target(f"{__name__}:Upstream.other"), "does not exist"),
        (Target(f"{__name__}:Heir.method"), "does not exist"),
        (
            Target(HERE, parameters="self, one"),
            r"takes \(self, one, two=, \*rest, \*\*named\), not \(self, one\)",
        ),
        (Target(HERE, source=("0" * 16,)), "has another source"),
        (Target(HERE, uses=("field", "gone")), "does not use gone"),
        (Target(__name__, calls=(("no such text ", 2),)), "1 times, not 2"),
    ],
)
def test_what_has_changed_does_not(target: Target, reason: str) -> None:
    with pytest.raises(Mismatch, match=reason):
        check_target(target)


def ends() -> None:
    raise RuntimeError("half-way")


def patch_of(**more: Any) -> Patch:
    entry = {"name": "x", "kind": "speed", "services": "a", "changes": "", "why": "", "packages": ("pytest",)}
    return Patch(**{**entry, "install": f"{__name__}:ends", **more})


@pytest.mark.parametrize(
    ("patch", "state"),
    [
        (patch_of(install="os:getpid"), "on"),
        (patch_of(), "skipped"),
        (patch_of(targets=(Target("no_such_module_of_anybody:x"),)), "skipped"),
        (patch_of(targets=(Target("no_such_module_of_anybody:x"),), packages=("no-such-package",)), "absent"),
        (patch_of(install="os:getpid", program="no-such-program"), "absent"),
    ],
)
def test_whatever_is_wrong_with_a_patch_is_no_error_of_the_service(
    patch: Patch, state: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(guard, "PATCHES", {"x": patch})
    monkeypatch.setattr(guard, "results", {})
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            guard.apply("x")
    assert guard.results["x"].state == state
    assert len(caplog.records) == (state == "skipped")


@pytest.mark.parametrize("named", ["x", "speed", "a, x", "a speed"])
def test_a_patch_is_off_by_its_name_and_by_its_kind(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "PATCHES", {"x": patch_of()})
    monkeypatch.setattr(guard, "results", {})
    monkeypatch.setenv("AIRFLOWOPS_PATCHES_OFF", named)
    assert not guard.is_on("x")
    assert guard.results["x"].state == "off"


def test_what_a_service_has_started_does_not_report(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("SYSTEMD_EXEC_PID", "1")
    guard.write_state()
    assert not guard.main_process()
    assert [*tmp_path.iterdir()] == []


# --- Preflight and health


def problems_of(versions: dict[str, str], allowed: bool = False) -> list[str]:
    problems = Problems(["w1"])
    release.check_tested({"lock_file": "my.txt", "versions": versions}, allowed, problems)
    return problems.sentences()


def test_a_lock_file_with_versions_that_were_not_tested_is_refused_unless_allowed() -> None:
    tested = {name: versions[-1] for name, versions in registry.tested_versions().items()}
    assert problems_of(tested) == problems_of({}) == []
    (problem,) = problems_of({**tested, "celery": "99.1", "kombu": "99.2"})
    assert "my.txt has versions" in problem
    assert "celery 99.1 (tested: " in problem
    assert "kombu 99.2" in problem
    assert "preflight_allow_untested_packages: true" in problem
    assert problems_of({"celery": "99.1"}, allowed=True) == []


def test_preflight_shows_which_patches_are_off_and_which_do_not_fit() -> None:
    skipped = {"airflow-scheduler.service": {"scheduler-wake": {"state": "skipped", "reason": "gone"}}}
    hosts = {
        "m1": {"values": {"airflow_patches_off": ["speed"]}, "probe": {"airflow_patches": skipped}},
        "m2": {"values": {"airflow_patches_off": []}, "probe": None},
    }
    off, wrong = release.patches_not_on(hosts)
    assert "switches off speed" in off
    assert "scheduler-wake in airflow-scheduler.service on m1 (gone)" in wrong
    assert release.patches_not_on({"m2": hosts["m2"]}) == []


def test_old_switches_are_refused_with_the_new_one() -> None:
    assert [*environment.faults({"AIRFLOWOPS_SPEED": "0"})] == [
        "sets AIRFLOWOPS_SPEED on {hosts}, which is not read any more: write airflow_patches_off: [speed]"
    ]


def test_what_services_run_without_is_read_from_where_they_write_it(tmp_path: Path) -> None:
    folder = tmp_path / "airflow-worker@q1"
    folder.mkdir()
    states = {"a": "on", "b": "off", "c": "skipped", "d": "absent"}
    written = {name: {"state": state, "reason": name} for name, state in states.items()}
    (folder / "patches.json").write_text(json.dumps(written))
    (tmp_path / "flower").mkdir()
    (tmp_path / "flower/patches.json").write_text("{")
    assert patches_not_on(str(tmp_path)) == {
        "airflow-worker@q1.service": {name: written[name] for name in ("b", "c")}
    }
    assert patches_not_on(str(tmp_path / "none")) == {}
