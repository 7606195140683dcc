#!/usr/bin/python
# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: broker_probe
short_description: Check from a host whether Celery's broker can be used
version_added: 0.1.0
description:
  - Connects to the servers that a broker URL of Celery names, until one can be used. Logs in to Redis
    (C(redis://), C(rediss://)). Of RabbitMQ and Redis Sentinel it checks only that a server accepts
    connections.
  - Needs no client library, so that it can run before anything is installed. Reads and changes nothing.
  - For another kind of URL, such as C(sqs://), it reports no problem.
author:
  - The airflowops.cluster maintainers (@airflowops)
extends_documentation_fragment:
  - airflowops.cluster.attributes.read_only
options:
  url:
    description: The broker URL. Several servers have semicolons between them. It holds a password.
    type: str
    required: true
  timeout:
    description: Seconds that each server has to answer in.
    type: float
    default: 5
"""

EXAMPLES = r"""
- name: Check the broker
  airflowops.cluster.broker_probe:
    url: "{{ airflow_broker_url }}"
  register: probe
"""

RETURN = r"""
problem:
  description: Why no server can be used, or nothing. Holds no password.
  type: str
  returned: always
  sample: "broker.example.org:6379: the server refuses its login (WRONGPASS)"
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.airflowops.cluster.plugins.module_utils.redis.broker_login import broker_problem


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True, "no_log": True},
            "timeout": {"type": "float", "default": 5},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, problem=broker_problem(module.params["url"], module.params["timeout"]))


if __name__ == "__main__":
    main()
