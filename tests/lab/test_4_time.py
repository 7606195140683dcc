# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose clock nothing keeps gets a service that does. In a container it does not run."""

from __future__ import annotations

import pytest
from lab import Lab, changed

pytestmark = pytest.mark.usefixtures("long")


def test_a_host_gets_what_keeps_its_clock(lab: Lab) -> None:
    name = lab.group("airflow_worker")[0]
    host = lab.host(name)
    host.check_output("DEBIAN_FRONTEND=noninteractive apt-get purge -qq -y systemd-timesyncd")
    lab.playbook("site.yml", "-e", "packages_keep_time=false")
    assert not host.package("systemd-timesyncd").is_installed
    lab.playbook("site.yml")
    assert host.package("systemd-timesyncd").is_installed
    assert host.service("systemd-timesyncd").is_enabled
    assert changed(lab.playbook("site.yml")) == 0
