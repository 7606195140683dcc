# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords that people and password managers make: each printable ASCII character at each end and inside."""

from __future__ import annotations

import string

BASE = "Kd83hfk2Zk3vQ8sL"
PRINTABLE = [character for character in string.printable if character.isprintable()]
SPECIAL = [
    "-a \"b' c\\d %e%% $f ${g} #h {i} {{j {%k [l] <m> (n) `o @p :q /r"
    " ?s &t =u +v ,w ;x |y !z ~*^_. é²€ß漢🔑Hk3vQ8sL",
    "Pässwörd-2026-x€",
    # What SASLprep turns into other characters, drops, prohibits, or refuses for its directions.
    "Passw²rd-2026-xyz",
    "ﬁnanzamt…2026ⅷ㍿x",
    "soft\u00adhyphen-2026-xy",
    "no\u00a0break\u2003space-2026",
    "private\ue000use-2026-xyz",
    "unassigned\u0378-2026-xyz",
    "שלום-2026-xyz-abc",
    "שלוםעולםשלוםעולם",
    "e\u0301ne-2026-combining",
    "пароль-для-кластера-2026",
    "鍵🔑🔑鍵-2026-xyz-abc",
    "{{" + BASE,
    "{%" + BASE,
    "}}" + BASE + "{{",
    "%(section)s%%" + BASE,
    "\\n\\x41\\" + BASE + "\\",
    "''" + BASE + "''",
    '""' + BASE + '""',
    "--password=" + BASE,
    "--" + BASE,
    "$Kd83hfk2$" + BASE,
    "#" + BASE + " # no comment",
    BASE + " = " + BASE,
    "[" + BASE + "]",
    BASE + "  two  blanks",
    "Ab3$K" * 40,
    "é🔑x7b" * 40,
]
# Every one of these some server takes; which of our secrets may be so is `secret_problem`'s to say.
PASSWORDS = sorted(
    {character + BASE for character in PRINTABLE}
    | {BASE + character for character in PRINTABLE}
    | {BASE[:8] + character + BASE[8:] for character in PRINTABLE}
    | set(SPECIAL)
)
