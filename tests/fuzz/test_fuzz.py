"""The law of `readers.py`, without the fuzzer: over the seeds, hundreds of damages of them, and what it once found."""

import random
from pathlib import Path

import pytest

for package in ("PIL", "roifile", "tifffile", "imagecodecs", "defusedxml"):
    pytest.importorskip(package)

from readers import READERS, Reader, UnlawfulError, check_law  # noqa: E402 - it needs them

CRASHES = sorted(path for path in (Path(__file__).parent / "crashes").rglob("*") if path.is_file())
N_DAMAGES = 200

reader_of_any_name = pytest.mark.parametrize("name", READERS)


def damage(content, others, rng):
    """Flip bits, cut, or splice with another file."""
    content = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 8))):
        where, until = sorted(rng.randrange(len(content) + 1) for _ in range(2))
        kind = rng.choice(("flip", "flip", "set", "cut", "end", "repeat", "splice"))
        if kind in {"flip", "set"} and content:
            content[where - 1] = (
                content[where - 1] ^ 1 << rng.randrange(8) if kind == "flip" else rng.choice((0, 255))
            )
        elif kind == "cut":
            del content[where : min(until, where + 16)]
        elif kind == "end":
            del content[until:]
        elif kind == "repeat":
            content[where:where] = content[where : min(until, where + 64)] * rng.randrange(1, 4)
        else:
            other = rng.choice(others)
            content[where:until] = other[where:until]
    return bytes(content)


@reader_of_any_name
def test_most_seeds_are_read(name):
    reader = READERS[name]
    refusals = [check_law(reader, content) for content in reader.make_seeds()]
    assert 2 * refusals.count(None) > len(refusals), refusals


@reader_of_any_name
def test_a_damaged_file_is_read_or_refused_by_its_name(name):
    reader, rng = READERS[name], random.Random(name)  # noqa: S311 - the same damages each time
    contents = reader.make_seeds()
    for _ in range(N_DAMAGES):
        check_law(reader, damage(rng.choice(contents), contents, rng))


@reader_of_any_name
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"\xff" * 1000, b" \n" * 500], ids=["empty", "nul", "ff", "blank"]
)
def test_nothing_and_noise_are_refused(name, content):
    is_legal = name in {"yolo", "jhu"} and not content.strip()  # an image without objects
    assert (check_law(READERS[name], content) is None) == is_legal


@pytest.mark.parametrize("path", CRASHES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_the_fuzzer_once_found_stays_mended(path):
    check_law(READERS[path.parent.name], path.read_bytes())


def raise_key_error(content):
    raise KeyError("given")


def refuse_without_name(content):
    raise ValueError("no")


@pytest.mark.parametrize(
    "read", [raise_key_error, refuse_without_name, lambda content: content.decode("ascii")]
)
def test_the_law_notices_what_breaks_it(read):
    with pytest.raises(UnlawfulError):
        check_law(Reader("one", read, list), b"\xff")


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to see what a process holds")
def test_the_law_notices_a_file_that_is_held_open(tmp_path):
    with pytest.raises(UnlawfulError, match="holds a file"), open(tmp_path / "given.txt", "w"):
        check_law(READERS["png"], b"")
