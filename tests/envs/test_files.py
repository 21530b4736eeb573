"""Files that are there whole or not at all, whatever goes wrong while they are written."""

import os
import signal
import stat
import subprocess
import sys
import time

import numpy as np
import pytest

from rangym.envs import files
from rangym.envs.files import packed, whole, write_whole


def _names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_written_in_folders_that_are_made_and_replaced(tmp_path):
    path = tmp_path / "new" / "folder" / "x.bin"
    write_whole(path, b"one")
    assert path.read_bytes() == b"one"
    write_whole(str(path), b"two")
    assert path.read_bytes() == b"two" and _names(path.parent) == ["x.bin"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, OSError])
def test_an_error_in_the_middle_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "x.bin"
    write_whole(path, b"old")
    with pytest.raises(error), whole(path) as file:
        file.write(b"half")
        raise error
    assert path.read_bytes() == b"old" and _names(tmp_path) == ["x.bin"]


def test_nobody_sees_the_new_file_before_it_is_whole(tmp_path):
    path = tmp_path / "x.bin"
    with whole(path) as file:
        file.write(b"half")
        file.flush()
        assert not path.exists()
    assert path.read_bytes() == b"half"


def test_a_link_is_followed_and_the_permissions_stay(tmp_path):
    real, link = tmp_path / "real.bin", tmp_path / "link.bin"
    real.write_bytes(b"old")
    real.chmod(0o600)
    link.symlink_to(real)
    write_whole(link, b"new")
    assert link.is_symlink() and real.read_bytes() == b"new" and stat.S_IMODE(real.stat().st_mode) == 0o600


def test_a_name_as_long_as_the_system_allows(tmp_path):
    path = tmp_path / ("x" * 250 + ".npz")
    write_whole(path, b"long")
    assert path.read_bytes() == b"long"


def test_a_device_stays_one():
    write_whole(os.devnull, b"gone")
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_a_full_disk_is_told_with_the_name_of_the_file(tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, "No space left on device")

    write_whole(tmp_path / "x.bin", b"old")
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*x\.bin'"):
        write_whole(tmp_path / "x.bin", b"new")
    assert (tmp_path / "x.bin").read_bytes() == b"old" and _names(tmp_path) == ["x.bin"]


def test_a_pair_is_renamed_only_when_both_are_written(tmp_path):
    with pytest.raises(ZeroDivisionError), whole(tmp_path / "a") as first:
        first.write(b"a")
        with whole(tmp_path / "b") as second:
            second.write(b"b")
            raise ZeroDivisionError
    assert _names(tmp_path) == []


def test_what_a_killed_writer_left_behind_goes_with_the_next_one_but_no_running_one_s(tmp_path):
    code = (
        "import os, signal, sys\n"
        "from rangym.envs.files import whole\n"
        "with whole(sys.argv[1]) as file:\n"
        "    file.write(b'half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = tmp_path / "x[1].bin"
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    write_whole(path, b"new")
    assert left.exists()  # it might be of a process that still runs
    long_ago = time.time() - files.LEFT_OVER_S - 1
    os.utime(left, (long_ago, long_ago))
    write_whole(tmp_path / "y.bin", b"another file")
    assert left.exists()
    write_whole(path, b"newer")
    assert _names(tmp_path) == ["x[1].bin", "y.bin"] and path.read_bytes() == b"newer"


def test_arrays_become_a_file_and_are_read_again(tmp_path):
    for compress in (False, True):
        write_whole(tmp_path / "x.npz", packed({"a": np.arange(3), "b": np.array("word")}, compress))
        with np.load(tmp_path / "x.npz", allow_pickle=False) as archive:
            assert archive["a"].tolist() == [0, 1, 2] and str(archive["b"]) == "word"
