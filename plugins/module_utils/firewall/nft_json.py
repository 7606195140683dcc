# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What nft prints of a table, compared: pure functions on the JSON that it prints."""

from __future__ import annotations

import json
from typing import Any, Iterable, Mapping

# What differs between two that do the same.
FLEETING = ("handle", "packets", "bytes", "expires")
# Elements that nft's lists have by themselves are shown with what they carry, as {"elem": {"val": ...}}.
ELEMENTS = "elem"


def table_of(text: str, passing: Iterable[str] = ()) -> dict[str, Any]:
    """{"sets": {name: elements}, "rest": all else in order} of what `nft -j list table` prints.

    passing: names of sets whose elements come and go by themselves; they are not looked at.
    """
    sets: dict[str, dict[str, Any]] = {}
    rest: list[Any] = []
    for entry in json.loads(text)["nftables"]:
        if "metainfo" in entry:
            continue
        if "set" in entry:
            described = lasting(entry["set"])
            elements = described.pop(ELEMENTS, [])
            name = described["name"]
            sets[name] = {} if name in passing else {element_key(one): one for one in elements}
            rest.append({"set": described})
        else:
            rest.append(lasting(entry))
    return {"sets": sets, "rest": rest}


def lasting(value: Any) -> Any:
    """A value without what is fleeting, at every depth."""
    if isinstance(value, Mapping):
        return {key: lasting(entry) for key, entry in value.items() if key not in FLEETING}
    if isinstance(value, list):
        return [lasting(entry) for entry in value]
    return value


def element_value(element: Any) -> Any:
    """An element without its comment."""
    if isinstance(element, Mapping) and isinstance(element.get(ELEMENTS), Mapping):
        return element[ELEMENTS]["val"]
    return element


def element_key(element: Any) -> str:
    return json.dumps(element_value(element), sort_keys=True)


def same(live: Mapping[str, Any], wanted: Mapping[str, Any], keep: Iterable[str] = ()) -> bool:
    """Whether two tables do the same; in the sets of the names `keep` the live one may hold more."""
    if live["rest"] != wanted["rest"] or {*live["sets"]} != {*wanted["sets"]}:
        return False
    for name, elements in wanted["sets"].items():
        have = live["sets"][name]
        if not {*elements} <= {*have} or (name not in keep and {*have} != {*elements}):
            return False
    return True


def kept_elements(
    live: Mapping[str, Any], wanted: Mapping[str, Any], keep: Iterable[str]
) -> dict[str, list[str]]:
    """{set: elements}, as nft reads them, that the live table has more in the sets of the names `keep`."""
    found = {}
    for name in keep:
        have, want = live["sets"].get(name), wanted["sets"].get(name)
        more = [] if have is None or want is None else [key for key in sorted(have) if key not in want]
        if more and have:
            found[name] = [element_text(have[key]) for key in more]
    return found


def element_text(element: Any) -> str:
    """An address, or a network, and its comment."""
    value = element_value(element)
    text = value if isinstance(value, str) else "{addr}/{len}".format(**value["prefix"])
    comment = (
        element[ELEMENTS].get("comment") if isinstance(element, Mapping) and ELEMENTS in element else None
    )
    return f'{text} comment "{comment}"' if comment else text


def add_lines(table: str, elements: Mapping[str, Iterable[str]]) -> str:
    """Lines for a file of nft that add elements to sets of a table."""
    return "".join(
        f"add element {table} {name} {{ {', '.join(ones)} }}\n"
        for name, ones in sorted(elements.items())
        if ones
    )


def missing(live: Mapping[str, Any], elements: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """Those of the elements, addresses, that the sets of the live table lack, for sets that it has."""
    found = {}
    for name, ones in elements.items():
        have = live["sets"].get(name)
        lacking = [one for one in ones if have is not None and json.dumps(one.split()[0]) not in have]
        if lacking:
            found[name] = lacking
    return found
