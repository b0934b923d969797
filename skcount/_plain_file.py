"""One file for a tree of plain values and arrays: safetensors, JSON and a digest over every byte.

The file is a safetensors file, which other tools can open. Its tensors are the arrays. Its metadata are a JSON text
with all other values and the SHA-256 of the whole file, computed with zeros in place of the digest. The file contains
no code.

>>> content = pack({"name": "U-Net", "sizes": (3, 3), "weights": np.zeros(4)}, "example")
>>> unpack(content, "example", "a file")
{'name': 'U-Net', 'sizes': (3, 3), 'weights': array([0., 0., 0., 0.])}
"""

import json
import math
import platform
import re
from hashlib import sha256
from pathlib import Path

import numpy as np
import sklearn
import torch
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

import skcount
from skcount._files import replacing

# Increase this with every change that older versions cannot read.
FORMAT = 1
# The largest header that safetensors itself accepts, in bytes.
MAX_HEADER = 100_000_000
# The digest is in a JSON text inside another JSON text, so its quotes are escaped.
_DIGEST = re.compile(rb'\\"sha256\\":\\"([0-9a-f]{64})\\"')
_ZEROS = b"0" * 64
_NUMERIC = "biuf"


class NotPlainError(TypeError):
    """Raised if a value is neither plain nor an array, so that it cannot be stored without code."""


def write(path, tree, kind):
    """Write a tree of plain values and arrays to a file completely or not at all; raise NotPlainError for others."""
    content = pack(tree, kind)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def read(path, kind):
    """Return the tree in a file that `write` wrote; raise ValueError if it is damaged, foreign or of another kind."""
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    if not path.is_file():
        raise ValueError(f"{path} is not a regular file; expected one that skcount wrote.")
    with open(path, "rb") as file:
        # A file without the right beginning is not read further: it may have any size.
        head = file.read(8)
        n_header = int.from_bytes(head, "little")
        header = file.read(n_header if n_header <= MAX_HEADER else 16)
        _check_header(head, header, path)
        return unpack(head + header + file.read(), kind, path)


def pack(tree, kind):
    """Return the bytes of a file for a tree; equal trees give equal bytes."""
    arrays = {}
    plain = encode(tree, arrays)
    versions = {
        "skcount": skcount.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    versions |= {"numpy": np.__version__, "scikit-learn": sklearn.__version__}
    header = {"sha256": _ZEROS.decode(), "kind": kind, "format": FORMAT, "versions": versions, "tree": plain}
    content = save_tensors(arrays, metadata={"skcount": json.dumps(header, separators=(",", ":"))})
    start = _DIGEST.search(content).start(1)
    return b"".join([content[:start], sha256(content).hexdigest().encode(), content[start + len(_ZEROS) :]])


def unpack(content, kind, name):
    """Return the tree in the bytes of a file; `name` is the file's name in messages."""
    n_header = int.from_bytes(content[:8], "little")
    header = content[8 : 8 + n_header]
    start = _check_header(content[:8], header, name) + 8
    digest = content[start : start + len(_ZEROS)]
    rest = (content[:start], _ZEROS, content[start + len(_ZEROS) :])
    found = sha256()
    for part in rest:
        found.update(part)
    if found.hexdigest().encode() != digest:
        raise ValueError(
            f"{name} is damaged or incomplete: its digest does not match its {len(content)} bytes. Copy it again from "
            "where it was written, or fit again."
        )
    try:
        about = json.loads(json.loads(header)["__metadata__"]["skcount"])
        written_as, version = int(about["format"]), str(about["versions"]["skcount"])
        found_kind = str(about["kind"])
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _is_foreign(name) from error
    if written_as > FORMAT:
        raise ValueError(
            f"{name} was written by skcount {version} in format {written_as}, and this skcount {skcount.__version__} reads "
            f"formats up to {FORMAT}. Upgrade skcount."
        )
    if found_kind != kind:
        raise ValueError(f"{name} is a {found_kind} of skcount; expected a {kind}.")
    try:
        return decode(about["tree"], load_tensors(content))
    except Exception as error:  # anyone can compute a digest, so the file may contain anything
        raise _is_foreign(name) from error


def encode(value, arrays, where="tree"):
    """Return a value as JSON types, and put its arrays into the dict `arrays`; messages call the value `where`."""
    if isinstance(value, np.generic) and value.dtype.kind in _NUMERIC + "U":
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else {"!float": str(value)}
    if isinstance(value, np.ndarray):
        return _encode_array(value, arrays, where)
    if isinstance(value, np.random.RandomState):
        return {"!random_state": encode(value.get_state(), arrays, where)}
    if isinstance(value, list | tuple):
        parts = [encode(part, arrays, f"{where}.{i}") for i, part in enumerate(value)]
        return parts if isinstance(value, list) else {"!tuple": parts}
    if isinstance(value, dict):
        items = [(k, encode(part, arrays, f"{where}.{k}")) for k, part in value.items()]
        if all(isinstance(k, str) and not k.startswith("!") for k in value):
            return dict(items)
        return {"!dict": [[encode(k, arrays, where), part] for k, part in items]}
    raise NotPlainError(f"{where} is a {type(value).__name__}")


def _encode_array(array, arrays, where):
    if array.dtype.kind in "OU" and all(isinstance(entry, str) for entry in array.flat):
        return {"!text": array.tolist()}
    if array.dtype.kind not in _NUMERIC or array.dtype.itemsize > 8:
        raise NotPlainError(f"{where} is an array of {array.dtype}")
    name = where.removeprefix("tree.")
    while name in arrays:
        name += "_"
    arrays[name] = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    return {"!array": name}


def decode(plain, arrays):
    """Return the value that `encode` wrote, given what `json.loads` returned and the arrays by name."""
    if isinstance(plain, list):
        return [decode(part, arrays) for part in plain]
    if not isinstance(plain, dict):
        return plain
    tag = next(iter(plain), "")
    if not tag.startswith("!"):
        return {name: decode(part, arrays) for name, part in plain.items()}
    return _DECODERS[tag](plain[tag], arrays)


def _decode_random_state(plain, arrays):
    random_state = np.random.RandomState()
    random_state.set_state(decode(plain, arrays))
    return random_state


_DECODERS = {
    "!float": lambda text, _: float(text),
    "!array": lambda name, arrays: arrays[name],
    "!text": lambda entries, _: np.array(entries, dtype=object),
    "!tuple": lambda parts, arrays: tuple(decode(parts, arrays)),
    "!dict": lambda items, arrays: {decode(k, arrays): decode(part, arrays) for k, part in items},
    "!random_state": _decode_random_state,
}


def _check_header(head, header, name):
    """Return the position of the digest in the header; reject a file that skcount cannot have written."""
    found = _DIGEST.search(header)
    if found:
        return found.start(1)
    if not head + header:
        raise ValueError(f"{name} is empty; expected a file that skcount wrote.")
    if header.startswith(b'{"__metadata__":{"skcount":'):
        raise ValueError(
            f"{name} is damaged or incomplete: it contains no digest. Copy it again from where it was written, or fit "
            "again."
        )
    raise _is_foreign(name, head)


def _is_foreign(name, head=b""):
    what = ""
    if head.startswith((b"\x80", b"PK")):
        what = " It looks like a pickle or a zip file (.pkl, .pt, .npz, .skops), which may hold code. It was not read."
    return ValueError(f"{name} is not a file that skcount wrote.{what}")
