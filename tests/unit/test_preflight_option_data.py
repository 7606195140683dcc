# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of Airflow and of the servers are those of their versions."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight import option_data
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    find_problems,
)
from inputs_data import CHECKOUT, HOST, LOCK, cluster_with


def test_options_of_a_version_without_data_are_left_to_the_hosts() -> None:
    cluster = cluster_with(airflow_config={"core": {"new_option": 1, "executor": "LocalExecutor"}})
    cluster["hosts"][HOST]["release"]["wanted"] = "3.4.0"
    (found,) = find_problems(cluster)
    assert "[core] executor = LocalExecutor" in found


def test_a_lock_file_of_the_users_may_bring_sections(tmp_path: Path) -> None:
    lock = tmp_path / "airflow.txt"
    lock.write_text(LOCK.read_text(encoding="utf-8").replace("providers-celery==", "providers-celery==99."))
    config = {
        "my_plugin": {"x": 1},
        "celery": {"option_of_a_newer_provider": 1},
        "core": {"parallelism": 3},
    }
    cluster = cluster_with(airflow_config=config)
    cluster["hosts"][HOST]["release"]["lock_file"] = str(lock)
    assert find_problems(cluster) == []
    cluster = cluster_with(airflow_config={**config, "core": {"paralelism": 3}, "schedule": {"x": 1}})
    cluster["hosts"][HOST]["release"]["lock_file"] = str(lock)
    assert [text.split(",")[0] for text in find_problems(cluster)] == [
        "airflow_config has [core] paralelism",
        "airflow_config has [schedule] x",
    ]


@pytest.mark.parametrize("version", ["3.3.1", "3.3.2"])
def test_every_lock_file_of_the_collection_has_its_options(version: str) -> None:
    data = option_data.load("airflow", version)
    assert data
    locks = CHECKOUT / "roles/airflow_common/files/locks"
    for file in locks.glob(f"airflow-{version}*.txt"):
        pins = option_data.pinned(str(file))
        assert pins["apache-airflow-core"] == version
        for name, pinned in pins.items():
            if name.startswith("apache-airflow-providers-"):
                assert data["providers"][name] == pinned


def test_what_the_collection_sets_is_known_to_its_servers() -> None:
    text = (CHECKOUT / "roles/redis_cluster/vars/main.yml").read_text(encoding="utf-8")
    ours = yaml.safe_load(text)
    for names in (ours["__redis_cluster_config"], ours["__redis_cluster_fixed"]):
        for kind in ("redis", "valkey"):
            for version in option_data.versions(kind):
                assert {*names} <= {*option_data.load(kind, version)["directives"]}, (kind, version)
    text = (CHECKOUT / "roles/postgres_metastore/vars/main/main.yml").read_text(encoding="utf-8")
    for version in option_data.versions("postgresql"):
        known = {*option_data.load("postgresql", version)["settings"]}
        assert {*yaml.safe_load(text)["__postgres_metastore_config"]} <= known


@pytest.mark.parametrize(("system", "directive", "fits"), [
    ("12", "io-threads-do-reads", True),
    ("13", "io-threads-do-reads", False),
    ("13", "locale-collate", True),
    ("12", "locale-collate", False),
    ("99", "locale-collate", True),
])  # fmt: skip
def test_directives_are_those_of_the_very_server(system: str, directive: str, fits: bool) -> None:
    cluster = cluster_with(redis_cluster_config={directive: "no"})
    cluster["hosts"][HOST]["probe"]["os"]["version"] = system
    problems = [text for text in find_problems(cluster) if "redis_cluster_config" in text]
    assert (problems == []) is fits, problems


# --- Calendars, as systemd itself reads them
