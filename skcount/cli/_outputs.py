"""Tables, pictures and reports, each whole or not at all."""

import csv
import json
from io import StringIO

import click

from skcount._files import check_target, replacing

# A spreadsheet takes cells that begin so for formulas.
FORMULAS = ("=", "+", "-", "@", "\t", "\r")


def to_csv(header, rows):
    r"""Make a table that spreadsheets open, in which no name is a formula.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : iterable of sequence
        Text and numbers.

    Returns
    -------
    str
        The table.

    Examples
    --------
    >>> to_csv(["image", "count"], [["=1+1.png", -0.5]])
    "image,count\n'=1+1.png,-0.5\n"
    """
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([[_harmless(cell) for cell in row] for row in rows])
    return text.getvalue()


def _harmless(cell):
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULAS) else cell


def write_csv(path, table):
    """Write a table to a file.

    Parameters
    ----------
    path : str
        The file.
    table : str
        What `to_csv` returned.
    """
    # Excel takes a file for UTF-8 only with a mark, which other programs need not know of.
    encoding = "utf-8" if table.isascii() else "utf-8-sig"
    with replacing(check_target(path)) as temporary:
        temporary.write_text(table, encoding=encoding, newline="")


def report(as_json, result, text):
    """Print what was found.

    Parameters
    ----------
    as_json : bool
        Whether to print a JSON object.
    result : dict
        What it holds.
    text : str
        What is printed otherwise.
    """
    click.echo(json.dumps(result) if as_json else text)


def in_words(number, what):
    """Say how many there are.

    Parameters
    ----------
    number : int
        How many.
    what : str
        Of what, in the singular.

    Returns
    -------
    str
        Both.

    Examples
    --------
    >>> in_words(1, "image"), in_words(20, "image")
    ('1 image', '20 images')
    """
    return f"{number} {what}{'s' * (number != 1)}"


def count_errors(true, counts):
    """Measure counts.

    Parameters
    ----------
    true : PointAnnotations
        Points of each image.
    counts : ndarray of shape (n_images,)
        What was counted.

    Returns
    -------
    dict
        mae, rmse and bias, in objects an image.
    """
    from skcount import metrics

    return {
        "mae": metrics.count_mean_absolute_error(true, counts),
        "rmse": metrics.count_root_mean_squared_error(true, counts),
        "bias": metrics.count_bias(true, counts),
    }


def error_table(rows):
    """Lay out errors in lines.

    Parameters
    ----------
    rows : dict of str to dict
        What `count_errors` returned, by what it is of.

    Returns
    -------
    str
        A line for each, and one above.

    Examples
    --------
    >>> print(error_table({"model": {"mae": 1.5, "rmse": 2, "bias": -0.25}}))
                                        MAE     RMSE     bias
      model                            1.50     2.00    -0.25
    """
    lines = [f"{'':30}{'MAE':>9}{'RMSE':>9}{'bias':>9}"]
    for name, row in rows.items():
        lines.append(f"  {name:28}{row['mae']:9.2f}{row['rmse']:9.2f}{row['bias']:+9.2f}")
    return "\n".join(lines)
