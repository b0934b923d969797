"""Format "mat": matrices of MATLAB, (x, y) from 1 by its conventions.

A variable of shape (n_points, 2) holds one image; a cell array or a struct array of such matrices, directly or in a field
as in ``frame{i}.loc``, holds many, numbered from 1.
"""

import numpy as np

from skcount.io._annotations._contents import Contents, Format
from skcount.io._matlab import load_mat

_MAX_BYTES = 2**28  # of all variables: more than ten million points


def load_variables(path):
    """Return the variables of a MATLAB file."""
    try:
        variables = load_mat(path.read_bytes(), _MAX_BYTES)
    except ValueError as error:
        raise ValueError(
            f"{path} cannot be read as a MATLAB file: {error}. Save it again, with only the points."
        ) from error
    return {name: value for name, value in variables.items() if not name.startswith("__")}


def read_mat(variables, variable=None):
    """Return the points of a variable, "frame.loc" with fields after points; None means the only one with points."""
    found = {}
    for name, value in variables.items():
        found |= _matrices(value, name)
    if variable is None:
        names = [name for name, matrices in found.items() if _are_points(matrices)]
        if len(names) != 1:
            raise ValueError(
                "exactly one variable must hold matrices of shape (n_points, 2); got "
                f"{', '.join(names) or 'none'}, of the variables {', '.join(found) or 'none'}. Choose one with "
                "`variable`: 'name' or 'name.field'."
            )
        variable = names[0]
    if variable not in found:
        raise ValueError(f"`variable` must be one of {', '.join(found) or 'none'}; got {variable!r}.")
    if not _are_points(found[variable]):
        shapes = ", ".join(sorted({f"{m.shape} of {m.dtype}" for m in found[variable]}))
        raise ValueError(f"{variable!r} must hold numbers of shape (n_points, 2); got {shapes}.")
    points = [np.asarray(m, dtype=np.float64).reshape(-1, 2) for m in found[variable]]
    if len(points) == 1:
        return Contents(points[0])
    images = [(str(number), None) for number in range(1, len(points) + 1)]
    owners = np.repeat(np.arange(len(points)), [len(p) for p in points])
    return Contents(np.concatenate([np.empty((0, 2)), *points]), images, owners, is_numbered=True, first=1)


def _matrices(value, name):
    """Return all matrices in a variable, keyed by its name and its fields' names: one matrix, or one per cell."""
    if not isinstance(value, np.ndarray):
        return {}
    if value.dtype.names:
        return {
            key: matrices
            for field in value.dtype.names
            for key, matrices in _matrices(value[field], f"{name}.{field}").items()
        }
    if value.dtype != object:
        return {name: [value]}
    cells = [_matrices(cell, name) for cell in value.ravel(order="F")]
    # If only some of the cells have a field, it is not known which images its matrices belong to.
    keys = [key for key in cells[0] if all(key in cell for cell in cells)] if cells else []
    return {key: [matrix for cell in cells for matrix in cell[key]] for key in keys}


def _are_points(matrices):
    return all(
        m.dtype.kind in "buif" and (m.size == 0 or (m.ndim == 2 and m.shape[1] == 2)) for m in matrices
    )


MAT = Format("mat", (".mat",), load_variables, read_mat, "xy", 1, ("variable", "first"))
