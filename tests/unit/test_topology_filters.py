# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inventory as the roles see it, and texts quoted so that their readers get back what was put in."""

from __future__ import annotations

import base64
import json
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.airflowops.cluster.plugins.filter import topology
from ansible_collections.airflowops.cluster.plugins.plugin_utils.roles.airflow_services import service_units
from ansible_collections.airflowops.cluster.plugins.plugin_utils.shared_inputs import shared_defaults
from hypothesis import given
from hypothesis import strategies as st

FILTERS = Path(topology.__file__).parent
HOSTVARS: dict[str, dict[str, Any]] = {
    "a": {
        "cluster_address": "192.0.2.1",
        "ansible_host": "203.0.113.1",
        "redis_cluster_ports": ["7000", 7001],
    },
    "b": {"ansible_host": "192.0.2.2", "airflow_workers": [{"queues": ["q1", "q2"]}, {"queues": ["q1"]}]},
    "c": {"cluster_address": ""},
}
PASSWORDS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc", "Cs"]))


# --- Hosts


def test_a_host_is_reached_by_its_cluster_address_or_as_ansible_does_or_by_its_name() -> None:
    assert topology.host_addresses(["c", "a", "b"], HOSTVARS) == {
        "c": "c",
        "a": "192.0.2.1",
        "b": "192.0.2.2",
    }


def test_addresses_are_those_of_the_hosts_asked_for() -> None:
    assert topology.host_addresses(["b"], HOSTVARS) == {"b": "192.0.2.2"}


def test_redis_nodes_are_listed_host_by_host_with_ports_of_their_own_or_the_default() -> None:
    assert topology.redis_nodes(["b", "a"], HOSTVARS, [7002]) == [
        {"host": "192.0.2.2", "port": 7002},
        {"host": "192.0.2.1", "port": 7000},
        {"host": "192.0.2.1", "port": 7001},
    ]


def test_a_host_counts_for_a_queue_once_for_each_worker() -> None:
    assert topology.queue_hosts(["b", "a"], HOSTVARS, [{"queues": ["q2"]}]) == {
        "q1": ["b", "b"],
        "q2": ["b", "a"],
    }


def test_what_one_host_was_given_says_nothing_of_the_others() -> None:
    ports = [7000, 7001]
    given = {"redis_cluster_ports": [7000, 7001, 7002]}
    assert topology.values_of_others(given, HOSTVARS["a"]) == {"redis_cluster_ports": ports}
    given = {"airflow_workers": HOSTVARS["b"]["airflow_workers"]}
    assert topology.values_of_others(given, HOSTVARS["b"]) == {
        "airflow_workers": [{"name": "default", "queues": ["default"], "concurrency": 8}]
    }


def test_what_no_host_was_given_is_of_the_play_and_counts_for_all() -> None:
    given = {"redis_cluster_ports": [7100]}
    assert topology.values_of_others(given, HOSTVARS["b"]) == given


def test_all_values_of_others_have_a_default_that_needs_no_host() -> None:
    """Ports and workers in the role's defaults; a template among them would be handed on as it stands."""
    variables = yaml.safe_load((FILTERS.parents[1] / "roles/topology/vars/main.yml").read_text())
    names = re.findall(r"'(\w+)': \1", variables["__topology_of_others"])
    assert len(names) == 10
    for name in names:
        assert "{{" not in json.dumps(shared_defaults()[name]), name


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7"])
def test_an_address_is_its_own_address(address: str) -> None:
    assert topology.ip_address(address) == address


def test_a_name_is_resolved_on_the_controller() -> None:
    assert topology.ip_address("localhost") in ("127.0.0.1", "::1")


def test_a_name_that_does_not_resolve_is_told_with_the_mend() -> None:
    # RFC 6761: this one resolves nowhere.
    with pytest.raises(
        AnsibleFilterError, match=r"^redis1\.invalid does not resolve .*set cluster_address of that host"
    ):
        topology.ip_address("redis1.invalid")


# --- Quoting


@given(PASSWORDS)
def test_redis_reads_back_what_was_quoted(value: str) -> None:
    quoted = topology.redis_quote(value)
    # As Redis reads it: within double quotes a backslash stands before what is meant literally.
    assert re.fullmatch(r'"(?:[^"\\]|\\.)*"', quoted)
    assert re.sub(r"\\(.)", r"\1", quoted[1:-1]) == value


@pytest.mark.parametrize(
    ("value", "quoted"),
    [("plain", '"plain"'), ('a"b', '"a\\"b"'), ("a\\nb", '"a\\\\nb"'), ("#;' ", '"#;\' "')],
)
def test_redis_quotes(value: str, quoted: str) -> None:
    assert topology.redis_quote(value) == quoted


@given(st.lists(st.text(max_size=20), min_size=1, max_size=4))
def test_a_redis_command_carries_its_arguments_whatever_is_in_them(arguments: list[str]) -> None:
    wire = bytes.fromhex(topology.redis_command(arguments))
    count, rest = wire.split(b"\r\n", 1)
    assert count == b"*%d" % len(arguments)
    read = []
    while rest:
        size, rest = rest.split(b"\r\n", 1)
        assert size[:1] == b"$"
        length = int(size[1:])
        assert rest[length : length + 2] == b"\r\n"
        read.append(rest[:length].decode())
        rest = rest[length + 2 :]
    assert read == arguments


def test_a_redis_command_on_the_wire() -> None:
    assert (
        bytes.fromhex(topology.redis_command(["AUTH", "pä$s"]))
        == "*2\r\n$4\r\nAUTH\r\n$5\r\npä$s\r\n".encode()
    )


@given(PASSWORDS)
def test_systemd_reads_back_what_was_quoted(value: str) -> None:
    # In double quotes, systemd's EnvironmentFile= knows the escapes of a POSIX shell.
    quoted = topology.systemd_quote(value)
    assert shlex.split(quoted.replace("\\$", "$").replace("\\`", "`")) == [value]
    assert not re.search(r"(?<!\\)(?:\\\\)*[$`]", quoted)


@pytest.mark.parametrize(
    ("value", "quoted"), [("a b", '"a b"'), ('\\"`$', '"\\\\\\"\\`\\$"'), (8793, '"8793"'), (True, '"True"')]
)
def test_systemd_quotes(value: Any, quoted: str) -> None:
    assert topology.systemd_quote(value) == quoted


@given(PASSWORDS.filter(bool))
def test_a_url_gives_back_the_password_that_was_quoted(value: str) -> None:
    url = urlsplit(f"redis://:{topology.url_quote(value)}@127.0.0.1:6379/0")
    assert (url.hostname, url.port, url.path) == ("127.0.0.1", 6379, "/0")
    assert unquote(url.password or "") == value


def test_a_slash_is_quoted_in_a_url() -> None:
    assert topology.url_quote("a/b@c:d%") == "a%2Fb%40c%3Ad%25"


def test_in_a_unit_a_percent_sign_is_doubled_and_a_dollar_sign_is_itself() -> None:
    assert topology.systemd_quote('A=50 % of $B "x" \\ `y`', unit=True) == '"A=50 %% of $B \\"x\\" \\\\ `y`"'


def test_service_units_read_the_common_files_and_their_own_credentials() -> None:
    services = [
        {"unit": "a.service", "credentials": ["KEY", "URL"], "command": "a"},
        {"unit": "b.service", "credentials": []},
    ]
    assert service_units(services, ["/etc/x"], "/etc/c") == [
        {"name": "a.service", "files": ["/etc/x", "/etc/c/KEY", "/etc/c/URL"]},
        {"name": "b.service", "files": ["/etc/x"]},
    ]


def test_units_share_their_files() -> None:
    assert topology.unit_list(["a.service", "b.service"], files=["/etc/x"]) == [
        {"name": "a.service", "files": ["/etc/x"], "restart_files": [], "reload_files": []},
        {"name": "b.service", "files": ["/etc/x"], "restart_files": [], "reload_files": []},
    ]


# --- Documentation


@pytest.mark.parametrize("name", sorted(topology.FilterModule().filters()))
def test_each_filter_is_documented_with_the_arguments_that_it_takes(name: str) -> None:
    function = topology.FilterModule().filters()[name]
    assert function.__name__ == name
    text = yaml.safe_load((FILTERS / f"{name}.yml").read_text(encoding="utf-8"))
    document = text["DOCUMENTATION"]
    arguments = list(function.__code__.co_varnames[: function.__code__.co_argcount])
    assert document["name"] == name
    assert list(document["options"]) == ["_input", *arguments[1:]]
    assert document["positional"] == ", ".join(document["options"])
    assert f"airflowops.cluster.{name}" in text["EXAMPLES"]


def test_an_environment_file_has_a_line_for_each_variable() -> None:
    assert topology.environment_file({"A": "x y", "B": 'say "$1"'}) == 'A="x y"\nB="say \\"\\$1\\""\n'
    assert topology.environment_file({}) == ""


def test_a_key_set_holds_the_secrets_to_the_byte() -> None:
    keys = json.loads(topology.jwks({"not-used": "a secret of 22 bytes…", "new": "x" * 64}))["keys"]
    assert [(key["kid"], key["kty"], key["alg"]) for key in keys] == [
        ("not-used", "oct", "HS512"),
        ("new", "oct", "HS512"),
    ]
    padded = keys[0]["k"] + "=" * (-len(keys[0]["k"]) % 4)
    assert base64.urlsafe_b64decode(padded).decode() == "a secret of 22 bytes…"
    assert "=" not in keys[0]["k"]
