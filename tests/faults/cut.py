# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cuts a host of the lab off from all others for a time."""

from __future__ import annotations

import time

from lab import Lab
from lab_flow import each


def install_nft(lab: Lab, hosts: list[str]) -> None:
    each(
        lambda host: lab.host(host).run_expect(
            [0], "nft --version || DEBIAN_FRONTEND=noninteractive apt-get install -qq nftables"
        ),
        hosts,
    )


def cut_off(lab: Lab, host: str, seconds: int) -> float:
    """All but the way by which we reach the host is closed, in both directions, and opens by itself.

    Returns the monotonic time at which it was closed.
    """
    connection = lab.host(host).check_output("ss -Htn state established sport = :22 | head -n 1")
    outside = connection.split()[3].rsplit(":", 1)[0]
    rules = [
        "add table inet faults",
        "add chain inet faults in { type filter hook input priority -10; policy drop; }",
        "add chain inet faults out { type filter hook output priority -10; policy drop; }",
        "add rule inet faults in iif lo accept",
        f"add rule inet faults in ip saddr {outside} accept",
        "add rule inet faults out oif lo accept",
        f"add rule inet faults out ip daddr {outside} accept",
    ]
    text = "\n".join(rules)
    lab.host(host).run_expect([0], f"cat > /run/faults.nft <<'END'\n{text}\nEND")
    lab.host(host).run_expect(
        [0],
        "systemd-run --collect --unit=faults-cut sh -c "
        f"'nft -f /run/faults.nft; sleep {seconds}; nft delete table inet faults'",
    )
    time.sleep(1)
    assert "faults" in lab.host(host).check_output("nft list tables"), "the host was not cut off"
    return time.monotonic()
