"""Read MATLAB files from memory, with a bound on their expanded size; published annotations often use this format."""

import struct
import warnings
import zlib
from io import BytesIO
from math import prod

_HEADER = 128
# Types of elements, and classes of matrices that hold others, by their numbers in the file format.
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _FUNCTION, _OPAQUE = 1, 2, 3, 4, 5, 16, 17
_NUMBERS = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18}  # types of elements that hold numbers or text
_MAX_DEPTH = 50
_MAX_MATRICES = 1_000_000


def load_mat(content, max_bytes):
    """Read the variables of a MATLAB file, as scipy.io.loadmat does; all together may expand to `max_bytes`."""
    from scipy.io import loadmat
    from scipy.io.matlab import matfile_version

    try:
        if matfile_version(BytesIO(content))[0] == 1:  # version 5; version 4 is never compressed
            _check_elements(content, max_bytes)
        with warnings.catch_warnings():
            # For instance, a variable occurs twice, so it is not known which one is meant.
            warnings.simplefilter("error", UserWarning)
            warnings.simplefilter("error", RuntimeWarning)
            return loadmat(BytesIO(content))
    except NotImplementedError:
        raise ValueError("it is of version 7.3; in MATLAB, save it by save(..., '-v7')") from None
    except Exception as error:  # scipy has no base class for the errors that damaged files cause
        raise ValueError(str(error) or type(error).__name__) from error


def _check_elements(content, max_bytes):
    """Reject variables that would expand beyond a limit or that are nested too deeply."""
    order = "<" if content[126:128] == b"IM" else ">"
    position, n_matrices = _HEADER, 0
    while position + 8 <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, position)
        element, start = content, position
        position += 8 + size
        if kind == _COMPRESSED:
            stream = zlib.decompressobj()
            element, start = stream.decompress(memoryview(content)[start + 8 : position], max_bytes + 1), 0
            max_bytes -= len(element)
            if max_bytes < 0:
                raise ValueError("it expands beyond any file of these data")
            if not stream.eof:  # the checksum is compared at the end
                raise ValueError("its compressed data have no end")
        n_matrices += _Nesting(element, start, order).count(_MAX_MATRICES - n_matrices)


class _Nesting:
    """Parse a variable as scipy does, which crashes on unknown types and on matrices that are nested too deeply."""

    def __init__(self, content, position, order):
        self._content, self._position, self._order = content, position, order

    def count(self, most):
        """Return the number of matrices; reject more than `most` of them, or a nesting that is too deep."""
        pending, n_matrices = [1], 0  # how many are still to come on each level
        while pending:
            if pending[-1] == 0:
                pending.pop()
                continue
            pending[-1] -= 1
            n_matrices += 1
            n_inside = self._enter()
            # Each takes at least 8 bytes.
            if n_matrices > most or n_inside > len(self._content) // 8:
                raise ValueError("it holds more matrices than any file of points")
            if n_inside:
                pending.append(n_inside)
            if len(pending) > _MAX_DEPTH:
                raise ValueError(f"it has matrices in matrices, deeper than {_MAX_DEPTH}")
        return n_matrices

    def _enter(self):
        """Skip a matrix, or move to the first one in it; return the number of matrices in it."""
        kind, size = self._integers(2)
        if kind != _MATRIX or size == 0:
            return 0  # scipy rejects the former, and the latter is empty
        _, _, flags, _ = self._integers(4)
        kind = flags & 0xFF
        if kind == _OPAQUE:
            for _ in range(3):
                self._skip()
            return 1
        dims = self._skip()
        if not 8 <= len(dims) <= 128:
            raise ValueError(f"it has a matrix of {len(dims) // 4} dimensions")
        self._skip()
        n_cells = prod(struct.unpack(f"{self._order}{len(dims) // 4}i", dims[: len(dims) // 4 * 4]))
        if kind in {_STRUCT, _OBJECT}:
            if kind == _OBJECT:
                self._skip()
            (length,) = struct.unpack(f"{self._order}i", self._skip())
            n_cells *= len(self._skip()) // length
        if kind in {_CELL, _STRUCT, _OBJECT}:
            return max(n_cells, 0)
        if kind == _FUNCTION:
            return 1
        n_parts = 3 if kind == _SPARSE else 1
        for _ in range(n_parts + (kind != _CHAR and flags >> 11 & 1)):  # complex: of two parts
            self._skip()
        return 0

    def _integers(self, number):
        start, self._position = self._position, self._position + 4 * number
        return struct.unpack_from(f"{self._order}{number}I", self._content, start)

    def _skip(self):
        """Skip an element, and return its content."""
        (kind,) = self._integers(1)
        if kind >> 16:  # a small element, with its size in the upper half of the kind
            size, room = kind >> 16, 4
        else:
            (size,) = self._integers(1)
            room = size + -size % 8
        if kind & 0xFFFF not in _NUMBERS:
            raise ValueError(f"it has an element of the unknown type {kind & 0xFFFF}")
        start, self._position = self._position, self._position + room
        return self._content[start : start + size]
