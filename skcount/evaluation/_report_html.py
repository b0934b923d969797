"""A counting report as one HTML page, with its pictures inside."""

from base64 import b64encode
from html import escape
from io import BytesIO

import numpy as np

from skcount._files import check_target, replacing
from skcount.plotting import CountErrorDisplay

STYLE = """
body { font-family: system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
body { color: #222; background: #fff }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem }
caption { text-align: left; font-weight: 600; padding: 0.3rem 0 }
th, td { padding: 0.25rem 0.8rem; border-bottom: 1px solid #ddd; text-align: right; font-variant-numeric: tabular-nums }
th:first-child, td:first-child { text-align: left }
.warning { border-left: 4px solid #D55E00; background: #fdf3ec; padding: 0.5rem 0.8rem; margin: 0.5rem 0 }
figure { display: inline-block; margin: 0 1rem 1rem 0 } img { max-width: 28rem; width: 100% }
"""


def write_html(report, path=None):
    """Return the page of a report, and write it to a file if there is a path."""
    path = None if path is None else check_target(path)
    page = _page(report)
    if path is not None:
        with replacing(path) as temporary:
            temporary.write_text(page, encoding="utf-8")
    return page


def _page(report):
    """Return the page."""
    n_images, n_folds = report.counts.n_rows, len(np.unique(report.counts["fold"]))
    tested = f"{n_images} images" + (f" in {n_folds} folds" if n_folds > 1 else "")
    low, high = report.agreement["limits"]
    body = [
        f"<h1>Counting report</h1><p>{tested}, {report.counts['true'].sum():.0f} objects.</p>",
        *(f'<p class="warning"><strong>Warning.</strong> {escape(text)}</p>' for text in report.warnings),
        _table(report.table, "Scores, in objects per image unless stated; baselines look at no image"),
        *(_figure(report, *kind) for kind in _KINDS),
        f"<p>Mean difference of predicted and true count {report.agreement['mean_difference']:+.2f} objects; 95 % of "
        f"differences are expected from {low:+.2f} to {high:+.2f} (limits of agreement).</p>",
        _table(report.by_count, "Errors by predicted count"),
    ]
    if report.localization is not None:
        body.append(_table(report.localization, "Points matched with true points, by the radius in pixels"))
    if report.raters is not None:
        body.append(_table(report.raters, "Differences between raters, in objects per image"))
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>skcount report</title>'
        f"<style>{STYLE}</style></head><body>{''.join(body)}</body></html>"
    )


_KINDS = (
    ("actual_vs_predicted", "True against predicted counts"),
    ("bland_altman", "Difference of predicted and true count against their mean"),
)


def _table(table, caption):
    """Return a table with a caption."""
    return table._repr_html_().replace("<table>", f"<table><caption>{escape(caption)}</caption>", 1)


def _figure(report, kind, caption):
    """Return a picture as part of the page."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 4.0), layout="constrained")
    CountErrorDisplay.from_predictions(
        report.counts["true"], report.counts["predicted"], kind=kind, ax=figure.subplots()
    )
    content = BytesIO()
    figure.savefig(content, format="png", dpi=150, metadata={"Software": None})
    data = b64encode(content.getvalue()).decode()
    return f'<figure><img alt="{escape(caption)}" src="data:image/png;base64,{data}"></figure>'
