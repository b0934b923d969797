"""The registry of annotation formats, and how the format of a file is recognised."""

from skcount.io._annotations._cell_counter import CELL_COUNTER
from skcount.io._annotations._coco import COCO
from skcount.io._annotations._csv import CSV
from skcount.io._annotations._dots import DOTS
from skcount.io._annotations._imagej import IMAGEJ
from skcount.io._annotations._labelme import LABELME
from skcount.io._annotations._mask import MASK
from skcount.io._annotations._mat import MAT
from skcount.io._annotations._napari import NAPARI

FORMATS = {form.name: form for form in (CSV, NAPARI, IMAGEJ, CELL_COUNTER, COCO, LABELME, MAT, DOTS, MASK)}
OPTIONS = frozenset(option for form in FORMATS.values() for option in form.options)


def load_content(path, name=None, given=frozenset()):
    """Return the format of a file, found by suffix and content unless it is named, and the file's content.

    A format that accepts all of the `given` parameters is preferred.
    """
    if name is not None:
        form = FORMATS[name]
        content = form.load(path)
        if form.matches and not form.matches(content):
            raise ValueError(f"{path} is not of format={name!r}; expected {form.signs}.")
        return form, content
    candidates = [form for form in FORMATS.values() if path.suffix.lower() in form.suffixes]
    others = [form for form in candidates if not form.matches]
    content = candidates[0].load(path) if len(others) < 2 and candidates else None
    known = [form for form in candidates if form.matches and form.matches(content)]
    found = [form for form in known if given <= set(form.options)] or others or known
    if len(found) != 1:
        raise ValueError(_describe(path, candidates, found))
    return found[0], content


def _describe(path, candidates, found):
    if not candidates:
        problem = f"no format has the suffix {path.suffix!r}"
    elif not found:
        problem = f"expected {' or '.join(f'{form.signs} ({form.name})' for form in candidates)}"
    else:
        problem = f"it may be {' or '.join(f'{form.name} ({form.signs})' for form in found)}"
    return (
        f"Cannot find the format of {path}: {problem}. Pass `format`, one of {', '.join(map(repr, FORMATS))}."
    )


def find_files(folder, name=None):
    """List the files of a folder that can hold points in a format; None means all formats except pictures."""
    chosen = [FORMATS[name]] if name else [form for form in FORMATS.values() if form.order]
    suffixes = {suffix for form in chosen for suffix in form.suffixes}
    return [
        path
        for path in folder.iterdir()
        if path.is_file() and path.suffix.lower() in suffixes and not path.name.startswith(".")
    ]
