"""Writing a file: the old one or the new one is there, whole, whatever happens."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from graphc.utils import atomic
from graphc.utils.atomic import replacing

FOLDER = str(Path(atomic.__file__).parent)


def write(path: Path, data: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def test_a_new_file_and_a_changed_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write(path, b"old")
    write(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_it_as_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_the_file_behind_a_link_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"new"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_an_error_leaves_the_old_file_alone(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file"
    write(path, b"old")
    with pytest.raises(type(error)), replacing(path) as temporary:
        temporary.write_bytes(b"half")
        raise error
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]


def test_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"cannot write .*/none/file: there is no folder"):
        write(tmp_path / "none" / "file", b"")
    with pytest.raises(IsADirectoryError, match="it is a folder"):
        write(tmp_path, b"")


def test_a_folder_one_may_not_write_to(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match=r"/file'$"):
            write(tmp_path / "file", b"")
    finally:
        tmp_path.chmod(0o700)


WRITER = """
import itertools, sys
sys.path.insert(0, sys.argv[2])  # by itself: the package's other modules would take a second
from atomic import replacing
for count in itertools.count():
    with replacing(sys.argv[1]) as temporary:
        temporary.write_bytes(bytes([count % 256]) * 300_000)
    if count == 0:
        print("ready", flush=True)
"""


def test_kills_leave_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for pause in (0.0, 0.003, 0.011, 0.02):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), FOLDER], stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None and process.stdout.readline() == b"ready\n"
            time.sleep(pause)
            process.send_signal(signal.SIGKILL)
        data = path.read_bytes()
        assert len(data) == 300_000 and len(set(data)) == 1
    write(path, b"new")
    assert list(tmp_path.iterdir()) == [path]  # what the kills left is gone


WAITING = """
import sys
sys.path.insert(0, sys.argv[2])
from atomic import replacing
with replacing(sys.argv[1]) as temporary:
    temporary.write_bytes(b"its")
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_what_others_are_writing_stays(tmp_path: Path) -> None:
    path = tmp_path / "file"
    command = [sys.executable, "-c", WAITING, str(path), FOLDER]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        others = [
            tmp_path / name for name in (".file.0123abcx", ".file2.01234567", "file.01234567")
        ]
        for other in others:
            other.touch()
        (tmp_path / ".file.00000000").symlink_to(others[0])
        write(path, b"mine")
        assert path.read_bytes() == b"mine"
        assert len(list(tmp_path.iterdir())) == 6  # the link as well
        process.communicate()
    assert process.returncode == 0 and path.read_bytes() == b"its"


def test_a_file_that_is_taken_for_a_dead_ones_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its making and its lock, another process deletes it."""
    lock, deleted = atomic._lock, []

    def late(handle: int, wait: bool) -> bool:
        if not deleted:
            deleted.extend(tmp_path.iterdir())
            deleted[0].unlink()
        return lock(handle, wait)

    monkeypatch.setattr(atomic, "_lock", late)
    write(tmp_path / "file", b"new")
    assert deleted and [p.read_bytes() for p in tmp_path.iterdir()] == [b"new"]
