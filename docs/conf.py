"""Configuration of the documentation site."""

import inspect
import os
from pathlib import Path

import skcount

os.environ.setdefault("OMP_NUM_THREADS", "2")

project = "skcount"
author = "the skcount developers"
copyright = "the skcount developers"
version = release = skcount.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
autosummary_generate = True
toc_object_entries_show_parents = "hide"  # names of methods that are not cut beside a page
templates_path = ["_templates"]
numpydoc_show_class_members = False
exclude_patterns = [
    "_build",
    "auto_examples/**/*.ipynb",
    "auto_examples/**/*.py",
    "auto_examples/**/*.md5",
]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 2
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True
html_theme = "pydata_sphinx_theme"
html_title = "skcount"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["skcount.css"]
html_sidebars = {
    "index": [],
    "install": [],
    "tutorial": [],
    "command_line": [],
    "annotations": [],
    "trust": [],
    "faq": [],
    "coming_from": [],
    "changelog": [],
    "results": [],
}
html_theme_options = {
    "header_links_before_dropdown": 7,
    "navbar_end": ["theme-switcher", "navbar-icon-links"],
    "navbar_persistent": ["search-button"],
    "show_toc_level": 3,
    "show_prev_next": False,
}
# In the order of the gallery page; scripts that are not listed come last.
GALLERY = [
    "plot_few_examples",
    "plot_pipeline",
    "plot_grid_search",
    "plot_cross_validation",
    "plot_own_images",
    "plot_choosing_sigma",
    "plot_own_network",
    "plot_own_augmentation",
    "plot_weak_supervision",
    "plot_crowd",
    "plot_report",
    "plot_sequences",
    "plot_points",
    "plot_total",
    "plot_intervals",
    "plot_regions",
    "plot_what_to_annotate",
    "plot_saving",
    "plot_more_dots",
    "plot_large_images",
    "plot_onnx",
    "plot_dask",
    "plot_from_the_article",
]


def gallery_order(file_name):
    """Return the position of a script on the gallery page."""
    return [*GALLERY, Path(file_name).stem].index(Path(file_name).stem)


sphinx_gallery_conf = {
    "within_subsection_order": gallery_order,
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": "/plot_",
    "ignore_pattern": r"demo\.py|real/",
    "download_all_examples": False,
    "show_signature": False,
    "remove_config_comments": True,
    "write_computation_times": False,
}
suppress_warnings = ["config.cache"]


def is_of_another(app, what, name, obj, skip, options):
    """Skip members that scikit-learn, torch or Python document."""
    home = getattr(inspect.unwrap(getattr(obj, "fget", obj)), "__module__", None) or ""
    return skip or not home.startswith("skcount")


def setup(app):
    app.connect("autodoc-skip-member", is_of_another)
