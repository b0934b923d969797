"""A table of columns, which becomes a frame of pandas, a CSV file or HTML."""

import csv
import math
from collections.abc import Mapping
from html import escape

import numpy as np

from skcount._files import check_target, replacing
from skcount._optional import import_optional

__all__ = ["Table"]


class Table(Mapping):
    """Columns of equal length: a mapping of their names to arrays.

    Parameters
    ----------
    columns : dict of str to array-like of shape (n_rows,)
        The columns, in their order.

    Examples
    --------
    >>> from skcount.evaluation import Table
    >>> table = Table({"image": [0, 1], "count": [12.25, 7.0]})
    >>> table["count"]
    array([12.25,  7.  ])
    >>> print(table)
    image  count
        0  12.25
        1      7
    """

    def __init__(self, columns):
        self._columns = {name: np.asarray(values) for name, values in columns.items()}
        if len({len(values) for values in self._columns.values()}) > 1:
            raise ValueError("All columns must have the same length.")

    def __getitem__(self, name):
        return self._columns[name]

    def __iter__(self):
        return iter(self._columns)

    def __len__(self):
        """Return the number of columns."""
        return len(self._columns)

    @property
    def n_rows(self):
        """Return the number of rows."""
        return len(next(iter(self._columns.values()), ()))

    def rows(self):
        """Yield each row as a tuple.

        Yields
        ------
        row : tuple
            One value of each column.
        """
        yield from zip(*(values.tolist() for values in self._columns.values()), strict=True)

    def to_frame(self):
        """Return the table as a frame of pandas.

        Returns
        -------
        pandas.DataFrame
            The columns.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        pandas = import_optional("pandas", "A frame", "evaluation")
        return pandas.DataFrame(self._columns)

    def to_csv(self, path):
        """Write the table to a CSV file, whole or not at all.

        Parameters
        ----------
        path : str or path-like
            The file; it is replaced if it exists.
        """
        with (
            replacing(check_target(path)) as temporary,
            open(temporary, "w", encoding="utf-8", newline="") as file,
        ):
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(self._columns)
            writer.writerows(self.rows())

    def __str__(self):
        lines = [list(self._columns), *([_shown(value) for value in row] for row in self.rows())]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(text.rjust(width) for text, width in zip(line, widths, strict=True)) for line in lines
        )

    def __repr__(self):
        return f"<Table: {self.n_rows} rows of {', '.join(self._columns)}>"

    def _repr_html_(self):
        lines = ["".join(f"<th>{escape(name)}</th>" for name in self._columns)]
        lines += ["".join(f"<td>{escape(_shown(value))}</td>" for value in row) for row in self.rows()]
        return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _shown(value):
    """Return a value as short text."""
    if not isinstance(value, float):
        return str(value)
    if math.isnan(value):
        return "-"
    return "0" if abs(value) < 1e-12 else f"{value:.4g}"  # no rounding error
