# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ours are reported from the user's in ufw and firewalld; a removal is kept by a new connection alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.firewall import rollback
from ansible_collections.airflowops.cluster.plugins.module_utils.firewall.firewalld import (
    Firewalld,
    listed,
    rich_rules,
    unsaved,
)
from ansible_collections.airflowops.cluster.plugins.module_utils.firewall.ufw import (
    Ufw,
    UfwMatch,
    UfwRule,
    ufw_rules,
    ufw_wanted,
    ufw_words,
)


def rule(source: str, *ports: str, why: str = "Redis", proto: str = "tcp") -> dict[str, Any]:
    family = 6 if ":" in source else 4
    return {"family": family, "source": source, "proto": proto, "ports": [*ports], "why": why}


REDIS = rule("192.0.2.1", "7000", "7001")
NGINX = [rule("0.0.0.0/0", "80", why="nginx"), rule("::/0", "80", why="nginx")]
VRRP = rule("192.0.2.2", proto="vrrp", why="the floating address")


def comment(text: str) -> str:
    return f"comment={text.encode().hex()}"


# --- ufw

USER_RULES = f"""\
*filter
### RULES ###

### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 in
-A ufw-user-input -p tcp --dport 22 -j ACCEPT

### tuple ### allow tcp 7000,7001 0.0.0.0/0 any 192.0.2.1 in {comment("airflowops: Redis")}
-A ufw-user-input -p tcp -m multiport --dports 7000,7001 -s 192.0.2.1 -j ACCEPT

### tuple ### allow tcp 80 0.0.0.0/0 any 0.0.0.0/0 in {comment("airflowops: nginx")}
-A ufw-user-input -p tcp --dport 80 -j ACCEPT

### tuple ### allow vrrp any 0.0.0.0/0 any 192.0.2.2 in {comment("airflowops: the floating address")}
-A ufw-user-input -p vrrp -s 192.0.2.2 -j ACCEPT

### tuple ### deny any 25 0.0.0.0/0 any 198.51.100.0/24 in_eth0
### tuple ### route:allow any any 0.0.0.0/0 any 10.0.0.0/8 in_eth0 {comment("airflowops: no")}
### tuple ### limit tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in
### tuple ### allow tcp 80 203.0.113.1 any 0.0.0.0/0 in {comment("airflowops: no")}
### END RULES ###
"""


def test_what_ufw_has_is_read_from_its_files() -> None:
    assert ufw_rules(USER_RULES, 4) == {
        UfwMatch(4, "tcp", "22", "0.0.0.0/0"): UfwRule("allow", ""),
        UfwMatch(4, "tcp", "7000,7001", "192.0.2.1"): UfwRule("allow", "airflowops: Redis"),
        UfwMatch(4, "tcp", "80", "0.0.0.0/0"): UfwRule("allow", "airflowops: nginx"),
        UfwMatch(4, "vrrp", "any", "192.0.2.2"): UfwRule("allow", "airflowops: the floating address"),
    }


def test_what_is_wanted_is_what_ufw_then_has() -> None:
    wanted = ufw_wanted([REDIS, *NGINX, VRRP])
    live = ufw_rules(USER_RULES, 4)
    assert {match: one for match, one in wanted.items() if match.family == 4} == {
        match: one for match, one in live.items() if one.ours
    }
    assert {match.family for match in ufw_wanted(NGINX, ipv6=False)} == {4}


def test_a_rule_is_written_as_arguments_of_ufw() -> None:
    (match,) = ufw_wanted([rule("2001:db8::/32", "60000-61000", proto="udp")])
    words = " ".join(ufw_words(match))
    assert words == "proto udp from 2001:db8::/32 to any port 60000:61000"
    (match,) = ufw_wanted([VRRP])
    assert " ".join(ufw_words(match)) == "proto vrrp from 192.0.2.2"


def test_more_ports_than_iptables_takes_are_two_rules_and_quotes_do_not_break_a_comment() -> None:
    ports = [str(port) for port in range(7000, 7016)]
    wanted = ufw_wanted([rule("192.0.2.1", *ports, why="the user's agent")])
    assert [len(match.ports.split(",")) for match in wanted] == [15, 1]
    assert {one.comment for one in wanted.values()} == {'airflowops: the user"s agent'}


class Module:
    """What the backends need of an AnsibleModule; notes the commands."""

    def __init__(
        self, answers: dict[str, str] | None = None, check_mode: bool = False, **params: Any
    ) -> None:
        self.params = {"rollback_timeout": 60, "keep": False, "rules": [], **params}
        self.check_mode = check_mode
        self.answers = answers or {}
        self.commands: list[str] = []
        self.warnings: list[str] = []

    def run_command(self, words: list[str]) -> tuple[int, str, str]:
        command = " ".join(words)
        self.commands.append(command)
        if command.startswith("systemctl is-active"):
            return (0 if "airflowops" in self.answers.get("active", "") else 3), "", ""
        return 0, self.answers.get(command, ""), ""

    def get_bin_path(self, name: str) -> str:
        return f"/usr/sbin/{name}"

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    @property
    def changes(self) -> list[str]:
        return [
            one for one in self.commands if not one.startswith("systemctl is-active") and "--list" not in one
        ]


@pytest.fixture
def ufw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("user.rules", "user6.rules"):
        (tmp_path / name).write_text(USER_RULES if name == "user.rules" else "")
    place = "ansible_collections.airflowops.cluster.plugins.module_utils.firewall"
    monkeypatch.setattr(f"{place}.ufw.UFW", tmp_path)
    monkeypatch.setattr(f"{place}.backend.FOLDER", tmp_path / "run")
    monkeypatch.setattr(f"{place}.backend.firewalls", lambda: ["ufw"])
    monkeypatch.setattr(rollback, "FOLDER", tmp_path / "run")
    return tmp_path


IPV4 = [REDIS, NGINX[0], VRRP]


@pytest.mark.usefixtures("ufw")
def test_nothing_is_done_where_all_is_there() -> None:
    module = Module(rules=IPV4)
    assert Ufw(module).set_rules() == {"changed": False, "trial": False}
    assert module.changes == []


def test_what_is_missing_is_added_and_what_is_known_no_more_goes_on_trial(ufw: Path) -> None:
    module = Module(rules=[*IPV4[1:], rule("192.0.2.3", "7000", "7001")])
    done = Ufw(module).set_rules()
    assert done["changed"]
    assert done["trial"]
    assert "+" not in done["diff"]["before"]
    assert "192.0.2.3" in done["diff"]["after"]
    assert "192.0.2.1" not in done["diff"]["after"]
    added, timer, removed = module.changes
    assert added == "ufw allow proto tcp from 192.0.2.3 to any port 7000,7001 comment airflowops: Redis"
    assert timer.startswith("systemd-run --unit=airflowops-firewall-rollback-ufw --collect --on-active=61")
    assert removed == "ufw delete allow proto tcp from 192.0.2.1 to any port 7000,7001"
    # A reboot would load what was there before.
    assert (ufw / "user.rules").read_text() == USER_RULES
    assert "exec ufw reload" in (ufw / "run/ufw/take-back").read_text()


@pytest.mark.usefixtures("ufw")
def test_rules_stay_until_what_hosts_held_is_taken_over() -> None:
    module = Module(rules=IPV4[1:], keep=True)
    assert not Ufw(module).set_rules()["changed"]


@pytest.mark.usefixtures("ufw")
def test_check_mode_tells_and_does_nothing() -> None:
    module = Module(rules=IPV4[1:], check_mode=True)
    done = Ufw(module).set_rules()
    assert done["changed"]
    assert not done["trial"]
    assert module.changes == []


def test_a_rule_of_the_users_stays_his(ufw: Path) -> None:
    users = USER_RULES.replace(comment("airflowops: Redis"), "").replace("allow vrrp", "deny vrrp")
    users = users.replace(comment("airflowops: the floating address"), comment("no"))
    (ufw / "user.rules").write_text(users)
    module = Module(rules=IPV4)
    assert not Ufw(module).set_rules()["changed"]
    assert module.warnings == [
        "The user's rule `ufw deny proto vrrp from 192.0.2.2` stays, "
        "and is in the way of the floating address."
    ]
    module = Module()
    Ufw(module).remove_all()
    assert [one for one in module.changes if "delete" in one] == [
        "ufw delete allow proto tcp from 0.0.0.0/0 to any port 80"
    ]


def test_allowing_adds_where_there_are_rules_of_ours_and_removes_none(ufw: Path) -> None:
    module = Module(rules=[rule("192.0.2.3", "7000", "7001")])
    assert Ufw(module).allow()["changed"]
    assert [one.split()[1] for one in module.changes] == ["allow"]
    (ufw / "user.rules").write_text("")
    assert not Ufw(module).allow()["changed"]


@pytest.mark.usefixtures("ufw")
def test_it_is_not_switched_on() -> None:
    backend = Ufw(Module(rules=IPV4))
    backend.running = False
    with pytest.raises(rollback.RollbackError, match="ufw is not active"):
        backend.set_rules()
    # Where it is off, nothing hangs on its rules.
    assert not backend.remove_all()["trial"]


def test_a_removal_is_kept_by_another_connection_alone(ufw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"client": "192.0.2.9", "client_port": 1, "server_port": 22}
    monkeypatch.setattr(rollback, "ssh_connection", lambda: dict(connection))
    module = Module(rules=IPV4[1:])
    backend = Ufw(module)
    backend.set_rules()
    # What ufw's command would have written.
    (ufw / "run/ufw/trial").write_text(json.dumps({"user.rules": "new", "user6.rules": ""}))
    with pytest.raises(rollback.RollbackError, match="taken back already"):
        backend.commit()
    module.answers["active"] = "airflowops"
    with pytest.raises(rollback.RollbackError, match="does not show that a new one is let in"):
        backend.commit()
    connection["client_port"] = 2
    assert backend.commit()["changed"]
    assert (ufw / "user.rules").read_text() == "new"


def test_what_the_user_changed_meanwhile_is_not_written_over(ufw: Path) -> None:
    module = Module(rules=IPV4[1:])
    backend = Ufw(module)
    backend.set_rules()
    module.answers["active"] = "airflowops"
    (ufw / "user6.rules").write_text("### tuple ### allow tcp 99 ::/0 any ::/0 in\n")
    with pytest.raises(rollback.RollbackError, match="changed meanwhile"):
        backend.commit()
    assert module.changes[-1] == "ufw reload"
    assert "99" in (ufw / "user6.rules").read_text()


# --- firewalld

ZONES = """\
public (active)
  target: default
  interfaces: eth0
  services: dhcpv6-client ssh
  ports: 4444/tcp
  rich rules:
\trule family="ipv4" source address="192.0.2.9" reject

work
  target: default
  interfaces:
  services: ssh
  rich rules:
"""
POLICY = """\
airflowops (active)
  priority: 100
  ingress-zones: ANY
  egress-zones: HOST
  rich rules:
\trule family="ipv4" source address="192.0.2.1" port port="7001" protocol="tcp" accept
\trule family="ipv4" source address="192.0.2.1" port port="7000" protocol="tcp" accept
\trule family="ipv4" port port="80" protocol="tcp" accept
\trule family="ipv6" port port="80" protocol="tcp" accept
\trule family="ipv4" source address="192.0.2.2" protocol value="vrrp" accept
"""


def test_rich_rules_are_what_firewalld_lists() -> None:
    policy = listed(POLICY)["airflowops"]
    assert policy["ingress-zones"] == ["ANY"]
    assert policy["rich rules"] == sorted(rich_rules([REDIS, *NGINX, VRRP]))


def test_what_a_reload_would_lose_is_named() -> None:
    assert unsaved(ZONES, ZONES) == []
    saved = ZONES.replace("public (active)", "public").replace("eth0", "").replace(" 4444/tcp", "")
    assert unsaved(ZONES, saved) == ["public: ports 4444/tcp"]
    saved = "\n".join(line for line in ZONES.splitlines() if "reject" not in line)
    assert unsaved(ZONES, saved) == [
        'public: rich rules rule family="ipv4" source address="192.0.2.9" reject'
    ]
    assert unsaved(POLICY, "") == []


def firewalld(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, module: Module) -> Firewalld:
    place = "ansible_collections.airflowops.cluster.plugins.module_utils.firewall"
    monkeypatch.setattr(f"{place}.backend.FOLDER", tmp_path / "run")
    monkeypatch.setattr(f"{place}.firewalld.FIREWALLD_FILE", tmp_path / "airflowops.xml")
    monkeypatch.setattr(f"{place}.backend.firewalls", lambda: ["firewalld"])
    monkeypatch.setattr(rollback, "FOLDER", tmp_path / "run")
    return Firewalld(module)


THERE = {
    f"firewall-cmd {permanent}{words}": answer
    for permanent in ("", "--permanent ")
    for words, answer in (("--get-policies", "airflowops x"), ("--policy=airflowops --list-all", POLICY))
}


def changes(module: Module) -> list[str]:
    return [one for one in module.changes if "--get-" not in one]


def test_a_new_policy_takes_one_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = Module(rules=[VRRP], answers={"firewall-cmd --list-all-zones": ""})
    done = firewalld(monkeypatch, tmp_path, module).set_rules()
    assert done["changed"]
    assert not done["trial"]
    rich = 'rule family="ipv4" source address="192.0.2.2" protocol value="vrrp" accept'
    assert done["diff"]["after"] == f"{rich}  # the floating address\n"
    assert changes(module) == [
        f"firewall-cmd --permanent --new-policy-from-file={tmp_path}/run/firewalld/policy.xml"
        " --name=airflowops",
        "firewall-cmd --reload",
        f"firewall-cmd --policy=airflowops --add-rich-rule={rich}",
        f"firewall-cmd --permanent --policy=airflowops --add-rich-rule={rich}",
    ]


def test_no_reload_where_it_would_lose_what_is_the_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = Module(rules=[VRRP], answers={"firewall-cmd --list-all-zones": ZONES})
    with pytest.raises(rollback.RollbackError, match=r"public: ports 4444/tcp.*--runtime-to-permanent"):
        firewalld(monkeypatch, tmp_path, module).set_rules()
    assert changes(module) == []
    # It is reported before, too.
    module.check_mode = True
    with pytest.raises(rollback.RollbackError, match="holds what is not saved"):
        firewalld(monkeypatch, tmp_path, module).set_rules()


def test_firewalld_second_run_and_removal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = Module(THERE, rules=[REDIS, *NGINX, VRRP])
    assert not firewalld(monkeypatch, tmp_path, module).set_rules()["changed"]
    assert changes(module) == []
    module = Module(THERE, rules=[REDIS, *NGINX])
    backend = firewalld(monkeypatch, tmp_path, module)
    assert backend.set_rules()["trial"]
    rich = 'rule family="ipv4" source address="192.0.2.2" protocol value="vrrp" accept'
    timer, removed = changes(module)
    assert timer.startswith("systemd-run --unit=airflowops-firewall-rollback-firewalld")
    # For now: a reboot or a reload brings it back.
    assert removed == f"firewall-cmd --policy=airflowops --remove-rich-rule={rich}"
    assert f"'--add-rich-rule={rich}'" in (tmp_path / "run/firewalld/take-back").read_text()
    module.answers["active"] = "airflowops"
    backend.commit()
    assert changes(module)[-1] == f"firewall-cmd --permanent --policy=airflowops --remove-rich-rule={rich}"


def test_the_policy_goes_when_no_rule_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("airflowops.xml", "airflowops.xml.old"):
        (tmp_path / name).touch()
    module = Module({**THERE, "active": ""})
    backend = firewalld(monkeypatch, tmp_path, module)
    assert backend.remove_all()["trial"]
    module.answers["active"] = "airflowops"
    backend.commit()
    assert changes(module)[-1] == "firewall-cmd --permanent --delete-policy=airflowops"
    assert not [*tmp_path.glob("airflowops.xml*")]
    # Off, or never there.
    backend.running = False
    assert not backend.remove_all()["changed"]
    (tmp_path / "airflowops.xml").touch()
    assert backend.remove_all() == {"changed": True, "trial": False}
    assert not [*tmp_path.glob("airflowops.xml*")]


def test_what_was_taken_back_at_the_last_moment_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = Module(THERE, rules=[REDIS])
    backend = firewalld(monkeypatch, tmp_path, module)
    backend.set_rules()
    module.answers["active"] = "airflowops"
    (tmp_path / "run/firewalld/taken-back").touch()
    with pytest.raises(rollback.RollbackError, match="at the last moment"):
        backend.commit()
