# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of every module that uses Celery's remote control."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  broker_url:
    description:
      - The URL of the broker, as in Airflow's C([celery] broker_url). On hosts of this collection it
        names the local HAProxy.
      - The password in it appears neither in the output nor in a command line.
      - For TLS write C(rediss://) and add the parameters C(ssl_cert_reqs) and C(ssl_ca_certs) to the URL.
    type: str
    required: true
  broker_transport_options:
    description:
      - Celery's C(broker_transport_options). C(global_keyprefix) has to be the one that the workers use,
        else none of them answers.
      - C(socket_connect_timeout) and C(socket_timeout) are 5 seconds unless given here.
      - Its values are shown in verbose output; passwords belong in O(broker_url) or O(broker_secret_options).
    type: dict
    default: {}
  broker_secret_options:
    description: More of them, which no output shows, such as C(sentinel_kwargs) with a password.
    type: dict
    default: {}
  celery_python:
    description: Path of a Python interpreter, on the managed host, that has Celery.
    type: path
    default: /opt/airflow/current/bin/python
attributes:
  action_group:
    description: The options that these modules share can stand in C(module_defaults).
    support: full
    membership: [airflowops.cluster.celery]
"""
