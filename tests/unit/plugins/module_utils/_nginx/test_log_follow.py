# Copyright: (c) 2026, flaskops maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each line of a log is read once, also when logrotate is at work between two looks."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import pytest
from ansible_collections.flaskops.stack.plugins.module_utils._nginx import log_follow
from ansible_collections.flaskops.stack.plugins.module_utils._nginx.log_follow import Position, follow


class Log:
    """A log that is written, rotated and followed."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "shop.access.log"
        self.written: list[str] = []
        self.seen: list[str] = []
        self.position: Position | None = None
        self.now = 1000.0
        self._number = 0

    def write(self, lines: int = 3, path: Path | None = None) -> None:
        """Append lines; all files that are written get the time of the clock."""
        for _line in range(lines):
            self._number += 1
            self.written.append(f"line {self._number}")
            with (path or self.path).open("a", encoding="utf-8") as stream:
                stream.write(f"line {self._number}\n")
        os.utime(path or self.path, (self.now, self.now))

    def rotated(self, number: int, end: str = "") -> Path:
        return self.path.with_name(f"{self.path.name}.{number}{end}")

    def rotate(self, compress: bool = True) -> None:
        """Rotate as Debian's logrotate does, with delaycompress."""
        for number in range(9, 0, -1):
            for end in (".gz", ""):
                if self.rotated(number, end).exists():
                    self.rotated(number, end).rename(self.rotated(number + 1, end))
        if compress and self.rotated(2).exists():
            self.compress(2)
        self.path.rename(self.rotated(1))
        self.path.touch()

    def compress(self, number: int) -> None:
        plain = self.rotated(number)
        status = plain.stat()
        self.rotated(number, ".gz").write_bytes(gzip.compress(plain.read_bytes()))
        os.utime(self.rotated(number, ".gz"), (status.st_mtime, status.st_mtime))
        plain.unlink()

    def follow(self, seconds: float = 30, most: int = 10**6) -> None:
        """Let time pass and look."""
        self.now += seconds
        left = most

        def count(line: bytes) -> bool:
            nonlocal left
            left -= 1
            self.seen.append(line.decode().rstrip("\n"))
            return left > 0

        self.position = follow(str(self.path), self.position, self.now, count)

    def is_complete(self) -> bool:
        return sorted(self.seen) == sorted(self.written)


@pytest.fixture(name="log")
def _log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_only_what_was_added_is_read_again(log: Log) -> None:
    for _time in range(3):
        log.write()
        log.follow()
        log.follow()
    assert log.seen == log.written


def test_a_log_that_is_not_there_or_empty_has_nothing(log: Log) -> None:
    log.follow()
    log.path.touch()
    log.follow()
    log.write()
    log.follow()
    assert log.seen == log.written


@pytest.mark.parametrize("times", [1, 2, 3, 5])
def test_a_log_that_was_rotated_meanwhile_is_read_to_its_end(log: Log, times: int) -> None:
    log.write()
    log.follow()
    for _rotation in range(times):
        log.write()
        log.rotate()
    log.write()
    log.follow()
    log.write()
    log.follow()
    assert log.is_complete()


def test_what_a_worker_still_writes_to_the_renamed_file_is_read(log: Log) -> None:
    log.write()
    log.follow()
    log.rotate()
    log.write(2)
    log.follow()
    log.write(2, log.rotated(1))
    log.follow()
    log.write(2)
    log.follow()
    assert log.is_complete()


def test_what_was_rotated_before_the_first_look_is_left(log: Log) -> None:
    log.write()
    log.rotate()
    before = list(log.written)
    log.write()
    log.follow()
    log.follow()
    assert log.seen == [line for line in log.written if line not in before]


def test_an_old_file_that_is_compressed_later_is_not_read_again(log: Log) -> None:
    log.write()
    log.follow()
    log.rotate()
    log.write()
    log.follow()
    log.compress(1)
    log.follow()
    # Even when its time says that it is new.
    os.utime(log.rotated(1, ".gz"), (log.now + 100, log.now + 100))
    log.follow()
    assert log.is_complete()


def test_a_log_that_is_copied_and_emptied_is_read_once(log: Log) -> None:
    log.write()
    log.follow()
    log.write()
    shutil.copy2(log.path, log.rotated(1))
    log.path.write_text("")
    log.write()
    log.follow()
    assert log.is_complete()


def test_a_new_file_with_the_inode_of_an_old_one_is_read_from_its_beginning(log: Log) -> None:
    log.write(2)
    log.follow()
    log.path.write_text("")
    log.write(5)
    log.follow()
    assert log.is_complete()


def test_a_log_with_dates_in_the_names_of_rotated_files(log: Log) -> None:
    log.write()
    log.follow()
    log.write()
    log.path.rename(log.path.with_name("shop.access.log-20261128"))
    log.write()
    # Not of this log.
    log.write(0)
    other = log.path.with_name("shop.access.log.old")
    other.write_text("other\n")
    log.follow()
    assert log.is_complete()


def test_a_line_that_is_being_written_waits(log: Log) -> None:
    log.write()
    with log.path.open("a", encoding="utf-8") as stream:
        stream.write("li")
    log.follow()
    assert log.is_complete()
    with log.path.open("a", encoding="utf-8") as stream:
        stream.write("ne 4\n")
    log.written.append("line 4")
    log.follow()
    assert log.is_complete()


def test_what_takes_too_long_is_gone_on_with(log: Log) -> None:
    log.write(1)
    log.follow()
    log.write(10)
    log.rotate()
    log.write(10)
    for _time in range(30):
        log.follow(most=1)
    assert log.is_complete()


def test_a_line_without_an_end_fills_no_memory(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_follow, "_LONGEST_LINE", 100)
    log.path.write_text("x" * 1000 + "\nend\n")
    log.follow()
    log.follow()
    assert log.seen == ["x" * 100] * 10 + ["", "end"]


def test_what_is_no_file_is_left_alone(log: Log) -> None:
    os.mkfifo(log.path)
    log.follow()
    assert log.seen == []


def test_a_damaged_archive_is_read_as_far_as_it_goes(log: Log) -> None:
    log.write(1)
    log.follow()
    log.write(4)
    log.rotate()
    log.compress(1)
    whole = log.rotated(1, ".gz").read_bytes()
    log.rotated(1, ".gz").write_bytes(whole[:-6])
    log.follow()
    log.rotated(1, ".gz").write_bytes(whole)
    log.follow()
    assert log.is_complete()


@pytest.mark.parametrize("place", [12, 60])
def test_an_archive_with_other_bytes_in_it_holds_up_nothing(log: Log, place: int) -> None:
    log.write(1)
    log.follow()
    log.write(400)
    log.rotate()
    log.compress(1)
    whole = log.rotated(1, ".gz").read_bytes()
    # As a power failure leaves it.
    log.rotated(1, ".gz").write_bytes(whole[:place] + bytes(len(whole) - place))
    log.write(3)
    log.follow()
    assert log.seen[-3:] == log.written[-3:]


def test_positions_of_few_files_are_kept(log: Log) -> None:
    for _time in range(20):
        log.write(1)
        log.follow()
        log.rotate()
    assert log.position
    assert len(log.position.offsets) <= 6
