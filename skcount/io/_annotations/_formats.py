"""The registry of annotation formats, and how the format of a file is recognised."""

from skcount.io._annotations._cell_counter import CELL_COUNTER
from skcount.io._annotations._coco import COCO
from skcount.io._annotations._csv import CSV
from skcount.io._annotations._cvat import CVAT
from skcount.io._annotations._dots import DOTS
from skcount.io._annotations._geojson import GEOJSON
from skcount.io._annotations._imagej import IMAGEJ
from skcount.io._annotations._label_studio import LABEL_STUDIO
from skcount.io._annotations._labelme import LABELME
from skcount.io._annotations._mask import MASK
from skcount.io._annotations._mat import MAT
from skcount.io._annotations._napari import NAPARI
from skcount.io._annotations._nwpu import NWPU
from skcount.io._annotations._supervisely import SUPERVISELY
from skcount.io._annotations._via import VIA, VIA_CSV
from skcount.io._annotations._voc import VOC
from skcount.io._annotations._yolo import JHU, YOLO
from skcount.io._annotations._zooniverse import ZOONIVERSE

_TABLES = (CSV, NAPARI, VIA_CSV, ZOONIVERSE, YOLO, JHU)
_TREES = (IMAGEJ, CELL_COUNTER, CVAT, VOC, COCO, LABELME, LABEL_STUDIO, VIA, GEOJSON, SUPERVISELY, NWPU, MAT)
FORMATS = {form.name: form for form in (*_TABLES, *_TREES, DOTS, MASK)}
_NO_POINTS = {"classes.txt", "readme.txt"}  # files that tools write next to the points
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
    suffix = path.suffix.lower()
    candidates = [form for form in FORMATS.values() if suffix in form.suffixes + form.pictures]
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


def find_files(paths, name=None):
    """Return the files among paths that can hold points in a format; None means all formats except pictures."""
    chosen = [FORMATS[name]] if name else [form for form in FORMATS.values() if form.order]
    paths = [path for path in paths if path.is_file() and path.name.lower() not in _NO_POINTS]
    for suffixes in ("suffixes", "pictures"):  # points inside pictures only if there are no other files
        known = {
            suffix for form in chosen if name or suffixes == "suffixes" for suffix in getattr(form, suffixes)
        }
        found = [path for path in paths if path.suffix.lower() in known]
        if found:
            return found
    return []
