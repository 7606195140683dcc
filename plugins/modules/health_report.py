#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual of an action; see plugins/action/health_report.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: health_report
short_description: Evaluate the health of a cluster, and write the report
version_added: 0.1.0
author:
  - The airflowops.cluster maintainers (@airflowops)
description:
  - Makes findings of what the tasks of the role P(airflowops.cluster.health#role) registered of all hosts.
  - Used by that role alone. Run it once, not for each host.
  - Runs on the controller only. Of the cluster it changes nothing.
options:
  expected:
    description: What there should be.
    type: dict
    required: true
  limits:
    description: The limits of the role, by their names without its prefix.
    type: dict
    required: true
  page:
    description: File on the controller to which the report is written as an HTML page. Empty writes none.
    type: str
    default: ""
  json:
    description: File on the controller to which the report is written as JSON. Empty writes none.
    type: str
    default: ""
attributes:
  action:
    description: Runs on the controller alone.
    support: full
  check_mode:
    description: Does the same, as it changes nothing of the cluster.
    support: full
  diff_mode:
    description: There is nothing that might be shown.
    support: none
seealso:
  - module: airflowops.cluster.host_health_info
  - module: airflowops.cluster.airflow_health_info
"""

EXAMPLES = r"""
- name: Judge what was seen
  airflowops.cluster.health_report:
    expected: "{{ expected }}"
    limits: "{{ limits }}"
    page: health.html
  run_once: true
  register: health
"""

RETURN = r"""
report:
  description: The report, in the shape of its JSON file.
  returned: success
  type: dict
  sample: {format: 1, state: ok, findings: [], text: All is well.}
"""
