# Copyright (c) 2026 The airflowops.cluster maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What files held before is kept until it is not needed, and comes back as it was. On real files."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.airflowops.cluster.plugins.module_utils.host.previous import (
    PreviousFiles,
    changed_at,
    make_directory,
    note_units,
    noted_units,
)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    previous = PreviousFiles(str(tmp_path / "previous"))
    previous.settled = True
    previous.save()
    return str(tmp_path / "previous")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "airflow.cfg"
    path.write_text("good\n")
    path.chmod(0o640)
    return path


def write(folder: str, path: Path, content: str) -> None:
    PreviousFiles(folder).keep(str(path), "airflow")
    beside = path.with_name("beside")
    beside.write_text(content)
    beside.rename(path)


def test_a_file_comes_back_with_its_permissions_and_time_of_change(folder: str, file: Path) -> None:
    before = file.stat()
    write(folder, file, "bad\n")
    previous = PreviousFiles(folder)
    assert previous.facts == {"airflowops_kept": True, "airflowops_unsettled": True}
    previous.put_back(str(file))
    previous.save()
    after = file.stat()
    assert file.read_text() == "good\n"
    assert (after.st_mode, after.st_uid, after.st_mtime_ns) == (
        before.st_mode,
        before.st_uid,
        before.st_mtime_ns,
    )
    assert not any(PreviousFiles(folder).facts.values())
    assert {path.name for path in Path(folder).iterdir()} == {"index.json"}


def test_what_is_kept_is_for_root_alone(folder: str, file: Path) -> None:
    write(folder, file, "bad\n")
    assert Path(folder).stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in Path(folder).iterdir()} == {0o600}


def test_after_a_run_that_was_cut_off_the_oldest_counts(folder: str, file: Path) -> None:
    write(folder, file, "bad\n")
    write(folder, file, "worse\n")
    PreviousFiles(folder).put_back(str(file))
    assert file.read_text() == "good\n"


def test_a_file_that_was_not_there_goes(folder: str, tmp_path: Path) -> None:
    path = tmp_path / "new.conf"
    write(folder, path, "bad\n")
    PreviousFiles(folder).put_back(str(path))
    assert not path.exists()


def test_a_process_that_ran_all_along_is_not_stale_and_one_that_had_started_between_is(
    folder: str, file: Path
) -> None:
    first_change = changed_at(str(file))
    before = time.time()
    time.sleep(0.02)
    write(folder, file, "bad\n")
    time.sleep(0.02)
    between = time.time()
    time.sleep(0.02)
    previous = PreviousFiles(folder)
    previous.put_back(str(file))
    previous.save()
    previous = PreviousFiles(folder)
    assert previous.change_that_counts(str(file), before) == first_change < before
    assert previous.change_that_counts(str(file), between) > between
    # A change by other hands counts for both.
    file.write_text("by hand\n")
    assert previous.change_that_counts(str(file), before) > before


def test_a_second_failure_does_not_make_it_stale_either(folder: str, file: Path) -> None:
    first_change = changed_at(str(file))
    before = time.time()
    for _ in range(2):
        time.sleep(0.02)
        write(folder, file, "bad\n")
        previous = PreviousFiles(folder)
        previous.put_back(str(file))
        previous.save()
    assert PreviousFiles(folder).change_that_counts(str(file), before) == first_change


def test_nothing_is_kept_where_no_run_has_ended_well(tmp_path: Path, file: Path) -> None:
    folder = str(tmp_path / "previous")
    write(folder, file, "first\n")
    assert PreviousFiles(folder).files == {}
    assert PreviousFiles(folder).facts == {"airflowops_kept": False, "airflowops_unsettled": True}


def test_the_folder_above_is_for_all_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        make_directory(tmp_path / "upper/own")
    finally:
        os.umask(before)
    assert (tmp_path / "upper").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "upper/own").stat().st_mode & 0o777 == 0o700


def test_units_are_noted_once(folder: str) -> None:
    note_units({"a.service": {"files": ["/etc/a"], "reload_files": []}}, folder)
    note_units({"b.service": {"files": [], "reload_files": ["/etc/b"]}}, folder)
    changed = (Path(folder) / "units.json").stat().st_mtime_ns
    note_units({"b.service": {"files": [], "reload_files": ["/etc/b"]}}, folder)
    assert set(noted_units(folder)) == {"a.service", "b.service"}
    assert (Path(folder) / "units.json").stat().st_mtime_ns == changed
