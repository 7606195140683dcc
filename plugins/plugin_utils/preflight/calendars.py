# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether systemd would accept an OnCalendar= expression: systemd.time(7), "Calendar events".

The controller may have no systemd, and a timer with an expression that systemd does not know never elapses.
"""

from __future__ import annotations

import re

from zoneinfo import ZoneInfo, available_timezones

SHORTHANDS = (
    "minutely",
    "hourly",
    "daily",
    "monthly",
    "weekly",
    "yearly",
    "annually",
    "quarterly",
    "semiannually",
    "semi-annually",
    "biannually",
    "bi-annually",
)
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY_NUMBERS = {name: number for number, day in enumerate(DAYS) for name in (day, day[:3])}
# A zone of the tz database, or what is beside the date and time.
ZONE = re.compile(r"UTC|[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*")


def calendar_problem(expression: str) -> str:
    """What of the expression systemd would not accept; empty if it accepts all."""
    parts = expression.split(" ")
    if not expression.strip():
        return "which is empty"
    if expression != expression.strip() or re.search(r"[\x00-\x1f\x7f]", expression):
        return "which has white space around it or a line break in it"
    parts = expression.split()
    if len(parts) > 1 and is_zone(parts[-1]):
        parts.pop()
    if len(parts) == 1 and parts[0].lower() in SHORTHANDS:
        return ""
    if re.fullmatch(r"@[0-9]+", expression):
        return ""
    if parts and is_weekdays(parts[0]):
        parts.pop(0)
        if not parts:
            return ""
    if parts and is_date(parts[0]):
        parts.pop(0)
        if not parts:
            return ""
    if parts and is_time(parts[0]):
        parts.pop(0)
    return f"in which systemd does not know {parts[0]}" if parts else ""


def is_zone(text: str) -> bool:
    if not ZONE.fullmatch(text):
        return False
    if text == "UTC" or text in available_timezones():
        return True
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError):
        # A controller without the tz database cannot know.
        return "/" in text and not available_timezones()
    return True


def is_weekdays(text: str) -> bool:
    """Mon, Mon,Wed, Mon..Fri, and several of them with commas; a comma at the end is accepted."""
    for entry in text.lower().rstrip(",").split(","):
        days = [DAY_NUMBERS.get(day, -1) for day in re.split(r"\.\.|-", entry)] if entry else []
        if -1 in days or len(days) > 2 or days != sorted(days):
            return False
    return True


def is_date(text: str) -> bool:
    """YEAR-MONTH-DAY or MONTH-DAY; with ~ the days are counted from the month's end."""
    fields = re.split(r"[-~]", text)
    if len(fields) not in (2, 3) or (text.count("~") and not re.fullmatch(r"[^~]*~[^~-]+", text)):
        return False
    limits = [(1970, 2199), (1, 12), (1, 31)][-len(fields) :]
    return all(is_component(field, *limit, years=limit[1] > 1000) for field, limit in zip(fields, limits))


def is_time(text: str) -> bool:
    """HOUR:MINUTE or HOUR:MINUTE:SECOND, and seconds may have a fraction."""
    fields = text.split(":")
    if len(fields) not in (2, 3):
        return False
    limits = [(0, 23), (0, 59), (0, 59)]
    return all(
        is_component(field, *limit, fraction=number == 2)
        for number, (field, limit) in enumerate(zip(fields, limits))
    )


def is_component(text: str, least: int, most: int, fraction: bool = False, years: bool = False) -> bool:
    """Numbers with commas between them, each with .. to another one and / to repeat it; or *."""
    if text == "*":
        return True
    digits = r"[0-9]+(?:\.[0-9]{1,6})?" if fraction else "[0-9]+"
    for entry in text.split(","):
        found = re.fullmatch(rf"({digits})(?:\.\.({digits}))?(?:/({digits}))?", entry)
        if not found:
            return False
        first, last, step = found.groups()
        if step is not None and float(step) == 0:
            return False
        numbers = [float(number) for number in (first, last) if number is not None]
        # 70 is 1970, and 69 is 2069.
        numbers = [n + (1900 if n >= 70 else 2000) if years and n < 100 else n for n in numbers]
        if any(not least <= number < most + 1 for number in numbers) or numbers != sorted(numbers):
            return False
    return True
