"""Text, tables and reports."""

import csv
import glob
import json
import os
import re
from fnmatch import fnmatch
from io import StringIO
from pathlib import Path, PurePath

import click

from skcount._files import check_target, replacing

# With fewer held-out images, the standard error itself is uncertain.
FEW = 10
# What pictures say in their metadata, and headers of tables with a pattern of their rows.
SOFTWARE = "skcount"
OWN_TABLES = {
    "image,count": r",\d+\.\d$",
    "image,count,error": r",(\d+\.\d,$|,)",
    "image,true,count,error": r",[-+.\deE]+,\d+\.\d,-?\d+\.\d$",
    "image,predicted,stratum,phase,order,count": r",[-+.\deE]+,\d+,[012],\d+,$",
    "image,predicted,group,stratum,phase,order,count": r",[-+.\deE]+,.*,\d+,[012],\d+,$",
    "image,height,width,points,nearest,smallest,near_border,duplicates,outside": r",\d+,\d+,\d+,[\d.]*,[\d.]*,\d+,\d+,\d+$",
}
# Spreadsheets read cells that begin with these as formulas.
PAGE = "<title>skcount report</title>"
FORMULA = re.compile(r"(^|[,;\t])(?=[=+\-@\t\r])")


def to_csv(header, rows):
    """Return a table as CSV that opens in a spreadsheet, with no text that becomes a formula."""
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([[escape(cell) for cell in row] for row in rows])
    return text.getvalue()


def escape(cell):
    """Return a cell that no spreadsheet reads as a formula, also not one that splits lines at semicolons or tabs."""
    return FORMULA.sub(r"\1'", cell) if isinstance(cell, str) else cell


def write_csv(path, table):
    """Write the text of a table to a file."""
    # Excel needs the byte order mark to recognise UTF-8; other programs may not expect it, so plain ASCII has none.
    encoding = "utf-8" if table.isascii() else "utf-8-sig"
    with replacing(check_target(path)) as temporary:
        # Bytes of a name that are not UTF-8 are written as \\udcXX.
        temporary.write_text(table, encoding=encoding, errors="backslashreplace", newline="")


def check_outputs(outputs, paths, data, *models, force):
    """Reject files to write (option -> path or None) that are read in the same run, named by two options, or foreign.

    `paths` are IMAGES and POINTS of the command, and `data` is what was opened from them.
    """
    read = [*models, *getattr(data.images.store, "paths", []), *paths]
    for path in map(Path, paths):
        read += path.iterdir() if path.is_dir() else []
    known = {os.path.realpath(os.path.expanduser(path)): "a file that is read" for path in read}
    for option, path in outputs.items():
        if path is None:
            continue
        target = os.path.realpath(check_target(path))
        if target in known:
            raise click.UsageError(f"{option} must not be {known[target]}; got {path}. Choose another file.")
        known[target] = f"the file of {option}"
    # A checkpoint is read first, and refuses another file.
    refuse_foreign({option: path for option, path in outputs.items() if option != "--checkpoint"}, force)


def refuse_foreign(outputs, force):
    """Reject files to write that exist and that skcount did not write, unless they may be replaced by force."""
    for option, name in outputs.items():
        path = None if name is None else Path(name).expanduser()
        if path is not None and path.is_file() and not (force or _is_own(path)):
            raise click.UsageError(
                f"{name} exists, and skcount did not write it or cannot tell. Pass --force to replace it, or choose another "
                f"file for {option}."
            )


def _is_own(path):
    """Return whether skcount wrote a file: a model, a data set, a picture or a table of counts; or it is empty."""
    with open(path, "rb") as file:
        start = file.read(1 << 20)
    if start.startswith(b"\x89PNG"):
        return b"Software\0" + SOFTWARE.encode() in start[:1000]
    if start.startswith(b"\x89HDF") or b"__metadata__" in start[:100]:  # HDF5 or safetensors
        return SOFTWARE.encode() in start
    if start.startswith(b"<!DOCTYPE html>"):
        return PAGE.encode() in start[:400]
    header, *rows = start.decode("utf-8-sig", errors="replace").splitlines() or [""]
    columns = OWN_TABLES.get(header)
    if columns is None:
        return not start
    # Counts that people write down have no decimals.
    return all(re.search(columns, row) for row in (rows[:-1] if len(start) == 1 << 20 else rows))


def check_folder(folder, images, option="--out", *, recursive=None):
    """Create a folder; reject one of which the next run would count what is written there.

    `images` is a folder, perhaps with its subfolders, or a pattern.
    """
    path, searched = Path(folder).expanduser(), Path(images).expanduser().resolve()
    pattern = os.path.abspath(os.path.expanduser(images))
    written = os.path.abspath(path / "a_overlay.png")
    is_inside = path.resolve().is_relative_to(searched) if recursive else path.resolve() == searched
    if is_inside or (glob.has_magic(images) and _matches(written, pattern)):
        raise ValueError(
            f"{option} must not be a folder of the images; got {folder}: the next run would count what is written there. "
            "Choose another folder."
        )
    path.mkdir(exist_ok=True)
    return path


def _matches(path, pattern):
    """Return whether a pattern of images finds a path; `**` stands for any folders."""
    return fnmatch(path, pattern.replace("**/", "*")) if "**" in pattern else PurePath(path).match(pattern)


def report(as_json, result, text):
    """Print the result as JSON or as text."""
    click.echo(json.dumps(result) if as_json else printable(text))


def printable(text):
    """Write control characters and lone surrogates as escapes, so that no file name or file can command the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def rounded(count):
    """Return a count for a table, with one decimal: the others are noise."""
    return round(count, 1) + 0.0  # no minus before 0


def quantity(number, noun):
    """Return ``1 image``, ``2 images``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def count_errors(true, counts):
    """Return mae, rmse and bias in objects per image, as a dict."""
    from skcount import metrics

    return {
        "mae": metrics.count_mean_absolute_error(true, counts),
        "rmse": metrics.count_root_mean_squared_error(true, counts),
        "bias": metrics.count_bias(true, counts),
    }


def uncertainty(held_out):
    """Return how certain a held-out error is, as a line."""
    n_images, error = held_out["n_images"], held_out["mae_standard_error"]
    if error is None:
        return "  From one image, the uncertainty of the MAE is not known: annotate more."
    few = f" {n_images} images are few: annotate more to be sure." if n_images < FEW else ""
    return f"  Standard error of the model's MAE: {error:.2f}.{few}"


def error_table(errors):
    """Return a table of `count_errors` by name."""
    lines = [f"{'':30}{'MAE':>9}{'RMSE':>9}{'bias':>9}"]
    lines += [f"  {name:28}{e['mae']:9.2f}{e['rmse']:9.2f}{e['bias']:+9.2f}" for name, e in errors.items()]
    return "\n".join(lines)
