# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calendars are judged as systemd itself reads them."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from ansible_collections.airflowops.cluster.plugins.plugin_utils.preflight.calendars import calendar_problem
from inputs_data import RIGHT, WRONG

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
