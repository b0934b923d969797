"""`skcount report`: a page with the evidence about a model."""

from math import isfinite

import click

from skcount._files import check_target
from skcount.cli._inputs import (
    force_option,
    json_option,
    model_options,
    open_data,
    open_model,
    reading_options,
    split_model,
)
from skcount.cli._outputs import check_outputs, report

EPILOG = """\b
Examples:
  skcount report model.skcount test_pictures/ test_cells.csv --out report.html
  skcount report --model nuclei pictures/ cells.csv --out report.html

\b
IMAGES and POINTS are as for fit. Use images that the model was not trained on."""


@click.command("report", epilog=EPILOG, short_help="Write a page with the evidence about a model.")
@click.argument("paths", nargs=-1, required=True, metavar="MODEL IMAGES [POINTS]")
@model_options
@click.option("--out", required=True, metavar="HTML", help="File for the page, with its pictures inside.")
@reading_options
@force_option
@json_option
def evidence(paths, model, diameter, out, force, as_json, **reading):
    """Write a page with the errors of a model beside baselines that look at no image, and with what the checks found."""
    model, paths = split_model(model, paths)
    check_target(out)
    data = open_data(paths, reading)
    check_outputs({"--out": out}, paths, data, model, force=force)
    from skcount.evaluation import counting_report

    found = counting_report(open_model(model, diameter), data.images, data.points.inside(data.images))
    found.to_html(out)
    names = list(found.table)[1:]
    rows = {
        score: {name: value if isfinite(value) else None for name, value in zip(names, values, strict=True)}
        for score, *values in found.table.rows()
    }
    result = {"scores": rows, "warnings": found.warnings, "out": out}
    report(as_json, result, f"{found.table}\nPage: {out}")
