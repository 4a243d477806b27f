"""The writer of files: complete or not at all, where a link leads to, with the mode and the owner that were there."""

import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from interrupting import interrupts

from minigrad.checkpoint import CheckpointError, load_arrays, save_arrays
from minigrad.files import replace_file

OLD, NEW = b"what was there", b"what is written"
as_root = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="needs root")


def write_new(path: Path) -> None:
    replace_file(path, lambda file: file.write(NEW))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "run.npz"
    path.write_bytes(OLD)
    return path


def refused(path: Path) -> str:
    with pytest.raises(OSError) as caught:
        write_new(path)
    assert caught.value.strerror is not None
    return caught.value.strerror


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# ---------------------------------------------------------------- what is at the path


@pytest.fixture
def device(tmp_path: Path) -> Path:
    """A device like /dev/null, of this test alone: a writer that fails the test replaces it."""
    path = tmp_path / "null.npz"
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root can make a device")
    return path


def test_a_device_is_refused_and_stays_a_device(device: Path) -> None:
    assert refused(device) == "it is no file but a device or a pipe"
    assert stat.S_ISCHR(device.stat().st_mode)


def test_a_device_behind_a_link_is_refused(device: Path) -> None:
    link = device.with_name("latest.npz")
    link.symlink_to(device)
    assert refused(link) == "it is no file but a device or a pipe"
    assert link.is_symlink()
    assert stat.S_ISCHR(device.stat().st_mode)


def test_a_checkpoint_is_not_written_over_a_device(device: Path) -> None:
    with pytest.raises(CheckpointError, match="it is no file but a device or a pipe; give the path of a file"):
        save_arrays(device, {"a": np.zeros(1)})
    assert stat.S_ISCHR(device.stat().st_mode)


def test_a_pipe_and_a_socket_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npz")
    assert refused(tmp_path / "pipe.npz") == "it is no file but a device or a pipe"
    with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{short}/s")
        assert refused(Path(short, "s")) == "it is no file but a device or a pipe"


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path) == "it is a folder"


# ---------------------------------------------------------------- links


def test_what_a_link_leads_to_is_replaced_and_the_link_stays(file: Path) -> None:
    link, further = file.parent / "latest.npz", file.parent / "folder" / "further.npz"
    link.symlink_to("run.npz")
    further.parent.mkdir()
    further.symlink_to("../latest.npz")
    write_new(further)
    assert file.read_bytes() == NEW
    assert not file.is_symlink()
    assert os.readlink(link) == "run.npz"
    assert os.readlink(further) == "../latest.npz"
    assert sorted(path.name for path in further.parent.iterdir()) == ["further.npz"]


def test_a_link_that_leads_to_nothing_yet_gets_a_file_there(tmp_path: Path) -> None:
    link = tmp_path / "latest.npz"
    link.symlink_to("run.npz")
    write_new(link)
    assert link.is_symlink()
    assert (tmp_path / "run.npz").read_bytes() == NEW


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    link = tmp_path / "latest.npz"
    link.symlink_to("latest.npz")
    assert refused(link) == os.strerror(errno.ELOOP)


# ---------------------------------------------------------------- mode and owner


@pytest.mark.parametrize("before", [0o600, 0o640, 0o664, 0o755])
def test_the_mode_of_the_file_is_kept(file: Path, before: int) -> None:
    file.chmod(before)
    write_new(file)
    assert (file.read_bytes(), mode(file)) == (NEW, before)


def test_a_new_file_has_the_mode_that_the_umask_leaves(tmp_path: Path) -> None:
    found = os.umask(0o027)
    try:
        write_new(tmp_path / "run.npz")
    finally:
        os.umask(found)
    assert mode(tmp_path / "run.npz") == 0o640


def test_a_private_file_is_private_also_while_it_is_written(file: Path) -> None:
    file.chmod(0o600)
    seen: list[int] = []

    def write(part: IO[bytes]) -> None:
        seen.append(stat.S_IMODE(os.fstat(part.fileno()).st_mode))

    replace_file(file, write)
    assert seen == [0o600]


@as_root
def test_the_owner_and_the_group_are_kept(file: Path) -> None:
    os.chown(file, 65534, 65533)
    file.chmod(0o640)
    write_new(file)
    assert (file.stat().st_uid, file.stat().st_gid, mode(file)) == (65534, 65533, 0o640)


@as_root
@pytest.mark.parametrize(
    ("owner", "permissions", "reason"),
    [(0, 0o666, "belongs to somebody else, and only root could keep it so"), (65534, 0o444, "is write-protected")],
)
def test_a_file_whose_owner_cannot_be_kept_or_that_is_write_protected_is_refused(
    owner: int, permissions: int, reason: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.npz")
        path.write_bytes(OLD)
        path.chmod(permissions)
        for owned in (folder, path):
            os.chown(owned, owner if owned is path else 65534, -1)
        os.seteuid(65534)
        try:
            said = refused(path)
        finally:
            os.seteuid(0)
        assert said == f"the file that is there {reason}"
        assert (path.read_bytes(), path.stat().st_uid, os.listdir(folder)) == (OLD, owner, ["run.npz"])


def test_the_mode_of_a_checkpoint_and_of_a_picture_is_kept(tmp_path: Path) -> None:
    from minigrad.viz import draw

    import minigrad as mg

    picture = draw((mg.Tensor([1.0], requires_grad=True) * 2.0).sum())
    for path, save in (
        (tmp_path / "a.npz", lambda path: save_arrays(path, {"a": np.zeros(3)})),
        (tmp_path / "a.svg", picture.save),
    ):
        path.write_bytes(OLD)
        path.chmod(0o600)
        link = path.with_name(f"link{path.suffix}")
        link.symlink_to(path.name)
        save(link)
        assert (mode(path), link.is_symlink(), path.read_bytes() == OLD) == (0o600, True, False)


# ---------------------------------------------------------------- errors, interrupts, kills


def test_after_an_error_the_old_file_is_there_and_nothing_else(file: Path) -> None:
    def fail(part: IO[bytes]) -> None:
        part.write(NEW)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        replace_file(file, fail)
    assert (file.read_bytes(), os.listdir(file.parent)) == (OLD, [file.name])


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("save", [write_new, lambda path: save_arrays(path, {"a": np.zeros(3), "b": np.ones(2)})])
def test_an_interrupt_at_any_moment_is_itself_and_leaves_a_whole_file(file: Path, save: Callable[[Path], None]) -> None:
    save(file)
    new = file.read_bytes()
    for moment in interrupts(lambda: save(file)):
        assert file.read_bytes() in (OLD, new), moment
        file.write_bytes(OLD)
    assert file.read_bytes() == new
    assert os.listdir(file.parent) == [file.name]


@pytest.mark.skipif(not hasattr(signal, "SIGXFSZ"), reason="needs a limit on the size of files")
def test_a_disk_that_is_full_leaves_the_old_file_and_nothing_else(file: Path) -> None:
    save_arrays(file, {"a": np.zeros(3)})
    before = file.read_bytes()
    program = (
        "import resource, sys, numpy as np\n"
        "from minigrad.checkpoint import CheckpointError, save_arrays\n"
        "for limit in (0, 100, 4096, 50_000):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, -1))\n"
        "    try:\n"
        "        save_arrays(sys.argv[1], {'a': np.zeros(10_000), 'b': np.ones(3)})\n"
        "    except CheckpointError as error:\n"
        "        assert 'File too large' in str(error), error\n"
        "    else:\n"
        "        raise AssertionError(limit)\n"
    )
    run = subprocess.run([sys.executable, "-c", program, file], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert (file.read_bytes(), os.listdir(file.parent)) == (before, [file.name])


WRITERS = """
import os, sys
from minigrad.files import replace_file
def write(file):
    print(file.name, flush=True)
    sys.stdin.readline()
replace_file(sys.argv[1], write)
"""


def writer(path: Path) -> tuple["subprocess.Popen[str]", Path]:
    """Another process in the middle of writing the file, and its part."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITERS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_what_a_killed_writer_of_the_same_file_left_is_removed_and_nothing_else(file: Path) -> None:
    other = file.with_name("other.npz")
    (killed, left), (killed_too, kept), (alive, used) = writer(file), writer(other), writer(file)
    for process in (killed, killed_too):
        process.kill()
        process.communicate()
    assert {left, kept, used} <= set(file.parent.iterdir())
    write_new(file)
    assert set(file.parent.iterdir()) == {file, kept, used}
    alive.communicate("go on\n")
    assert alive.returncode == 0
    assert file.read_bytes() == b""
    write_new(other)
    assert sorted(os.listdir(file.parent)) == ["other.npz", "run.npz"]


def test_what_has_the_name_of_a_part_and_is_no_file_is_let_be(file: Path, tmp_path: Path) -> None:
    killed, left = writer(file)
    killed.kill()
    killed.communicate()
    left.unlink()
    secret = tmp_path / "secret"
    secret.write_bytes(OLD)
    pipe, folder, link = (left.with_name(left.name.replace(".part", f"{k}.part")) for k in range(3))
    os.mkfifo(pipe)
    folder.mkdir()
    link.symlink_to(secret)
    saved = subprocess.run(
        [sys.executable, "-c", WRITERS, str(file)], input="go on\n", text=True, capture_output=True, timeout=60, check=False
    )
    assert saved.returncode == 0
    assert set(tmp_path.iterdir()) == {file, pipe, folder, link, secret}
    assert secret.read_bytes() == OLD


def test_a_part_that_is_removed_before_it_is_locked_is_made_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")
    lock, times = fcntl.flock, []

    def removed_first(opened: IO[bytes], how: int) -> None:
        if how == fcntl.LOCK_EX and not times:
            times.append(opened.name)
            os.unlink(opened.name)
        lock(opened, how)

    monkeypatch.setattr(fcntl, "flock", removed_first)
    write_new(file)
    assert len(times) == 1
    assert file.read_bytes() == NEW


def test_where_files_have_no_locks_they_are_written_all_the_same(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minigrad.files.fcntl", None)
    write_new(file)
    assert (file.read_bytes(), os.listdir(file.parent)) == (NEW, [file.name])


def test_many_writers_at_once_leave_one_whole_file(file: Path) -> None:
    program = (
        "import sys, numpy as np\nfrom minigrad.checkpoint import save_arrays\n"
        "for _ in range(30):\n    save_arrays(sys.argv[1], {'a': np.full(1000, float(sys.argv[2]))})\n"
    )
    writers = [subprocess.Popen([sys.executable, "-c", program, file, str(number)]) for number in range(3)]
    while any(process.poll() is None for process in writers):
        assert file.exists()
        time.sleep(0.01)
    assert [process.wait() for process in writers] == [0, 0, 0]
    assert len(set(load_arrays(file)["a"].tolist())) == 1
    assert os.listdir(file.parent) == [file.name]


def test_all_bytes_are_with_the_system_when_it_is_told_to_put_them_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr("minigrad.files.os.fsync", lambda number: sizes.append(os.fstat(number).st_size))
    replace_file(tmp_path / "file", lambda file: file.write(b"bytes"))
    assert sizes[0] == 5
