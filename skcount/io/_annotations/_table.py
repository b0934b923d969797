"""Delimited text -> rows of cells: what all readers of CSV share."""

import csv
import math
import re
from io import StringIO
from typing import NamedTuple

import numpy as np

__all__ = ["Table", "read_numbers", "read_table"]

_DELIMITERS = "\t;,"
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class Table(NamedTuple):
    """Rows of cells.

    Parameters
    ----------
    path : pathlib.Path
        The file.
    header : list of str or None
        Names of the columns; None if the first row holds numbers only.
    rows : list of list of str
        The cells, without those rows that are empty.
    lines : list of int
        The line of the file on which each row ends.
    delimiter : str
        What stands between cells.
    """

    path: object
    header: list | None
    rows: list
    lines: list
    delimiter: str

    def column(self, index):
        """Cells of a column, list of str."""
        return [row[index] for row in self.rows]

    def describe_columns(self):
        """Name the columns, for a message."""
        if self.header is None:
            return f"{len(self.rows[0])} columns without names"
        return f"columns {', '.join(map(repr, self.header))}"


def read_table(path):
    """Read a file of cells between tabs, semicolons or commas.

    Parameters
    ----------
    path : pathlib.Path
        The file: UTF-8 or UTF-16, with or without a byte order mark, or the Windows encoding of western Europe.

    Returns
    -------
    Table
        Its cells.

    Raises
    ------
    ValueError
        If it is empty, no text, of a single column, or its rows are of different lengths.
    """
    text = _decode(path)
    first, _, rest = text.partition("\n")
    if re.fullmatch(r"sep=.\s*", first, re.IGNORECASE):  # how a table tells Excel its delimiter
        delimiter, text = first[4], rest
    else:
        delimiter = _find_delimiter(text, path)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows, lines = [], []
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append(cells)
                lines.append(reader.line_num + (text is rest))
    except csv.Error as error:
        raise ValueError(f"{path} cannot be read as a table: line {reader.line_num}: {error}.") from None
    if not rows:
        raise ValueError(f"{path} has no cell that is not empty; expected at least a row of column names.")
    header = None
    if not all(_NUMBER.fullmatch(cell.replace(",", ".")) for cell in rows[0]):
        header, rows, lines = rows[0], rows[1:], lines[1:]
    _check_lengths(path, len(header or rows[0]), rows, lines)
    return Table(path, header, rows, lines, delimiter)


def read_numbers(table, columns):
    """Read the numbers in some columns.

    Parameters
    ----------
    table : Table
        The table.
    columns : sequence of int
        Which columns.

    Returns
    -------
    ndarray of shape (n_rows, n_columns), float64
        The numbers. A decimal comma is read as one where cells are not separated by commas.

    Raises
    ------
    ValueError
        If a cell is empty or no finite number, or points and commas are mixed.
    """
    cells = [[row[column] for column in columns] for row in table.rows]
    flat = [cell for row in cells for cell in row]
    if any("," in cell for cell in flat):
        if table.delimiter == "," or any("." in cell for cell in flat):
            line = next(
                n for n, row in zip(table.lines, cells, strict=True) if any("," in cell for cell in row)
            )
            raise ValueError(
                f"{table.path}, line {line}: numbers with a comma in a table that has numbers with a point, or commas "
                "between cells; is it a decimal comma, or one of thousands? Export with decimal points."
            )
        cells = [[cell.replace(",", ".") for cell in row] for row in cells]
    for line, row in zip(table.lines, cells, strict=True):
        for column, cell in zip(columns, row, strict=True):
            if not _NUMBER.fullmatch(cell) or not math.isfinite(float(cell)):
                name = repr(table.header[column]) if table.header else column
                raise ValueError(
                    f"{table.path}, line {line}: {cell!r} in column {name} is no finite number; expected a coordinate in "
                    "every row. Correct it, or remove the row; no point is dropped silently."
                )
    return np.array([[float(cell) for cell in row] for row in cells]).reshape(-1, len(columns))


def _decode(path):
    content = path.read_bytes()
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))  # what Excel calls Unicode text
    for encoding in ["utf-16"] if is_utf16 else ["utf-8-sig", "cp1252"]:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            break
    else:
        raise ValueError(f"{path} is no text; expected a table of cells between commas, semicolons or tabs.")
    if not text.strip():
        raise ValueError(
            f"{path} is empty; expected a table with a row of column names. An image without points has that row alone."
        )
    return text


def _find_delimiter(text, path):
    line = next(line for line in text.splitlines() if line.strip())
    line = re.sub(r'"[^"]*"', "", line)
    delimiter = max(_DELIMITERS, key=line.count)
    if not line.count(delimiter):
        raise ValueError(
            f"{path} has a single column, {line.strip()!r:.60}; expected at least two, between commas, semicolons or tabs."
        )
    return delimiter


def _check_lengths(path, length, rows, lines):
    for line, row in zip(lines, rows, strict=True):
        if len(row) != length:
            raise ValueError(
                f"{path}, line {line} has {len(row)} cells; expected {length}, as in the first row."
            )
