"""MATLAB files from memory, with a bound on what they expand to: published annotations come in them."""

import struct
import zlib
from io import BytesIO

__all__ = ["load_mat"]

_COMPRESSED = 15  # the type of an element that is a whole compressed variable
_HEADER = 128


def load_mat(content, max_bytes):
    """Read the variables of a MATLAB file of version 5.

    Parameters
    ----------
    content : bytes
        The file.
    max_bytes : int
        The most that its variables may hold together when uncompressed, in bytes.

    Returns
    -------
    dict of str to ndarray
        The variables, as :func:`scipy.io.loadmat` gives them.

    Raises
    ------
    ValueError
        If it is no such file, is damaged, or holds more.

    Examples
    --------
    >>> from io import BytesIO
    >>> from scipy.io import savemat
    >>> file = BytesIO()
    >>> savemat(file, {"count": [1, 2]}, do_compression=True)
    >>> load_mat(file.getvalue(), max_bytes=1000)["count"]
    array([[1, 2]])
    """
    from scipy.io import loadmat

    if not content.startswith(b"MATLAB 5.0"):
        raise ValueError(f"it begins with {content[:10]!r}; expected a MATLAB file of version 5")
    try:
        _check_expansion(content, max_bytes)
        return loadmat(BytesIO(content))
    except Exception as error:  # scipy has no base class for what a damaged file makes it raise
        raise ValueError(f"it cannot be read as a MATLAB file ({error})") from error


def _check_expansion(content, max_bytes):
    """Refuse a file whose compressed variables expand beyond a limit, without expanding them further."""
    order = "<" if content[126:128] == b"IM" else ">"
    position = _HEADER
    while position + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, position)
        position += 8
        if kind == _COMPRESSED:
            compressed = content[position : position + size]
            max_bytes -= len(zlib.decompressobj().decompress(compressed, max_bytes + 1))
            if max_bytes < 0:
                raise ValueError("it expands beyond any file of these data")
        position += size
