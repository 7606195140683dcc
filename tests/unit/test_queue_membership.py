# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ast
import json
import os
import stat
import sys

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.celery import inspect as qm

WORKERS = {"a@w1": ["q1"], "a@w2.example.com": ["q1", "q2"], "b@w2.example.com": ["q3"]}


def test_the_workers_of_a_host_and_what_nobody_else_serves() -> None:
    workers = {"a@w1.example.org": ["q1", "q2"], "b@w1.example.org": ["q1"], "a@w2": ["q1"], "a@w10": ["q3"]}
    assert qm.drain_plan(workers, ["w1"]) == (
        {"a@w1.example.org": ["q1", "q2"], "b@w1.example.org": ["q1"]},
        ["q2"],
    )
    assert qm.drain_plan(workers, ["w1", "w2"])[1] == ["q1", "q2"]
    assert qm.drain_plan(workers, ["w3"]) == ({}, [])


def test_by_queue_turns_the_table_around_and_keeps_unserved_queues():
    assert qm.by_queue(WORKERS, ["q9"]) == {
        "q1": ["a@w1", "a@w2.example.com"],
        "q2": ["a@w2.example.com"],
        "q3": ["b@w2.example.com"],
        "q9": [],
    }


def test_demand_takes_numbers_that_a_template_made_into_text():
    assert qm.parse_demand({"q1": "2", "q2": 0}) == {"q1": 2, "q2": 0}


@pytest.mark.parametrize("least", [-1, "-1", "many", None, True, 1.5, [1]])
def test_demand_refuses_what_is_no_number_of_workers(least):
    with pytest.raises(qm.QueueMembershipError, match="'q1'"):
        qm.parse_demand({"q1": least})


@pytest.mark.parametrize("hosts", ["w1", None, 3])
def test_expected_must_be_lists(hosts):
    with pytest.raises(qm.QueueMembershipError, match="'q1' must be a list"):
        qm.parse_expected({"q1": hosts})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("w1", "w1", True),
        ("W1", "w1.example.com", True),
        ("w1.example.com.", "w1.example.com", True),
        ("w1.example.com", "w1.example.org", False),
        ("w1", "w11", False),
        ("10.0.0.1", "10.0.0.2", False),
    ],
)
def test_same_host(one, other, same):
    assert qm.same_host(one, other) is same
    assert qm.same_host(other, one) is same


def test_nothing_is_missing_when_the_demand_is_met():
    assert qm.find_missing({"q1": 2, "q2": 1, "q9": 0}, WORKERS, {}) == {}


def test_missing_names_the_hosts_that_do_not_serve_the_queue():
    missing = qm.find_missing({"q1": 2, "q2": 2}, WORKERS, {"q2": ["w2", "w3"]})
    assert missing == {
        "q2": {"required": 2, "found": 1, "expected_hosts": ["w2", "w3"], "absent_hosts": ["w3"]}
    }


def test_the_message_tells_silent_hosts_from_those_that_serve_something_else():
    missing = qm.find_missing({"q2": 3}, WORKERS, {"q2": ["w1", "w2", "w3"]})
    message = qm.describe_missing(missing, WORKERS)
    assert message == (
        "Queue q2 is 2 short: 1 of 3 workers serve it; expected on w1, w2, w3; "
        "w1 answered, but serves q1 instead; w3 did not answer. "
        "On w3: systemctl status 'airflow-worker@*' ; journalctl -u 'airflow-worker@*' -n 50"
    )


def test_the_message_tells_when_the_inventory_asks_for_too_few():
    missing = qm.find_missing({"q2": 2}, WORKERS, {"q2": ["w2"]})
    assert "the inventory gives this queue to too few workers" in qm.describe_missing(missing, WORKERS)


def test_the_message_names_every_short_queue_and_the_usual_reasons_of_silence():
    missing = qm.find_missing({"q1": 1, "q2": 2}, {}, {"q1": ["w1"]})
    message = qm.describe_missing(missing, {})
    assert "Queue q1 is 1 short" in message
    assert (
        "queue q2 is 2 short: 0 of 2 workers serve it; no host of the inventory was named for it" in message
    )
    assert "global_keyprefix" in message


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("redis://:secret@h:7000/0", "h:7000"),
        ("redis://h", "h:6379"),
        ("rediss://u:secret@[::1]:1/0?ssl_cert_reqs=none", "[::1]:1"),
        ("redis://h1:1;redis://:secret@h2:2", "h1:1, h2:2"),
        ("other://h", "h"),
    ],
)
def test_broker_address_is_all_that_messages_tell_of_the_url(url, address):
    assert qm.broker_address(url) == address


@pytest.mark.parametrize(
    "url", ["", "h:6379", "redis://:pa/ss@h:1/0", "redis://:1/2@h:1", "redis://:p#s@h", "redis://[x"]
)
def test_a_url_that_is_cut_in_the_wrong_place_is_refused_without_being_quoted(url):
    with pytest.raises(qm.QueueMembershipError, match="percent-encoded") as error:
        qm.broker_address(url)
    assert "pa/ss" not in str(error.value)


@pytest.mark.parametrize("spelling", ["p%40s%22%2Fx", 'p@s"/x', r"p@s\"/x"])
def test_scrub_removes_each_spelling_of_the_password(spelling):
    text = qm.scrub(f"cannot use redis://:{spelling}@h:1 or {spelling}", "redis://:p%40s%22%2Fx@h:1")
    assert spelling not in text
    assert "********" in text


def test_the_probe_is_python_3_8():
    ast.parse(qm.PROBE, feature_version=(3, 8))


def interpreter(tmp_path, code):
    """Stands in for celery_python: keeps what it was started with, then runs some code."""
    path = tmp_path / "python"
    path.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        f"seen = [sys.argv, dict(os.environ), sys.stdin.read()]\n"
        f"open({str(tmp_path / 'seen')!r}, 'w').write(json.dumps(seen))\n{code}\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


URL = "redis://user:s3cr%2Ft@h:1/0"


def test_settings_go_through_standard_input_only(tmp_path, monkeypatch):
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://elsewhere")
    answer = {"kind": "ok", "workers": {"a@w1": ["q1"]}, "twice": ["a@w1"]}
    python = interpreter(tmp_path, f"print(json.dumps({answer!r}))")
    result = qm.ask_celery(python, URL, {"global_keyprefix": "{x}:", "socket_timeout": 9}, {"q1": 1}, 3.0)
    assert result == qm.Answer({"a@w1": ["q1"]}, ["a@w1"])
    argv, environment, stdin = json.loads((tmp_path / "seen").read_text())
    assert not any("s3cr" in text for text in argv)
    assert "CELERY_BROKER_URL" not in environment
    assert set(environment) <= {"HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "TZ"}
    assert json.loads(stdin) == {
        "broker_url": URL,
        "transport_options": {
            "global_keyprefix": "{x}:",
            "polling_interval": 0.1,
            "socket_connect_timeout": 5,
            "socket_timeout": 9,
        },
        "demand": {"q1": 1},
        "timeout": 3.0,
    }


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("broker", "the broker h:1 cannot be used: no s"),
        ("refused", "refuses the user or the password"),
        ("settings", "cannot use broker_url or broker_transport_options"),
        ("celery", "celery_python: no"),
    ],
)
def test_what_the_probe_reports_becomes_one_error_without_the_password(tmp_path, kind, text):
    answer = {"kind": kind, "error": "no s3cr/t s3cr%2Ft"}
    with pytest.raises(qm.QueueMembershipError) as error:
        qm.ask_celery(interpreter(tmp_path, f"print(json.dumps({answer!r}))"), URL, {}, {}, 1.0)
    assert text.removesuffix(" s") in str(error.value)
    assert "s3cr" not in str(error.value)


def test_a_cluster_node_without_the_slot_is_explained(tmp_path):
    answer = {"kind": "broker", "error": "MovedError: MOVED 1 h:2"}
    with pytest.raises(qm.QueueMembershipError, match="HAProxy"):
        qm.ask_celery(interpreter(tmp_path, f"print(json.dumps({answer!r}))"), URL, {}, {}, 1.0)


def test_a_probe_that_crashes_is_told_by_its_last_line_without_the_password(tmp_path):
    python = interpreter(tmp_path, "sys.exit('boom s3cr/t')")
    with pytest.raises(qm.QueueMembershipError, match=r"ended with 1 and without an answer: boom \*+$"):
        qm.ask_celery(python, URL, {}, {}, 1.0)


def test_a_probe_that_hangs_is_killed(tmp_path, monkeypatch):
    monkeypatch.setattr(qm, "START_GRACE", 0.5)
    python = interpreter(
        tmp_path, f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\nimport time; time.sleep(60)"
    )
    with pytest.raises(qm.QueueMembershipError, match="did not finish"):
        qm.ask_celery(python, URL, {}, {}, 0.5)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_an_interpreter_that_is_not_there(tmp_path):
    with pytest.raises(qm.QueueMembershipError, match="No such file"):
        qm.ask_celery(str(tmp_path / "none"), URL, {}, {}, 1.0)


def test_an_interpreter_without_celery():
    # The interpreter of the tests has none.
    with pytest.raises(qm.QueueMembershipError, match="has no usable Celery"):
        qm.ask_celery(sys.executable, URL, {}, {}, 1.0)
