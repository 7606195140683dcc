# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every input is judged by what it means: wrong values are refused by name, unusual right ones are not."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.airflowops.cluster.plugins.filter import preflight as adapter
from ansible_collections.airflowops.cluster.plugins.plugin_utils import (
    dag_bundles,
    object_store,
    secrets_backends,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight import option_data
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.calendars import calendar_problem
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.checks import (
    JUDGED_BY_MEANING,
    find_problems,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.inputs import (
    BELOW,
    INPUTS,
    Elsewhere,
    Free,
)
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.secrets import SECRETS
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.templates import NotEvaluated
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.variables import unknown_variables
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_preflight import ANYTHING, Cluster, single_node

CHECKOUT = Path(__file__).parents[2]
SPECS = adapter.known_variables()
HOST = "one"
LOCK = CHECKOUT / "roles/airflow_common/files/locks/airflow-3.3.2.txt"


def load(name: str) -> Any:
    return yaml.safe_load((CHECKOUT / "tests/inputs" / name).read_text(encoding="utf-8"))


ALERTS = re.findall(
    r"alert: (\w+)", (CHECKOUT / "roles/observability/files/alerts.yml").read_text(encoding="utf-8")
)
CASES = load("cases.yml")
WRONG = [(name, value) for name, values in load("wrong.yml").items() for value in values]
RIGHT = [(name, value) for name, values in load("right.yml").items() for value in values]


def as_id(value: Any) -> str:
    return re.sub(r"[^ -~]", "?", str(value))[:60]


def cluster_with(**given: Any) -> Cluster:
    """A healthy single node whose inventory gives these variables, described as the role describes it."""
    cluster = single_node()
    cluster["known_variables"] = SPECS
    entry = cluster["hosts"][HOST]
    entry["release"]["lock_file"] = str(LOCK)
    entry["given"] = given
    entry["values"].update({name: value for name, value in given.items() if name in JUDGED_BY_MEANING})
    for name in ("nginx_lb_floating_address", "airflow_broker_transport_options"):
        entry["values"].update({name: given[name]} if name in given else {})
    entry["unknown_variables"] = unknown_variables(given, SPECS)
    entry["secrets"].update(
        {name: adapter.secret_problem(value, name) for name, value in given.items() if name in SECRETS}
    )
    entry["broker"] = adapter.broker_facts(given.get("airflow_broker_url", ""))
    if given.get("airflow_broker_url"):
        cluster["roles"]["redis_cluster"]["hosts"] = []
        cluster["inventory_groups"]["redis_cluster"] = []
    entry["front"] = {
        **adapter.front_facts(
            given.get("airflow_base_url", ""),
            given.get("nginx_lb_certificate", ""),
            given.get("nginx_lb_private_key", ""),
        ),
        "names": [],
        "unresolved": [],
        "probe": None,
    }
    entry["bundles"] = dag_bundles.bundle_problems(given.get("airflow_dag_bundles", []))
    entry["remote_logs"] = object_store.remote_log_problems(given.get("airflow_remote_logs", {}))
    entry["secrets_backend"] = secrets_backends.backend_problems(given.get("airflow_secrets_backend", {}))
    entry["figures"] = {"ports": {}, "problems": observability_problems(given)}
    return cluster


def observability_problems(given: dict[str, Any]) -> list[str]:
    from ansible_collections.airflowops.cluster.plugins.plugin_utils import observability

    defaults = {"observability_listen": "127.0.0.1", "observability_alertmanager_config": None}
    inputs = ("allow", "alert_for", "alerts_off", "listen", "web_config", "alertmanager_config")
    empty: dict[str, Any] = {"allow": [], "alert_for": {}, "alerts_off": [], "web_config": {}}
    values = {
        f"observability_{name}": given.get(
            f"observability_{name}", defaults.get(f"observability_{name}", empty.get(name))
        )
        for name in inputs
    }
    return observability.input_problems(values, ALERTS)


# --- The table is whole


def test_every_input_has_a_line() -> None:
    assert {*SPECS} == {*INPUTS}


def test_every_input_has_a_wrong_value_or_the_reason_why_there_is_none() -> None:
    wrong = {name for name, _ in WRONG} | {name for case in CASES for name in case["vars"]}
    secrets = {name for name in INPUTS if name in SECRETS}
    free = {name for name, line in INPUTS.items() if isinstance(line, Free)}
    assert {*INPUTS} - wrong - secrets == free
    assert all(line.reason for line in INPUTS.values() if isinstance(line, Free))


def test_what_judges_an_input_elsewhere_is_there() -> None:
    package = "ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight"
    for line in INPUTS.values():
        if isinstance(line, Elsewhere):
            module, _, function = line.where.partition(".")
            assert hasattr(__import__(f"{package}.{module}", fromlist=[function]), function), line


def test_what_is_free_is_a_truth_value_or_a_choice() -> None:
    for name, line in INPUTS.items():
        if isinstance(line, Free) and name != "packages_of":
            assert SPECS[name]["type"] == "bool" or SPECS[name].get("choices"), name


def test_limits_that_are_compared_are_inputs() -> None:
    assert {*BELOW, *BELOW.values()} <= {*INPUTS}


# --- Wrong values


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_case_that_was_once_accepted_is_refused(case: dict[str, Any]) -> None:
    given = dict(case["vars"])
    for name, value in given.items():
        if isinstance(value, str) and "{{" in value:
            given[name] = NotEvaluated(f"'{re.findall('[a-z_]+', value)[0]}' is undefined", value)
    found = find_problems(cluster_with(**given))
    assert len(found) == 1, found
    assert case["names"] in found[0]
    assert HOST in found[0]
    assert ": " in found[0]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=as_id)
def test_a_wrong_value_is_refused_in_one_sentence_that_names_the_input(name: str, value: Any) -> None:
    found = find_problems(cluster_with(**{name: value}))
    named = [sentence for sentence in found if name in sentence]
    assert len(named) == 1, found
    assert re.search(r": \S", named[0]), named


@pytest.mark.parametrize("name", sorted({*SECRETS}))
def test_no_secret_holds_a_line_break_and_none_is_shown(name: str) -> None:
    value = "Kq81z-abc\nPlm7-defghijklmnopq-Wx92-Rt45-Yu"
    found = find_problems(cluster_with(**{name: value}))
    assert [sentence for sentence in found if sentence.startswith(name)], found
    assert not any("Kq81z" in sentence or "Plm7" in sentence for sentence in found)


@pytest.mark.parametrize("name", sorted(name for name, option in SPECS.items() if option.get("no_log")))
def test_no_sentence_shows_what_must_not_be_logged(name: str) -> None:
    entry = {"password": "Plm7\n", "port": 99999, "conn_type": "x"}
    kinds: dict[str, Any] = {"str": "Kq81z\nPlm7", "dict": {"Kq81z-name": entry}}
    value = kinds[SPECS[name]["type"]]
    assert not any("Plm7" in sentence for sentence in find_problems(cluster_with(**{name: value})))


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(sorted(INPUTS)), ANYTHING, max_size=4))
def test_no_value_of_an_input_makes_the_check_itself_fail(given: dict[str, Any]) -> None:
    cluster = single_node()
    cluster["known_variables"] = SPECS
    cluster["hosts"][HOST]["given"] = given
    assert all(isinstance(problem, str) for problem in find_problems(cluster))


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("airflow_pools", ["name", "slots", "include_deferred"]),
        ("airflow_users", ["username", "password", "email", "roles", "first_name"]),
        (
            "postgres_metastore_backup_s3",
            ["bucket", "endpoint", "region", "key", "key_secret", "uri_style", "path"],
        ),
    ],
)
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_entry_makes_the_check_itself_fail(name: str, fields: list[str], data: st.DataObject) -> None:
    entry = st.fixed_dictionaries({}, optional={field: ANYTHING for field in fields})
    value = data.draw(entry if SPECS[name]["type"] == "dict" else st.lists(entry, max_size=2))
    check = INPUTS[name]
    assert callable(check)
    assert isinstance(check(value), str)


# --- Right values


@pytest.mark.parametrize(("name", "value"), RIGHT, ids=as_id)
def test_an_unusual_value_is_accepted(name: str, value: Any) -> None:
    given = {name: value}
    if name == "health_certificate_warn_days":
        given["health_certificate_days"] = 1
    assert find_problems(cluster_with(**given)) == []


@pytest.mark.parametrize("name", sorted(SPECS))
def test_a_default_is_accepted(name: str) -> None:
    default = SPECS[name].get("default")
    # Those of a cluster of several hosts.
    if name in ("redis_cluster_ports", "redis_cluster_replicas_per_master"):
        return
    if default is not None and "{{" not in str(default):
        assert find_problems(cluster_with(**{name: default})) == []


def test_shipped_inventories_and_examples_are_accepted() -> None:
    for file in sorted(CHECKOUT.glob("inventories/*/group_vars/all/main.yml")):
        given = yaml.safe_load(file.read_text(encoding="utf-8"))
        # They speak of more hosts than one, which other tests do.
        of_several = ("airflow_required_queues", "redis_cluster_ports", "redis_cluster_replicas_per_master")
        given = {name: value for name, value in given.items() if name not in of_several}
        assert find_problems(cluster_with(**given)) == []


# --- Versions and lock files


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

CALENDARS = [value for name, value in WRONG + RIGHT if "calendar" in name and value]
CALENDARS += [
    *(
        "Mon..Fri",
        "Mon,Wed",
        "Mon-Fri 10:00",
        "Fri..Mon 10:00",
        "*-02~03 10:00",
        "*-*-*~1",
        "*-*-*/2",
        "*:*/5",
    ),
    *(
        "*:*",
        "*:*:0/15.5",
        "@1700000000",
        "26-1-1 1:1",
        "01-01",
        "2026-13-01",
        "24:00",
        "5..3:00",
        "daily UTC",
    ),
    *("daily weekly", "Mars/Base", "12:00 Mars/Base", "12:00 Europe/Berlin", "Sun, 10:00", "monthly 10:00"),
    *("*-*-01..07 10:00", "Mon..", ":30", "nightly", "quarterly", "23:59:59.999", "*:0/0", "10", "1:2:3:4"),
]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
@pytest.mark.parametrize("expression", CALENDARS)
def test_a_calendar_is_judged_as_systemd_does(expression: str) -> None:
    run = subprocess.run(["systemd-analyze", "calendar", expression], capture_output=True, check=False)
    assert (calendar_problem(expression) == "") == (run.returncode == 0)


# --- Values that cannot be evaluated


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("airflow_dags_path", NotEvaluated("'nope' is undefined"), "refers to nope, which is undefined"),
        ("airflow_variables", {"q": NotEvaluated("'ds' is undefined")}, "!unsafe"),
        ("airflow_config", {"logging": {"log_format": NotEvaluated("'ti' is undefined")}}, "!unsafe"),
        ("airflow_base_url", NotEvaluated("syntax error: x", "{{ foo"), "no valid template"),
        (
            "airflow_lock_file",
            NotEvaluated("object of type 'dict' has no attribute 'lock'", "{{ site.lock }}"),
            "refers to lock, which its dictionary lacks",
        ),
        ("airflow_lock_file", NotEvaluated("'airflow_version' is undefined"), ""),
        ("airflow_dags_path", NotEvaluated("'ansible_facts' is undefined"), ""),
        ("airflow_dags_path", NotEvaluated("'__topology_hosts' is undefined"), ""),
        (
            "cluster_package_environment",
            {"A": NotEvaluated("object of type 'dict' has no attribute 'x'", "{{ ansible_facts.x }}")},
            "",
        ),
    ],
)  # fmt: skip
def test_a_template_that_cannot_be_evaluated(name: str, value: Any, says: str) -> None:
    found = find_problems(cluster_with(**{name: value}))
    assert len(found) == bool(says), found
    assert says in "".join(found)


# --- Names of variables


@pytest.mark.parametrize(
    "name",
    [
        *(
            "ngnix_lb_http_port",
            "nginxlb_http_port",
            "aiflow_version",
            "airlfow_version",
            "postgress_metastore_port",
        ),
        *(
            "redis_cluser_ports",
            "rediscluster_ports",
            "postgres_metastor_config",
            "service_endpoint_broker_port",
        ),
        *(
            "flwer_user",
            "observabilty_allow",
            "firewal_backend",
            "prefligth_min_disk_mib",
            "helth_disk_percent",
        ),
        *("clster_address", "certificate_days", "log_since", "packags_state", "ectd_client_port"),
    ],
)
def test_a_misspelt_prefix_is_noticed(name: str) -> None:
    assert unknown_variables([name], SPECS) == [name]


@pytest.mark.parametrize(
    "name",
    [
        *(
            "ansible_user",
            "inventory_hostname",
            "lab_name",
            "site_name",
            "http_port",
            "vault_flower_password",
        ),
        *(
            "nginx_version",
            "nginx_port",
            "redis_version",
            "redis_port",
            "postgres_version",
            "db_password",
            "flow_id",
        ),
        *(
            "admin_user",
            "packages",
            "log_level",
            "certificate_path",
            "environment_name",
            "groups",
            "playbook_dir",
        ),
        *(
            "prometheus_port",
            "nginx_user",
            "redis_password",
            "postgres_password",
            "backup_host",
            "worker_count",
        ),
        *("__airflow_version_change", "_airflow_x", "worker_drain_timeout", "health_check", "version"),
    ],
)
def test_names_of_the_users_own_are_left_alone(name: str) -> None:
    assert unknown_variables([name], SPECS) == []


# --- What several inputs say together


def with_metastore(revision: str, in_use: str = "", change: str = "") -> list[str]:
    cluster = cluster_with()
    cluster["roles"]["postgres_metastore"]["hosts"] = []
    server = {"problem": "", "server": "db:5432", "server_version": "15.4", "read_only": False}
    cluster["hosts"][HOST]["database"] = {"airflow_database_url": {**server, "revision": revision}}
    cluster["hosts"][HOST]["release"].update(in_use=in_use, change=change)
    return find_problems(cluster)


@pytest.mark.parametrize(
    ("revision", "says"),
    [
        ("0123456789ab", "a version that Airflow 3.3.2 does not know (revision 0123456789ab)"),
        ("5f2621c13b39", "Airflow 2.10.3 or a version near it"),
        ("29ce7909c52b", "Airflow 3.0.0 or a version near it"),
    ],
)
def test_a_new_installation_leaves_the_metastore_of_another_one_alone(revision: str, says: str) -> None:
    (found,) = with_metastore(revision)
    assert found.startswith("airflow_database_url on one leads to a database with the tables of " + says)
    # The collection's own: a run after an interrupted upgrade, and the playbooks that change the version.
    assert with_metastore(revision, in_use="3.3.2") == []
    assert with_metastore(revision, change="upgrade") == []


def test_an_empty_database_and_one_of_the_same_version_are_accepted() -> None:
    assert with_metastore("") == []
    assert with_metastore(option_data.load("airflow", "3.3.2")["revision"]) == []


def test_a_host_whose_name_is_too_long_for_a_certificate() -> None:
    name = "a-host-of-a-cloud." + "x" * 50
    cluster = cluster_with()
    cluster["hosts"] = {name: cluster["hosts"][HOST]}
    for entry in cluster["roles"].values():
        entry["hosts"] = [name]
    cluster["fingerprints"] = {}
    cluster["inventory_groups"] = {}
    found = [text for text in find_problems(cluster) if "common name" in text]
    assert len(found) == 1
    assert name in found[0]


def test_sqs_needs_its_packages_and_no_flower() -> None:
    cluster = cluster_with(airflow_broker_url="sqs://")
    cluster["hosts"][HOST]["release"]["packages"] = ["apache-airflow-core"]
    found = [text for text in find_problems(cluster) if "sqs" in text]
    assert ["boto3 and urllib3" in text or "Flower" in text for text in found] == [True, True], found
    cluster["hosts"][HOST]["release"]["packages"] += ["boto3", "urllib3"]
    cluster["roles"]["flower"]["hosts"] = []
    assert not [text for text in find_problems(cluster) if "sqs" in text]


@pytest.mark.parametrize("name", ["café/x", "x" * 81])
def test_a_queue_that_sqs_does_not_take(name: str) -> None:
    workers = [{"name": "a", "queues": [name], "concurrency": 1}]
    assert not [text for text in find_problems(cluster_with(airflow_workers=workers)) if "SQS" in text]
    cluster = cluster_with(airflow_workers=workers, airflow_broker_url="sqs://")
    assert [text for text in find_problems(cluster) if "Amazon SQS takes" in text]
