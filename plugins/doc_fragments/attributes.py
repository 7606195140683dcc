# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules have in common beside their options."""

from __future__ import annotations


class ModuleDocFragment:
    READ_ONLY = r"""
attributes:
  check_mode:
    description: It only reads, so that it does the same.
    support: full
  diff_mode:
    description: It changes nothing.
    support: none
"""
