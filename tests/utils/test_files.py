"""Files come into the cache whole, checked and once; and archives unpacked."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from graphc.utils import get_file

Served = tuple[Path, str]


def test_a_file_is_downloaded_once(
    served: Served, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, address = served
    (folder / "a.txt").write_text("first")
    assert get_file(origin=f"{address}/a.txt?x=1") == str(cache / "a.txt")
    out = capsys.readouterr().out
    assert out.startswith(f"Downloading data from {address}/a.txt?x=1\n1/1 - 0s - ")
    (folder / "a.txt").write_text("second")
    assert Path(get_file("a.txt", f"{address}/a.txt")).read_text() == "first"
    assert capsys.readouterr().out == ""
    assert Path(get_file("a.txt", f"{address}/a.txt", force_download=True)).read_text() == "second"
    assert [path.name for path in cache.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_checksums(algorithm: str, served: Served, cache: Path) -> None:
    folder, address = served
    (folder / "a").write_bytes(b"right")
    digest = hashlib.new(algorithm, b"right").hexdigest()
    cache.mkdir(parents=True)
    (cache / "a").write_bytes(b"damaged")
    assert Path(get_file("a", f"{address}/a", file_hash=digest)).read_bytes() == b"right"
    (folder / "a").write_bytes(b"wrong")
    get_file("a", f"{address}/a", file_hash=digest)  # not downloaded again
    with pytest.raises(ValueError, match=f"/a gave another file than expected: its {algorithm} is"):
        get_file("b", f"{address}/a", file_hash=digest)
    assert [path.name for path in cache.iterdir()] == ["a"]


def test_what_cannot_be_downloaded_says_what_to_do(served: Served, cache: Path) -> None:
    address = served[1]
    wanted = (
        rf"{cache}/b is not there and cannot be downloaded \(File not found\): "
        rf"get {address}/a by other means and save it as {cache}/b$"
    )
    with pytest.raises(OSError, match=wanted):
        get_file("b", f"{address}/a")
    (cache / "b").write_bytes(b"damaged")
    with pytest.raises(
        OSError, match=rf"{cache}/b is damaged \(its md5 is .*, not 12\) and cannot"
    ):
        get_file("b", f"{address}/a", file_hash="12")
    assert (cache / "b").read_bytes() == b"damaged"  # it may be all the user has


def test_no_server(cache: Path) -> None:
    with pytest.raises(OSError, match=r"is not there and cannot be downloaded \(.*refused"):
        get_file(origin="http://127.0.0.1:9/a")


@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_archives_are_unpacked(kind: str, served: Served, cache: Path) -> None:
    folder, address = served
    if kind == "tar":
        with tarfile.open(folder / "archive", "w:gz") as tar:
            member = tarfile.TarInfo("inner/a")
            member.size = 3
            tar.addfile(member, io.BytesIO(b"abc"))
    else:
        with zipfile.ZipFile(folder / "archive", "w") as zipped:
            zipped.writestr("inner/a", b"abc")
    origin = f"{address}/archive"
    target = get_file("photos", origin, extract=True)
    assert target == str(cache / "photos")
    assert Path(target, "inner", "a").read_bytes() == b"abc"
    assert get_file("p.tar.gz", origin, extract=True) == str(cache / "p_extracted")
    assert sorted(path.name for path in cache.iterdir()) == [
        "p.tar.gz", "p_extracted", "photos", "photos_archive",
    ]  # fmt: skip
    other = {"tar": "zip", "zip": "tar"}[kind]
    with pytest.raises(ValueError, match=f"is damaged, or no archive of format '{other}'"):
        get_file("other", origin, extract=True, archive_format=other)


def test_an_archive_does_not_write_outside_of_its_folder(served: Served, cache: Path) -> None:
    folder, address = served
    with tarfile.open(folder / "archive", "w") as tar:
        tar.addfile(tarfile.TarInfo("../outside"))
    with pytest.raises(tarfile.OutsideDestinationError):
        get_file("photos", f"{address}/archive", untar=True)
    assert [path.name for path in cache.iterdir()] == ["photos_archive"]


def test_arguments(cache: Path) -> None:
    with pytest.raises(ValueError, match="`origin`, the address to download from, is needed"):
        get_file("a")
    with pytest.raises(ValueError, match="expected a file name without folders, got 'a/b'"):
        get_file("a/b", "http://127.0.0.1:9/a")
    with pytest.raises(ValueError, match="must be 'auto', 'sha256' or 'md5', got 'crc'"):
        get_file("a", "http://127.0.0.1:9/a", file_hash="1", hash_algorithm="crc")
