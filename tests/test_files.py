import errno
import os

import pytest

from skcount._files import check_target, replacing

posix = pytest.mark.skipif(os.name != "posix", reason="locks and permissions of POSIX")


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    return path


def test_a_file_is_replaced_when_all_has_been_written(path):
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert temporary.parent == path.parent
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("no room"), KeyboardInterrupt()])
def test_a_writer_that_fails_leaves_the_old_file_and_no_other(path, error):
    def write_half():
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert path.read_text() == "old"
    assert list(path.parent.iterdir()) == [path]


def leftover_of(path, name="0123456789abcdef" * 2):
    leftover = path.with_name(f".{path.name}.{name}.tmp")
    leftover.write_text("half")
    return leftover


@posix
def test_what_a_killed_writer_left_is_removed(path):
    leftover_of(path)
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert sorted(path.parent.iterdir()) == sorted([path, temporary])
    assert list(path.parent.iterdir()) == [path]


def test_other_peoples_files_are_left_alone(path):
    others = {
        leftover_of(path, "backup"),
        leftover_of(path.with_name("b.txt")),
        leftover_of(path.with_name("a-txt")),
        path,
    }
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert set(path.parent.iterdir()) == others


@posix
def test_the_file_of_a_writer_at_work_is_left_alone(path):
    with replacing(path) as first:
        first.write_text("first")
        with replacing(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"


@posix
def test_a_file_system_without_locks_will_do(path, monkeypatch):
    import fcntl

    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    leftover = leftover_of(path)
    with replacing(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"
    assert leftover.exists()  # nobody knows whether its writer lives


@posix
def test_a_temporary_file_that_was_taken_away_before_it_was_locked_is_made_anew(path, monkeypatch):
    import fcntl

    flock, taken = fcntl.flock, []

    def take_the_first(descriptor, operation):
        if not taken:
            taken.extend(p for p in path.parent.iterdir() if p != path)
            taken[0].unlink()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", take_the_first)
    with replacing(path) as temporary:
        assert [temporary] != taken
        temporary.write_text("new")
    assert path.read_text() == "new"


def test_a_name_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*missing to write a.txt in"):
        check_target(tmp_path / "missing" / "a.txt")
    with pytest.raises(ValueError, match="is a folder"):
        check_target(tmp_path)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert check_target("~/a.txt") == tmp_path / "a.txt"


@posix
def test_permissions_and_links_stay(tmp_path):
    target, link = tmp_path / "a.txt", tmp_path / "link.txt"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    with replacing(check_target(link)) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_names_the_file(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with (
        pytest.raises(OSError, match=r"no space left on the disk to write .*a.txt. It is unchanged"),
        replacing(check_target(tmp_path / "a.txt")),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_name_that_is_too_long_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(ValueError, match="must have at most 217 bytes; it has 218"):
        check_target(tmp_path / ("ü" * 107 + ".csv"))
    with replacing(check_target(tmp_path / ("a" * 217))) as temporary:
        temporary.write_text("new")
