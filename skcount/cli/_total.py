"""`skcount total`: which images to count by hand, and the total of all."""

import csv
from pathlib import Path

import click

from skcount._files import check_target
from skcount.cli._inputs import force_option, json_option
from skcount.cli._outputs import quantity, refuse_foreign, report, to_csv, write_csv

EPILOG = """\b
Examples:
  skcount predict model.skcount pictures/ --csv counts.csv
  skcount total counts.csv --sample 20 --out sample.csv
  skcount total sample.csv
  skcount total sample.csv --half-width 100
  skcount total sample.csv --extend 15 --out larger.csv

\b
First, --sample draws the images to count by hand. In the file of --out, they have a number in
the column order: count them, all and none else, and write the counts into the column count.
Then the total of all images is estimated from that file."""
COLUMNS = ("predicted", "stratum", "phase", "order")
SHOWN = 10


@click.command(epilog=EPILOG, short_help="Estimate the total of all images from some counted by hand.")
@click.argument("table", metavar="CSV")
@click.option(
    "--sample", type=click.IntRange(min=2), metavar="N", help="Draw so many images to count by hand."
)
@click.option(
    "--extend", type=click.IntRange(min=1), metavar="N", help="Draw so many further images: a second batch."
)
@click.option("--out", metavar="CSV", help="File for the sample, with a column for your counts.")
@click.option(
    "--group", metavar="COLUMN", help="Column with groups: N whole groups are drawn, as all tiles of a photo."
)
@click.option(
    "--random", is_flag=True, help="Draw from all images with the same chance: a pilot for a doubtful model."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Seed of the draw.")
@click.option(
    "--confidence",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.95,
    help="How often the interval holds the true total.",
)
@click.option(
    "--half-width",
    type=click.FloatRange(0, min_open=True),
    metavar="OBJECTS",
    help="Say how many images to count for a total +- so many objects.",
)
@force_option
@json_option
def total(table, sample, extend, out, group, random, seed, confidence, half_width, force, as_json):
    """Estimate the total number of objects in all images, from their predicted counts and some counts by hand.

    CSV has a column image and a column count with the predicted counts, as `skcount predict --csv` writes, or is the
    file of a sample with your counts in the column count.
    """
    rows = _read(table)
    draws = sample is not None or extend is not None
    if draws != (out is not None):
        raise click.UsageError("--out is the file for the sample that --sample or --extend draws: pass both.")
    if sample is not None and extend is not None:
        raise click.UsageError(
            "Pass --sample for a new sample, or --extend for a second batch of one, not both."
        )
    if not draws:
        return _estimate(rows, confidence, half_width, as_json)
    check_target(out)
    refuse_foreign({"--out": out}, force)
    if Path(out).expanduser().resolve() == Path(table).expanduser().resolve():
        raise click.UsageError(f"--out must not be the file that is read; got {out}. Choose another file.")
    if sample is not None:
        drawn, counted = _draw(rows, sample, group, random, seed), {}
    else:
        before, counted = (
            _sample(rows, seed),
            {index: row["count"] for index, row in enumerate(rows) if row["count"].strip()},
        )
        drawn = before.extend(extend)
    _write(out, rows, drawn, counted)
    indices = [index for index in drawn.indices.tolist() if index not in counted]
    names = [rows[index]["image"] for index in indices]
    more = f" and {len(names) - SHOWN} more" if names[SHOWN:] else ""
    text = (
        f"{quantity(len(names), 'image')} to count by hand: {', '.join(names[:SHOWN])}{more}.\nTable: {out}"
    )
    return report(as_json, {"images": names, "out": out}, text)


def _read(table):
    """Return the rows of a table as dicts."""
    path = Path(table).expanduser()
    with open(path, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        rows, columns = list(reader), reader.fieldnames or ()
    for name in ("image", "count"):
        if name not in columns:
            raise ValueError(f"{table} must have the columns image and count; {name} is missing.")
    if not rows:
        raise ValueError(f"{table} has no images.")
    if any(None in row or None in row.values() for row in rows):
        raise ValueError(f"{table} must have the same number of columns in all rows.")
    return rows


def _draw(rows, n, group, random, seed):
    """Return a sample of the images that were predicted."""
    from skcount.evaluation import sample_images

    if "order" in rows[0]:
        raise click.UsageError("The table is a sample already. Estimate the total from it, or pass --extend.")
    if group is not None and group not in rows[0]:
        raise click.UsageError(f"--group must be a column of the table; got {group}.")
    groups = None if group is None else [row[group] for row in rows]
    predicted = [_number(row, "count") for row in rows]
    return sample_images(predicted, n, strata=None if random else "auto", groups=groups, random_state=seed)


def _sample(rows, seed=0):
    """Return the sample that a table describes."""
    import numpy as np

    from skcount.evaluation import ImageSample

    missing = [name for name in COLUMNS if name not in rows[0]]
    if missing:
        raise click.UsageError(
            f"The table has no column {missing[0]}, so it is not a sample. Draw one with --sample 20 --out sample.csv."
        )
    columns = {"predicted": [_number(row, "predicted") for row in rows]}
    columns |= {name: np.array([_whole(row, name) for row in rows]) for name in COLUMNS[1:]}
    if "group" in rows[0]:
        columns["group"] = [row["group"] for row in rows]
    return ImageSample.from_table(columns, seed)


def _estimate(rows, confidence, half_width, as_json):
    """Print the total."""
    from skcount.evaluation import estimate_total, plan_sample

    sample = _sample(rows)
    chosen = set(sample.indices.tolist())
    missing = [rows[index]["image"] for index in sample.indices if not rows[index]["count"].strip()]
    if missing:
        raise ValueError(
            f"{quantity(len(missing), 'image')} of the sample {'has' if len(missing) == 1 else 'have'} no count: "
            f"{', '.join(missing[:SHOWN])}. Count all of them; write 0 where there is no object."
        )
    others = [row["image"] for index, row in enumerate(rows) if index not in chosen and row["count"].strip()]
    if others:
        raise ValueError(
            f"{', '.join(others[:SHOWN])} have a count and are not in the sample. Counts of images that you chose yourself "
            "would bias the total: leave them out."
        )
    result = estimate_total(
        sample, [_number(rows[index], "count") for index in sample.indices], confidence=confidence
    )
    low, high = result.interval
    text = [
        f"{result.total:.0f} objects in {quantity(result.n_images, 'image')}.",
        f"{100 * confidence:.4g} % interval: {low:.0f} to {high:.0f} (standard error {result.standard_error:.1f}).",
    ]
    if result.hand_counts is not result:
        hand = result.hand_counts
        text.append(
            f"From the {quantity(result.n_counted, 'count')} by hand alone: {hand.total:.0f}, {hand.interval[0]:.0f} to "
            f"{hand.interval[1]:.0f}."
        )
    plan = None
    if half_width is not None:
        plan = plan_sample(result, half_width)
        more = plan - len(sample.drawn)
        if not more:
            text.append("The interval is narrow enough.")
        elif sample.n_phases == 1:
            text.append(f"For +- {half_width:g} objects, draw {more} more: --extend {more}.")
        else:
            text.append(f"For +- {half_width:g} objects, draw a new sample: --sample {plan}.")
    values = {
        "total": result.total,
        "standard_error": result.standard_error,
        "interval": [low, high],
        "confidence": confidence,
        "method": result.method,
        "n_counted": result.n_counted,
        "n_images": result.n_images,
        "hand_counts": {"total": result.hand_counts.total, "interval": list(result.hand_counts.interval)},
        "n_planned": plan,
    }
    report(as_json, values, "\n".join(text))


def _write(out, rows, sample, counted):
    """Write the design, with an empty column for the counts."""
    table = sample.to_table()
    names = [name for name in table if name != "image"]
    lines = [
        [rows[index]["image"], *values, counted.get(index, "")]
        for index, values in enumerate(zip(*(table[name].tolist() for name in names), strict=True))
    ]
    write_csv(out, to_csv(["image", *names, "count"], lines))


def _whole(row, name):
    """Return a whole number of a row."""
    value = _number(row, name)
    if not value.is_integer():
        raise ValueError(f"The column {name} must have whole numbers; {row['image']} has {row[name]!r}.")
    return int(value)


def _number(row, name):
    """Return a number of a row."""
    try:
        return float(row[name])
    except ValueError as error:
        raise ValueError(
            f"The column {name} must have a number for each image; {row['image']} has {row[name]!r}."
        ) from error
