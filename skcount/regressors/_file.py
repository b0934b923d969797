"""One file for a tree of plain values and arrays: safetensors, JSON and a digest over every byte.

The file is a safetensors file, which other tools open: the arrays are its tensors, all else is a JSON text in its
metadata, and so is the SHA-256 of the whole file, computed with zeros in the digest's own place. Nothing in it is code.

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

# Grows with every change that an older skcount could not read.
FORMAT = 1
# The largest header that safetensors itself takes, in bytes.
MAX_HEADER = 100_000_000
# Where the digest is: in a JSON text inside a JSON text.
_DIGEST = re.compile(rb'\\"sha256\\":\\"([0-9a-f]{64})\\"')
_ZEROS = b"0" * 64
_NUMERIC = "biuf"


class NotPlainError(TypeError):
    """Something is neither a plain value nor an array, and cannot be kept without code."""


def write(path, tree, kind):
    """Write a tree to a file, whole or not at all.

    Parameters
    ----------
    path : pathlib.Path
        What `check_target` returned.
    tree : dict
        Plain values and arrays.
    kind : str
        What the file is.

    Raises
    ------
    NotPlainError
        If the tree holds anything else. No file is written then.
    """
    content = pack(tree, kind)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def read(path, kind):
    """Read a file that `write` wrote.

    Parameters
    ----------
    path : str or path-like
        The file.
    kind : str
        What the file has to be.

    Returns
    -------
    dict
        The tree.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is damaged, of another kind, from a later version, or no file of skcount's at all.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path}.")
    if not path.is_file():
        raise ValueError(f"{path} is no regular file; expected one that skcount wrote.")
    with open(path, "rb") as file:
        # What does not begin as it should is not read any further: it may be of any size.
        head = file.read(8)
        n_header = int.from_bytes(head, "little")
        header = file.read(n_header if n_header <= MAX_HEADER else 16)
        _check_header(head, header, path)
        return unpack(head + header + file.read(), kind, path)


def pack(tree, kind):
    """Turn a tree into the bytes of a file.

    Parameters
    ----------
    tree : dict
        None, numbers, text, lists, tuples, dicts and arrays of numbers or text.
    kind : str
        What the file is.

    Returns
    -------
    bytes
        The same for the same tree.

    Raises
    ------
    NotPlainError
        If the tree holds anything else.
    """
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
    """Turn the bytes of a file into a tree.

    Parameters
    ----------
    content : bytes
        The whole file.
    kind : str
        What it has to be.
    name : str or path-like
        What to call it in messages.

    Returns
    -------
    dict
        The tree that was packed.

    Raises
    ------
    ValueError
        If it is anything else.
    """
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
            f"{name} is damaged or incomplete: its digest is not that of its {len(content)} bytes. Copy it again from "
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
            f"formats up to {FORMAT}; expected an older file, or a newer skcount: upgrade it."
        )
    if found_kind != kind:
        raise ValueError(f"{name} is a {found_kind} of skcount's; expected a {kind}.")
    try:
        return decode(about["tree"], load_tensors(content))
    except (
        Exception
    ) as error:  # whoever made this file knew how to compute its digest, and may have put anything in it
        raise _is_foreign(name) from error


def encode(value, arrays, where="tree"):
    """Write a value in terms of JSON, and its arrays beside it.

    Parameters
    ----------
    value : object
        What to write.
    arrays : dict
        Gets the arrays, by names that the JSON refers to.
    where : str, default="tree"
        What to call the value.

    Returns
    -------
    object
        What `json.dumps` takes.

    Raises
    ------
    NotPlainError
        If it can only be kept as code.
    """
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
    """Undo `encode`.

    Parameters
    ----------
    plain : object
        What `json.loads` returned.
    arrays : dict
        The arrays by name.

    Returns
    -------
    object
        The value.
    """
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
    """Return where the digest is in the header; refuse what cannot be a file of skcount's."""
    found = _DIGEST.search(header)
    if found:
        return found.start(1)
    if not head + header:
        raise ValueError(f"{name} is empty; expected a file that skcount wrote.")
    if header.startswith(b'{"__metadata__":{"skcount":'):
        raise ValueError(
            f"{name} is damaged or incomplete: there is no digest in it. Copy it again from where it was written, or fit "
            "again."
        )
    raise _is_foreign(name, head)


def _is_foreign(name, head=b""):
    what = ""
    if head.startswith((b"\x80", b"PK")):
        what = " It looks like a pickle or a zip file (.pkl, .pt, .npz, .skops), which may hold code: it was not opened."
    return ValueError(f"{name} is no file that skcount wrote; expected one of its own.{what}")
