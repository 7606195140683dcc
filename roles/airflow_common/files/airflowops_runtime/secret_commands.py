# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A secret's command is run once by each process.

A secret that is the output of a command (`..._CMD`) is asked for again and again, by an API server with every
task that starts.
"""

from __future__ import annotations

import functools

from airflow._shared.configuration import parser
from airflow.sdk._shared.configuration import parser as parser_of_sdk


def install() -> None:
    for module in (parser, parser_of_sdk):
        module.run_command = functools.cache(module.run_command)
