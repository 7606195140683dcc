# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes to Airflow, Celery and kombu at run time, as guarded patches that can be switched off one by one.

registry.py lists the patches, apply.py applies those that fit, `python -m airflowops_runtime check` prints
what became of them. docs/runtime.md explains them.
"""
