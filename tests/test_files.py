"""Paths without a home folder, permissions, and files that are written whole or not at all; and checks of single values."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nstlab import files, images
from nstlab.errors import ImageError, NstlabError, SettingError, check_count, check_seed, check_weight

POSIX = pytest.mark.skipif(os.name == "nt", reason="permissions as POSIX has them")


@pytest.fixture
def homeless(monkeypatch):
    """As in a container whose user has no entry in /etc/passwd."""

    def unknown(*args):
        raise RuntimeError("Could not determine home directory.")

    for name in ("HOME", "NSTLAB_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA", "USERPROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", unknown)
    monkeypatch.setattr(Path, "expanduser", lambda self: unknown() if str(self).startswith("~") else self)


def test_without_a_home_folder_nothing_is_cached(homeless, monkeypatch, tmp_path):
    with pytest.raises(OSError):
        (files.cache_dir() / "scales").mkdir(parents=True)
    assert not (files.cache_dir() / "a.json").exists()
    monkeypatch.setenv("XDG_CACHE_HOME" if os.name != "nt" else "LOCALAPPDATA", str(tmp_path))
    assert files.cache_dir() == tmp_path / "nstlab"


def test_without_a_home_folder_tilde_is_one_sentence(homeless, tmp_path):
    for call in (images.load, images.writable, images.locate, images.metadata, files.expanded):
        with pytest.raises(ImageError, match="no home folder"):
            call("~/a.png")
    assert images.load("cat", 8).shape[-1] == 8 and files.expanded(tmp_path) == tmp_path


@POSIX
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_file_gets_the_permissions_of_any_new_file(mask, tmp_path, monkeypatch):
    before = os.umask(mask)
    try:
        monkeypatch.setattr(os, "umask", lambda *a: pytest.fail("the umask belongs to the process"))
        with files.atomic_write(tmp_path / "a.txt") as temporary:
            temporary.write_text("whole")
    finally:
        monkeypatch.undo()
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o666 & ~mask
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_mount_that_refuses_chmod_does_not_lose_the_picture(tmp_path, monkeypatch):
    def refused(*args, **options):
        raise PermissionError(1, "Operation not permitted")

    for owner, name in ((os, "chmod"), (Path, "chmod"), (os, "fchmod")):
        monkeypatch.setattr(owner, name, refused, raising=False)
    path = images.save(torch.zeros(1, 3, 2, 2), tmp_path / "a.png")
    assert images.load(path).shape == (1, 3, 2, 2)


def test_what_fails_leaves_nothing(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(ValueError), files.atomic_write(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise ValueError
    assert (tmp_path / "a.txt").read_text() == "old" and len(list(tmp_path.iterdir())) == 1
    with pytest.raises(OSError), files.atomic_write(tmp_path / "none" / "a.txt"):
        pytest.fail("there is no such folder")


def test_a_name_as_long_as_the_system_takes(tmp_path):
    path = tmp_path / ("n" * 251 + ".png")
    assert images.load(images.save(torch.zeros(1, 3, 2, 2), path)).shape == (1, 3, 2, 2)


# names, folders, permissions


def test_a_folder_does_not_hide_the_sample_of_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat").mkdir()
    (tmp_path / "dogs").mkdir()
    assert images.load("cat", 8).shape[-1] == 8
    with pytest.raises(ImageError, match="is a folder"):
        images.load("dogs")
    with pytest.raises(ImageError, match="is a folder"):
        images.load(tmp_path / "cat")
    Image.new("RGB", (3, 2)).save(tmp_path / "spring", "PNG")
    assert images.load("spring").shape == (1, 3, 2, 3)


@POSIX
def test_names_that_are_no_utf8_or_hold_line_breaks_are_shown_escaped(tmp_path):
    for name, shown in ((b"\xff\xfe.png", r"\udcff\udcfe.png"), (b"two\nlines\x1b.png", r"two\nlines\x1b.png")):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        with pytest.raises(ImageError) as caught:
            images.load(path)
        assert shown in str(caught.value) and str(caught.value).isprintable() and str(caught.value).encode()
        try:
            images.save(torch.zeros(1, 3, 2, 2), path, {"settings": {"content": str(path)}})
        except ImageError:
            continue  # a file system of UTF-8 alone
        assert images.metadata(path)["settings"]["content"] == str(path) and images.load(path).shape == (1, 3, 2, 2)
    assert str(NstlabError("größer, 大きい")) == "größer, 大きい"


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")

    def denied(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", denied)
    for call in (images.load, images.metadata):
        with pytest.raises(ImageError, match=r"a\.png cannot be read: permission denied; change"):
            call(tmp_path / "a.png")


def test_a_folder_that_may_not_be_searched(tmp_path, monkeypatch):
    stat_of = Path.stat

    def denied(self, **options):
        if self.parent.name == "closed":
            raise PermissionError(13, "Permission denied")
        return stat_of(self, **options)

    (tmp_path / "closed").mkdir()
    monkeypatch.setattr(Path, "stat", denied)
    with pytest.raises(ImageError, match=r"a\.png cannot be read: permission denied"):
        images.load(tmp_path / "closed" / "a.png")
    with pytest.raises(ImageError, match=r"a\.png cannot be written: permission denied"):
        images.writable(tmp_path / "closed" / "a.png")


@POSIX
def test_what_is_no_ordinary_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")  # reading it would wait for ever
    with pytest.raises(ImageError, match="no ordinary file"):
        images.load(tmp_path / "pipe.png")


def test_paths_that_no_system_takes():
    for path in ("a\0b.png", "n" * 5000 + ".png"):
        for call in (images.load, images.writable):
            with pytest.raises(ImageError):
                call(path)


# single values


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3), 3.0, np.float32(3), "3", " 3.0 "])
def test_whole_numbers_of_any_library(value):
    assert check_count("steps", value) == check_seed(value) == 3
    assert type(check_count("steps", value)) is type(check_seed(value)) is int


@pytest.mark.parametrize(
    "value",
    [True, np.True_, torch.tensor(True), 3.5, np.float64(3.5), float("nan"), float("inf"), "3.5", "three", "1e3", "0x3", ""]
    + [None, [3], np.array([3, 4]), torch.tensor([1, 2])],
)
def test_what_is_no_whole_number_is_refused(value):
    for check in (lambda v: check_count("steps", v), check_seed):
        with pytest.raises(SettingError, match="whole number"):
            check(value)


def test_seeds_have_at_most_63_bits():
    assert check_seed(0) == 0 and check_seed(2**63 - 1) == 2**63 - 1
    torch.Generator().manual_seed(check_seed(2**63 - 1))
    for seed in (-1, 2**63, 2**65, np.uint64(2**63)):
        with pytest.raises(SettingError, match="from 0 to"):
            check_seed(seed)


def test_weights_of_any_library():
    for value in (0.5, np.float32(0.5), np.array(0.5), torch.tensor(0.5), "0.5"):
        assert check_weight("style", value) == 0.5 and type(check_weight("style", value)) is float
    for value in (np.array([1.0, 2.0]), torch.ones(2), None, "much", [1], 10**400, np.float32("nan"), -1):
        with pytest.raises(SettingError, match="weight style"):
            check_weight("style", value)
