# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Foreign things on a host: preflight.yml refuses it with one line that says what to do, and changes nothing.

Each is put beside the cluster that runs, and away again; nothing is reloaded meanwhile. That what is our own
is taken for that, every other run of the session shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from lab import Lab, changed, recap

pytestmark = pytest.mark.topology("single_node")
HOST = "node1"
SITE = "/etc/nginx/sites-enabled/shop"
DROP_IN = "/run/systemd/system/service.d/zzz-lxc-service.conf"


@contextmanager
def condition(lab: Lab, make: str, undo: str) -> Iterator[None]:
    host = lab.host(HOST)
    try:
        host.run_expect([0], make)
        yield
    finally:
        host.run_expect([0], undo)


def refusal(lab: Lab, *arguments: str) -> list[str]:
    """The lines of what must be corrected."""
    output = lab.playbook("playbooks/preflight.yml", *arguments, check=False)
    assert changed(output) == 0, recap(output)
    text = output.rpartition("Nothing was changed. To be corrected:")[2].partition("PLAY RECAP")[0]
    return re.findall(r"^ *- (.+)$", text, re.MULTILINE)


def test_the_host_passes(lab: Lab) -> None:
    assert refusal(lab) == []


def test_all_at_once_and_each_by_its_line(lab: Lab) -> None:
    """At once, as a run takes 15 s. The user keeps its number, as services may start meanwhile."""
    passwd, nginx = "/etc/passwd", "/etc/nginx/nginx.conf"
    fields = r"s#^(airflow(:[^:]*){4}):.*#\1:/home/airflow:/bin/bash#"
    user = f"cp -p {passwd} /root/passwd.ours && sed -E '{fields}' /root/passwd.ours > {passwd}"
    site = f"mkdir -p {SITE.rpartition('/')[0]} && echo 'server {{}}' > {SITE}"
    site += f" && mv {nginx} /root/nginx.ours && echo 'include {SITE};' > {nginx}"
    blank = f"mkdir -p {DROP_IN.rpartition('/')[0]} && echo '[Service]' > {DROP_IN}"
    blank += f" && echo LoadCredential= >> {DROP_IN}"
    with ExitStack() as conditions:
        for make, undo in (
            (user, f"mv /root/passwd.ours {passwd}"),
            (site, f"rm -f {SITE} && mv /root/nginx.ours {nginx}"),
            (blank, f"rm -r {DROP_IN.rpartition('/')[0]}"),
        ):
            conditions.enter_context(condition(lab, make, undo))
        lines = refusal(lab)
        assert len(lines) == 3, lines
        credentials, person, service = lines
        assert credentials.startswith(f"{DROP_IN} on {HOST} has an empty LoadCredential=")
        assert person.startswith(
            f"The user airflow on {HOST} is somebody else's (home /home/airflow, shell /bin"
        )
        assert service.startswith(f"nginx on {HOST} serves something else already ({nginx}, {SITE})")
        assert service.endswith("set preflight_takeover: [nginx].")
        assert refusal(lab, "-e", '{"preflight_takeover": ["nginx"]}') == [credentials, person]
    assert refusal(lab) == []
