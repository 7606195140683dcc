# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Variables that are read before Python runs are set by systemd; those that may be secret are not."""

from __future__ import annotations

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.unit_environment import (
    SYSTEM_PATH,
    early_environment,
    late_environment,
    unit_environment,
)

EARLY = [
    "LD_LIBRARY_PATH",
    "LD_PRELOAD",
    "MALLOC_ARENA_MAX",
    "PYTHONPATH",
    "PYTHONHASHSEED",
    "LANG",
    "LC_ALL",
    "TZ",
    "PATH",
]
LATE = [
    "TOKEN",
    "http_proxy",
    "ORACLE_HOME",
    "AIRFLOWOPS_PRELOAD",
    "LDAP_PASSWORD",
    "LD_SDK_KEY",
    "PYTHON_INDEX_TOKEN",
    "LANGUAGE_MODEL_KEY",
    "PATH_TO_X",
]


def test_each_variable_is_set_once() -> None:
    given = dict.fromkeys(EARLY + LATE, 1)
    assert early_environment(given) == dict.fromkeys(EARLY, "1")
    assert late_environment(given) == dict.fromkeys(LATE, "1")


@pytest.mark.parametrize("own", [{}, {"PYTHONPATH": "/srv/own", "LANG": "C"}])
def test_our_folders_stay_first_and_what_is_a_services_own_counts(own: dict[str, str]) -> None:
    common = {
        "PYTHONPATH": "/srv/shared::/srv/more",
        "PATH": "/opt/tools:/usr/bin",
        "LANG": "de_DE.UTF-8",
        "TOKEN": "x",
    }
    given = unit_environment(own, common, "/opt/airflow/bin:/opt/airflow/v/bin", "/opt/airflow/lib")
    users = own.get("PYTHONPATH", "/srv/shared:/srv/more")
    assert given["PYTHONPATH"] == f"/opt/airflow/lib:{users}"
    assert given["PATH"].startswith("/opt/airflow/bin:/opt/airflow/v/bin:/opt/tools:/usr/bin:/usr/local/sbin")
    assert set(SYSTEM_PATH.split(":")) <= set(given["PATH"].split(":"))
    assert given["LANG"] == own.get("LANG", "de_DE.UTF-8")
    assert "TOKEN" not in given


def test_without_variables_there_are_our_lists_alone() -> None:
    assert unit_environment({}, {}, "/a", "/b") == {"PATH": f"/a:{SYSTEM_PATH}", "PYTHONPATH": "/b"}
