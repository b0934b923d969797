"""Format "mat": matrices of MATLAB, by its habits (x, y) from 1.

A variable of shape (n_points, 2) holds one image; a cell array or a struct array of such matrices, directly or
in a field as in ``frame{i}.loc``, holds many, numbered from 1.
"""

import numpy as np

from skcount.io._annotations._contents import Contents, ImagePoints, single_image
from skcount.io._matlab import read_variables

__all__ = ["read_mat"]

_MAX_BYTES = 2**28  # of all variables: more than ten million points


def read_mat(path, variable=None):
    """Read points of MATLAB.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    variable : str or None, default=None
        Name of the variable, with fields after points: "frame.loc". None takes the only one that holds points.

    Returns
    -------
    Contents
        Points as the file has them.

    Raises
    ------
    ValueError
        If the file is damaged or of MATLAB 7.3, or there is not exactly one such variable.
    """
    found = {}
    for name, value in _load(path).items():
        found |= _matrices(value, name)
    if variable is None:
        names = [name for name, matrices in found.items() if _are_points(matrices)]
        if len(names) != 1:
            raise ValueError(
                f"{path} has {len(names)} variables that may be points{_listed(names)}; expected one with matrices of shape "
                f"(n_points, 2), among {_listed(found)[2:]}. Choose by variable='name', or 'name.field'."
            )
        variable = names[0]
    if variable not in found:
        raise ValueError(f"{path} has no variable {variable!r}; it has {_listed(found)[2:]}.")
    if not _are_points(found[variable]):
        shapes = ", ".join(sorted({f"{m.shape} of {m.dtype}" for m in found[variable]}))
        raise ValueError(
            f"{path}: {variable!r} has matrices of shape {shapes}; expected numbers of shape (n_points, 2)."
        )
    points = [np.asarray(m, dtype=np.float64).reshape(-1, 2) for m in found[variable]]
    if len(points) == 1:
        return single_image(path, points[0])
    return Contents([ImagePoints(str(number), p) for number, p in enumerate(points, start=1)], first=1)


def _load(path):
    try:
        variables = read_variables(path.read_bytes(), _MAX_BYTES)
    except NotImplementedError:
        raise ValueError(
            f"{path} is of MATLAB's version 7.3; expected an earlier one. In MATLAB, save it by save(..., '-v7')."
        ) from None
    except ValueError as error:
        raise ValueError(
            f"{path} cannot be read as a file of MATLAB: {error}. Save its points anew, and nothing else."
        ) from error
    return {name: value for name, value in variables.items() if not name.startswith("__")}


def _matrices(value, name):
    """All matrices below a variable, by its name and its fields' names: one, or one for each cell."""
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
    # What only some of the cells have cannot be told apart by image.
    return (
        {key: [m for cell in cells for m in cell[key]] for key in cells[0] if all(key in c for c in cells)}
        if cells
        else {}
    )


def _are_points(matrices):
    return all(
        m.dtype.kind in "buif" and (m.size == 0 or (m.ndim == 2 and m.shape[1] == 2)) for m in matrices
    )


def _listed(names):
    return f": {', '.join(names)}" if names else ""
