# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: rendered_files
short_description: One template rendered for each item, as files
version_added: 0.1.0
author: The airflowops.cluster maintainers (@airflowops)
description:
  - Renders a template once for each of some items, as the units of services are, and returns the files as
    M(airflowops.cluster.host_files) takes them.
options:
  _terms:
    description: The template, found as by P(ansible.builtin.template#lookup).
    required: true
  items:
    description: What it is rendered for.
    type: list
    elements: dict
    required: true
  variable:
    description: The name by which the template knows the item.
    type: str
    required: true
  path:
    description: Path of the file, with keys of the item in braces.
    type: str
    required: true
  folders:
    description: Whether the folder of each file stands before it.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Write a unit for each service
  airflowops.cluster.host_files:
    files: "{{ query('airflowops.cluster.rendered_files', 'example.service.j2', items=services,
                     variable='service', path='/etc/systemd/system/{unit}') }}"
  vars:
    services:
      - {unit: example.service, description: An example}
"""

RETURN = r"""
_raw:
  description: A dictionary for each item, with its C(path) and C(content).
  type: list
  elements: dict
"""

from pathlib import PurePosixPath
from typing import Any

from ansible.plugins.loader import lookup_loader
from ansible.plugins.lookup import LookupBase


class LookupModule(LookupBase):
    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[dict[str, Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        template = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
        name, path = self.get_option("variable"), self.get_option("path")
        files: list[dict[str, Any]] = []
        for item in self.get_option("items"):
            file = path.format(**item)
            if self.get_option("folders"):
                files.append({"path": str(PurePosixPath(file).parent), "directory": True})
            content = template.run(terms, variables, template_vars={name: item})[0]
            files.append({"path": file, "content": content})
        return files
