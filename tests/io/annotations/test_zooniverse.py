import csv
import io
import json

import pytest
from numpy.testing import assert_array_equal

from skcount.io import read_points

NAME = "classifications.csv"
COLUMNS = [
    "classification_id",
    "user_name",
    "workflow_id",
    "metadata",
    "annotations",
    "subject_data",
    "subject_ids",
]


def mark(x, y, tool="Penguin", **more):
    return {"x": x, "y": y, "tool": 0, "frame": 0, "tool_label": tool, "details": [], **more}


def export(*classifications):
    """What the project builder exports: rows (user, subject, file name, marks)."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for number, (user, subject, name, marks) in enumerate(classifications):
        task = [{"task": "T0", "task_label": "Mark", "value": marks}, {"task": "T1", "value": "Yes"}]
        data = {str(subject): {"retired": None, "Filename": name}}
        rows.writerow([number, user, 1, "{}", json.dumps(task), json.dumps(data), subject])
    return text.getvalue()


def test_marks_of_one_volunteer_are_points(write):
    path = write(export(("anna", 7, "a.png", [mark(10.5, 2.5), mark(4.5, 6.5)]), ("anna", 8, "b.png", [])))
    birds = read_points(path)
    assert (birds.names, birds.points.counts.tolist()) == (["a.png", "b.png"], [2, 0])
    assert_array_equal(birds.points[0], [[2, 10], [6, 4]])


def test_several_volunteers_are_told(write):
    both = [("anna", 7, "a.png", [mark(10, 2), mark(4, 6)]), ("ben", 7, "a.png", [mark(10, 3), mark(4, 7)])]
    with pytest.raises(ValueError, match=r"'user_name' varies .*where=\{'user_name': 'anna'\}"):
        read_points(write(export(*both)))
    assert read_points(write(export(*both)), where={"user_name": "ben"}).points.counts.tolist() == [2]


def test_tools_are_labels_and_lines_are_refused(write):
    path = write(export(("anna", 7, "a.png", [mark(10, 2), mark(4, 6, "Chick")])))
    with pytest.raises(ValueError, match=r"labels \('Penguin': 1, 'Chick': 1\)"):
        read_points(path)
    line = {"x1": 1, "y1": 2, "x2": 3, "y2": 4, "tool": 1, "tool_label": "Penguin"}
    with pytest.raises(ValueError, match="shapes must be points; got marks with"):
        read_points(write(export(("anna", 7, "a.png", [line]))))


def test_damaged_cells_are_refused_with_their_line(write):
    with pytest.raises(ValueError, match="line 2: a cell is not valid JSON"):
        read_points(write(export(("anna", 7, "a.png", [])).replace('"[{', '"[')))
