"""Paths -> contents: tables, JSON and XML, read so that an untrusted file can do no harm."""

import csv
import json
import math
import re
import reprlib
from io import StringIO
from typing import NamedTuple

import numpy as np

from skcount._optional import import_optional

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)


# --- Tables ------------------------------------------------------------------------------------------------


class Table(NamedTuple):
    """The cells of a table, without empty rows. `lines` are the lines of the file on which the rows end."""

    header: list | None  # None if the first row holds numbers only
    rows: list
    lines: list
    delimiter: str

    @property
    def n_columns(self):
        """Number of columns; 0 for an empty file."""
        return len(self.header or next(iter(self.rows), ()))

    def name(self, column):
        """Return the name of a column, its position if it has none or another one has the same; None for None."""
        if column is None:
            return None
        name = self.header[column] if self.header else ""
        return name if name and self.header.count(name) == 1 else str(column)

    def describe(self):
        """Return the names of the columns, as messages show them."""
        if self.header is None:
            return f"{self.n_columns} columns without names"
        return f"the columns {', '.join(map(repr, self.header))}"

    def numbers(self, columns):
        """Return the numbers in some columns, (n_rows, n_columns); commas are decimal unless they separate cells."""
        cells = [[row[column] for column in columns] for row in self.rows]
        flat = [cell for row in cells for cell in row]
        if any("," in cell for cell in flat):
            if self.delimiter == "," or any("." in cell for cell in flat):
                line = next(n for n, row in zip(self.lines, cells, strict=True) if any("," in c for c in row))
                raise ValueError(
                    f"line {line}: a number has a comma, but commas separate cells or other numbers have a point. It "
                    "may be a decimal comma or a thousands separator. Export the table with decimal points."
                )
            cells = [[cell.replace(",", ".") for cell in row] for row in cells]
        for line, row in zip(self.lines, cells, strict=True):
            for column, cell in zip(columns, row, strict=True):
                if not _NUMBER.fullmatch(cell) or not math.isfinite(float(cell)):
                    name = repr(self.header[column]) if self.header else column
                    raise ValueError(
                        f"line {line}: column {name} must be a finite number; got {cell!r}. Correct or remove the row."
                    )
        return np.array([[float(cell) for cell in row] for row in cells]).reshape(len(cells), len(columns))


def load_table(path):
    """Read a table with tabs, semicolons or commas, in UTF-8, UTF-16 or the Windows encoding of western Europe.

    A .txt file may be empty, or separate its numbers by blanks.
    """
    text = _decode(path)
    if not text.strip():
        if path.suffix.lower() == ".txt":
            return Table(None, [], [], " ")
        raise ValueError(
            f"{path} is empty; expected a table with a row of column names, even if the image has no points."
        )
    first, _, rest = text.partition("\n")
    n_skipped = 0
    if re.fullmatch(r"sep=.\s*", first, re.IGNORECASE):  # tells Excel the delimiter
        delimiter, text, n_skipped = first[4], rest, 1
    else:
        delimiter = _find_delimiter(text, path)
    rows, lines = _split_rows(text, delimiter, path)
    lines = [line + n_skipped for line in lines]
    if not rows:
        raise ValueError(f"{path} has only empty cells; expected at least a row of column names.")
    for line, row in zip(lines, rows, strict=True):
        if len(row) != len(rows[0]):
            raise ValueError(
                f"{path}, line {line} must have {len(rows[0])} cells, like the first row; got {len(row)}."
            )
    if all(_NUMBER.fullmatch(cell.replace(",", ".")) for cell in rows[0]):
        return Table(None, rows, lines, delimiter)
    return Table(rows[0], rows[1:], lines[1:], delimiter)


def _split_rows(text, delimiter, path):
    """Return the cells of all rows that are not empty, and the lines on which they end."""
    rows, lines = [], []
    if delimiter == " ":
        numbered = [(row.split(), line) for line, row in enumerate(text.splitlines(), start=1)]
    else:
        reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, strict=True)
        numbered = ((row, reader.line_num) for row in reader)
    try:
        for row, line in numbered:
            cells = [cell.strip() for cell in row]
            if any(cells):
                rows.append(cells)
                lines.append(line)
    except csv.Error as error:
        raise ValueError(f"{path} cannot be read as a table: line {reader.line_num}: {error}.") from None
    return rows, lines


def _decode(path):
    content = path.read_bytes()
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))  # Excel calls this "Unicode text"
    for encoding in ["utf-16"] if is_utf16 else ["utf-8-sig", "cp1252"]:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            break
    else:
        raise ValueError(f"{path} is not text; expected a table with commas, semicolons or tabs.")
    return text


def _find_delimiter(text, path):
    line = next(line for line in text.splitlines() if line.strip())
    line = re.sub(r'"[^"]*"', "", line)
    delimiter = max("\t;,", key=line.count)
    if line.count(delimiter):
        return delimiter
    cells = line.split()
    if len(cells) > 1 and all(_NUMBER.fullmatch(cell) for cell in cells):
        return " "
    raise ValueError(
        f"{path} must have at least two columns, separated by commas, semicolons or tabs; got {line.strip()!r:.60}."
    )


# --- JSON --------------------------------------------------------------------------------------------------


def load_json(path):
    """Read a JSON object or array."""
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}. Export it again.") from error
    if not isinstance(content, dict | list):
        raise ValueError(f"{path} holds a JSON {type(content).__name__}; expected an object or an array.")
    return content


def has_lists(content, *names):
    """Return whether a content is an object with lists of these names."""
    return isinstance(content, dict) and all(isinstance(content.get(name), list) for name in names)


def as_dict(value, what):
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} must be an object; got {shown(value)}.")
    return value


def as_list(value, what):
    """Return a JSON array; an absent one is empty."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{what} must be a list; got {shown(value)}.")
    return value


def as_field(value):
    """Return a value of a JSON file as the text of a field; an absent one is empty."""
    if value is None:
        return ""
    return str(value) if isinstance(value, str | int | float) else shown(value)


def as_fields(rows):
    """Return for each name that any of the rows (dict) has the values of all rows, as text."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [as_field(row.get(name)) for row in rows] for name in names}


def as_pair(values, what):
    """Return two numbers of a JSON file as a list of float."""
    # The bound excludes JSON integers that are too large for a float. NaN is not below it.
    is_pair = isinstance(values, list | tuple) and len(values) == 2
    if is_pair and all(type(value) in {int, float} and abs(value) < 1e15 for value in values):
        return [float(value) for value in values]
    raise ValueError(f"{what} must be two numbers; got {shown(values)}.")


def as_size(height, width):
    """Return the (height, width) that a JSON file gives; None unless both are whole and above 0."""
    is_size = all(type(length) is int and 0 < length < 2**31 for length in (height, width))
    return (height, width) if is_size else None


def shown(value):
    """Return the beginning of a value for a message, even if the value is large or deep."""
    return f"{reprlib.repr(value):.80}"


# --- XML ---------------------------------------------------------------------------------------------------


def load_xml(path):
    """Read the root element of an XML file."""
    # Files are not trusted: reject document types, whose entities could expand or read other files.
    element_tree = import_optional("defusedxml.ElementTree", "Reading XML")
    defusedxml = import_optional("defusedxml", "Reading XML")
    try:
        return element_tree.parse(path, forbid_dtd=True).getroot()
    except defusedxml.DefusedXmlException as error:
        raise ValueError(f"{path} declares a document type; such XML is not read.") from error
    except (element_tree.ParseError, LookupError, ValueError) as error:  # LookupError: an unknown encoding
        raise ValueError(f"{path} is not valid XML: {error}. Export it again.") from error


def as_number(text, what):
    """Return the finite number that a text holds."""
    text = (text or "").strip()
    if not _NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise ValueError(f"{what} must be a finite number; got {text!r:.40}.")
    return float(text)


def as_text_size(height, width):
    """Return the (height, width) that two texts give; None unless both are whole numbers above 0."""
    texts = [(text or "").strip() for text in (height, width)]
    return as_size(*(int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else None for text in texts))
