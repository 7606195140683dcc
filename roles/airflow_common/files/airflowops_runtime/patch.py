# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a patch is, and whether what it replaces is still what it was written for."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from types import CodeType
from typing import Any


class Mismatch(Exception):
    """What a patch replaces or calls is not there, or has changed."""


@dataclass(frozen=True)
class Target:
    """Something of upstream's that a patch replaces or relies on.

    path: "module:name.of.attribute", or "module" alone.
    parameters: of a function, "self, queue, seconds=, *args": a name with a default value ends with "=".
    source: digests of its source that are known to fit, for what is replaced as a whole.
    uses: names that its code uses, for attributes that are made in __init__.
    calls: how often the module's source has a text, as {"time.sleep(": 1}.
    """

    path: str
    parameters: str | None = None
    source: tuple[str, ...] = ()
    uses: tuple[str, ...] = ()
    calls: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Patch:
    """One change of upstream's behaviour.

    kind: "repair" keeps or recovers tasks, DAGs and logs; "speed" saves time and nothing else.
    services: which processes apply it.
    install: "module:function" of ours that makes the change, or a class that stands in for upstream's.
    packages: what it was written for, the distribution that it changes first; see tested.json.
    upstream: issues or pull requests, if there are any.
    program: without which what it changes cannot be used.
    """

    name: str
    kind: str
    services: str
    changes: str
    why: str
    install: str
    packages: tuple[str, ...]
    targets: tuple[Target, ...] = ()
    upstream: tuple[str, ...] = ()
    program: str = ""


def load(path: str) -> Any:
    """What a path names. Raises Mismatch where a part of it is missing."""
    module, _, names = path.partition(":")
    found: Any = importlib.import_module(module)
    for name in names.split(".") if names else ():
        # What a class has from another one is not what was renamed or moved.
        if not hasattr(found, name) or (isinstance(found, type) and name not in vars(found)):
            raise Mismatch(f"{path} does not exist")
        found = getattr(found, name)
    return found


def function_of(found: Any) -> Any:
    return inspect.unwrap(found.fget if isinstance(found, property) else found)


def parameters_of(function: Any) -> str:
    marks = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}
    return ", ".join(
        f"{marks.get(each.kind, '')}{each.name}{'' if each.default is each.empty else '='}"
        for each in inspect.signature(function).parameters.values()
    )


def digest_of(found: Any) -> str:
    """Of the source, which does not depend on Python's version."""
    source = textwrap.dedent(inspect.getsource(function_of(found)))
    return hashlib.sha256(source.encode()).hexdigest()[:16]


def names_used(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from names_used(constant)


def check_target(target: Target) -> None:
    """Raises Mismatch, or whatever an import raises."""
    found = load(target.path)
    function = function_of(found)
    if target.parameters is not None and (there := parameters_of(function)) != target.parameters:
        raise Mismatch(f"{target.path} takes ({there}), not ({target.parameters})")
    if target.source and digest_of(found) not in target.source:
        raise Mismatch(f"{target.path} has another source: {digest_of(found)}")
    if target.uses and (missing := set(target.uses) - set(names_used(function.__code__))):
        raise Mismatch(f"{target.path} does not use {', '.join(sorted(missing))}")
    for text, times in target.calls:
        if (there := inspect.getsource(found).count(text)) != times:
            raise Mismatch(f"{target.path} has {text} {there} times, not {times}")
