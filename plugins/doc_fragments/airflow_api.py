# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """Options of every module that speaks to Airflow's public REST API."""

    DOCUMENTATION = r"""
options:
  url:
    description:
      - Base URL of Airflow, as in C([api] base_url), with its path prefix if it has one. C(/auth/token)
        and C(/api/v2) are appended.
      - Redirects are not followed, so that the password reaches no other server than this one.
    type: str
    required: true
  username:
    description: Name of an Airflow user that may do what the module does.
    type: str
    required: true
  password:
    description: Password of O(username).
    type: str
    required: true
  validate_certs:
    description: Whether the server's TLS certificate is verified.
    type: bool
    default: true
  ca_path:
    description: File with the PEM certificates of the authorities to trust, instead of the system's.
    type: path
  use_proxy:
    description: Whether the proxy named by the environment variables of the managed host is used.
    type: bool
    default: true
attributes:
  action_group:
    description: The options that these modules share can stand in C(module_defaults).
    support: full
    membership: [airflowops.cluster.airflow]
notes:
  - Each request ends after 15 seconds at the latest.
  - A token is fetched with the user's name and password at each run of the module; it is kept in memory only.
"""
