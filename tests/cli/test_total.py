"""`skcount total`: from a table of counts to the total of all images."""

import csv
import json

import numpy as np
import pytest
from typed import fail, names_in, run, succeed

from skcount.evaluation import ImageSample, estimate_total, plan_sample, sample_images

N = 60


def population(n=N, seed=0):
    """True counts, and predictions with one decimal, as `skcount predict` writes them."""
    rng = np.random.default_rng(seed)
    true = rng.poisson(rng.gamma(3, 10, size=n))
    return true, np.round(np.maximum(0, 1.2 * true + 3 + rng.normal(0, 3, size=n)), 1)


TRUE, PREDICTED = population()


def name_of(index):
    return f"plate {index:02}.png"


def index_of(row):
    return int(row["image"][6:8])


def read(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def write(path, rows, quoting=csv.QUOTE_MINIMAL, encoding="utf-8"):
    with open(path, "w", encoding=encoding, newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), quoting=quoting)
        writer.writeheader()
        writer.writerows(rows)
    return path


def count_by_hand(path, out, form="{}"):
    """Write the true counts of the drawn images into the file of a sample."""
    rows = read(path)
    for row in rows:
        if row["order"] != "0":
            row["count"] = form.format(TRUE[index_of(row)])
    return write(out, rows)


def usage_error(*arguments):
    """Run a command that is typed wrongly; return its message."""
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    return result.stderr


def total_of(*arguments):
    return json.loads(succeed("total", *arguments, "--json").stdout)


@pytest.fixture
def place(tmp_path):
    """A table of predicted counts, a sample of 14 images, and the sample with counts by hand."""
    write(
        tmp_path / "counts.csv",
        [{"image": name_of(i), "count": count} for i, count in enumerate(PREDICTED.tolist())],
    )
    succeed("total", tmp_path / "counts.csv", "--sample", 14, "--out", tmp_path / "sample.csv")
    count_by_hand(tmp_path / "sample.csv", tmp_path / "filled.csv")
    return tmp_path


# The whole way.


def test_a_sample_is_drawn_counted_and_estimated(place):
    drawn = sample_images(PREDICTED, 14, random_state=0)
    expected = estimate_total(drawn, TRUE[drawn.indices])
    found = total_of(place / "filled.csv")
    assert found["total"] == pytest.approx(expected.total)
    assert found["standard_error"] == pytest.approx(expected.standard_error)
    assert found["interval"] == pytest.approx(expected.interval)
    assert found["hand_counts"]["total"] == pytest.approx(expected.hand_counts.total)
    assert found["hand_counts"]["interval"] == pytest.approx(expected.hand_counts.interval)
    assert (found["n_counted"], found["n_images"], found["method"]) == (14, N, "regression")
    assert (found["confidence"], found["n_planned"]) == (0.95, None)


def test_the_total_is_told_in_words(place):
    found = total_of(place / "filled.csv")
    low, high = found["interval"]
    lines = succeed("total", place / "filled.csv").stdout.splitlines()
    assert lines[0] == f"{found['total']:.0f} objects in {N} images."
    assert lines[1].startswith(f"95 % interval: {low:.0f} to {high:.0f}")
    assert lines[2].startswith("From the 14 counts by hand alone:")


def test_the_table_of_predict_is_taken(folder, tmp_path):
    succeed("predict", folder / "model.skcount", folder / "pictures", "--csv", tmp_path / "counts.csv")
    result = succeed(
        "total", tmp_path / "counts.csv", "--sample", 5, "--out", tmp_path / "sample.csv", "--json"
    )
    names = json.loads(result.stdout)["images"]
    assert len(names) == 5
    rows = read(tmp_path / "sample.csv")
    assert [row["image"] for row in rows] == [row["image"] for row in read(tmp_path / "counts.csv")]
    assert sorted(names) == sorted(row["image"] for row in rows if row["order"] != "0")


def test_the_images_to_count_are_named_in_their_order(place):
    result = succeed("total", place / "counts.csv", "--sample", 14, "--out", place / "again.csv")
    rows = {int(row["order"]): row["image"] for row in read(place / "again.csv")}
    names = [rows[order] for order in range(1, 15)]
    assert f"14 images to count by hand: {', '.join(names[:10])} and 4 more." in result.stdout
    assert (place / "again.csv").read_bytes() == (place / "sample.csv").read_bytes()  # of the same seed
    succeed("total", place / "counts.csv", "--sample", 14, "--seed", 1, "--out", place / "other.csv")
    assert (place / "other.csv").read_bytes() != (place / "sample.csv").read_bytes()


def test_the_file_has_an_empty_column_for_the_counts(place):
    rows = read(place / "sample.csv")
    assert list(rows[0]) == ["image", "predicted", "stratum", "phase", "order", "count"]
    assert {row["count"] for row in rows} == {""}
    assert [float(row["predicted"]) for row in rows] == PREDICTED.tolist()


def test_a_wider_coverage_has_a_wider_interval(place):
    widths = [
        np.ptp(total_of(place / "filled.csv", "--confidence", confidence)["interval"])
        for confidence in (0.5, 0.95, 0.99)
    ]
    assert widths == sorted(set(widths))


def test_a_pilot_is_drawn_with_the_same_chance_for_all(place):
    succeed("total", place / "counts.csv", "--sample", 14, "--random", "--out", place / "random.csv")
    assert {row["stratum"] for row in read(place / "random.csv")} == {"0"}
    assert len({row["stratum"] for row in read(place / "sample.csv")}) > 1


def test_all_images_are_a_census(place):
    succeed("total", place / "counts.csv", "--sample", N, "--out", place / "all.csv")
    found = total_of(count_by_hand(place / "all.csv", place / "all counted.csv"))
    assert (found["total"], found["interval"], found["method"]) == (TRUE.sum(), [TRUE.sum()] * 2, "census")


# A second batch.


def test_a_second_batch_keeps_the_counts(place):
    result = succeed("total", place / "filled.csv", "--extend", 6, "--out", place / "larger.csv", "--json")
    names = json.loads(result.stdout)["images"]
    before, after = read(place / "filled.csv"), read(place / "larger.csv")
    assert {row["image"] for row in after if row["phase"] == "2"} == set(names)
    assert len(names) == 6
    for old, new in zip(before, after, strict=True):
        assert new["count"] == old["count"]
        assert new["predicted"] == old["predicted"]
        assert new["order"] == old["order"] or old["order"] == "0"
    assert "6 images of the sample have no count" in fail("total", place / "larger.csv")
    found = total_of(count_by_hand(place / "larger.csv", place / "larger counted.csv"))
    sample = sample_of(place / "larger counted.csv")
    assert found["n_counted"] == 20
    assert found["total"] == pytest.approx(estimate_total(sample, TRUE[sample.indices]).total)


def sample_of(path):
    rows = read(path)
    columns = {name: [int(row[name]) for row in rows] for name in ("stratum", "phase", "order")}
    return ImageSample.from_table({"predicted": [float(row["predicted"]) for row in rows], **columns})


def test_a_sample_is_extended_once(place):
    succeed("total", place / "filled.csv", "--extend", 6, "--out", place / "larger.csv")
    counted = count_by_hand(place / "larger.csv", place / "larger counted.csv")
    assert "has been extended before" in fail("total", counted, "--extend", 6, "--out", place / "third.csv")
    assert "third.csv" not in names_in(place)


def test_a_plan_says_how_many_more_to_draw(place):
    found = total_of(place / "filled.csv", "--half-width", 60)
    sample = sample_of(place / "filled.csv")
    planned = plan_sample(estimate_total(sample, TRUE[sample.indices]), 60)
    assert found["n_planned"] == planned > 14
    text = succeed("total", place / "filled.csv", "--half-width", 60).stdout
    assert text.splitlines()[-1] == f"For +- 60 objects, draw {planned - 14} more: --extend {planned - 14}."
    succeed("total", place / "filled.csv", "--extend", planned - 14, "--out", place / "larger.csv")
    enough = succeed("total", place / "filled.csv", "--half-width", 5000).stdout
    assert enough.splitlines()[-1] == "The interval is narrow enough."


def test_a_plan_for_an_extended_sample_does_not_name_what_would_be_refused(place):
    succeed("total", place / "filled.csv", "--extend", 6, "--out", place / "larger.csv")
    counted = count_by_hand(place / "larger.csv", place / "larger counted.csv")
    assert "--extend" not in succeed("total", counted, "--half-width", 5).stdout


def test_too_few_objects_name_the_option(place):
    rows = read(place / "filled.csv")
    write(place / "empty.csv", [row | {"count": row["count"] and "0"} for row in rows])
    line = fail("total", place / "empty.csv")
    assert "Only 0 of the 14 counted images have an object" in line
    assert "sample.extend" not in line
    assert "--extend" in line


# Groups.


@pytest.fixture
def tiles(place):
    """A table whose images are tiles of twenty photographs."""
    rows = [row | {"photo": f"photo {index // 3}"} for index, row in enumerate(read(place / "counts.csv"))]
    return write(place / "tiles.csv", rows)


def test_whole_groups_are_drawn(place, tiles):
    succeed("total", tiles, "--sample", 12, "--group", "photo", "--out", place / "photos.csv")
    rows = read(place / "photos.csv")
    assert [row["group"] for row in rows] == [row["photo"] for row in read(tiles)]
    drawn = {row["group"] for row in rows if row["order"] != "0"}
    assert len(drawn) == 12
    assert all((row["order"] != "0") == (row["group"] in drawn) for row in rows)
    found = total_of(count_by_hand(place / "photos.csv", place / "photos counted.csv"), "--half-width", 1)
    groups = [row["photo"] for row in read(tiles)]
    sample = sample_images(PREDICTED, 12, groups=groups, random_state=0)
    assert found["total"] == pytest.approx(estimate_total(sample, TRUE[sample.indices]).total)
    assert (found["n_counted"], found["n_planned"]) == (36, 20)
    counted = place / "photos counted.csv"
    result = succeed("total", counted, "--extend", 2, "--out", place / "more.csv", "--json")
    assert len(json.loads(result.stdout)["images"]) == 6


def test_groups_that_look_like_formulas_and_numbers_are_kept_apart(place):
    rows = [row | {"photo": f"={index // 3}"} for index, row in enumerate(read(place / "counts.csv"))]
    write(place / "odd.csv", rows)
    succeed("total", place / "odd.csv", "--sample", 12, "--group", "photo", "--out", place / "photos.csv")
    assert all(row["group"].startswith("'=") for row in read(place / "photos.csv"))
    found = total_of(count_by_hand(place / "photos.csv", place / "photos counted.csv"))
    assert found["n_counted"] == 36


def test_a_group_is_a_column(place, tiles):
    text = usage_error("total", tiles, "--sample", 12, "--group", "plate", "--out", place / "new.csv")
    assert "--group must be a column of the table; got plate" in text


# What spreadsheets make of the file.


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [row | {"count": row["count"] and f"{row['count']}.0"} for row in rows],
        lambda rows: [row | {"count": f" {row['count']} "} for row in rows],
        lambda rows: [
            row | {name: f"{row[name]}.0" for name in ("stratum", "phase", "order")} for row in rows
        ],
        lambda rows: [{name: row[name] for name in sorted(row)} for row in rows],
        lambda rows: [row | {"who": "anna"} for row in rows],
        lambda rows: sorted(rows, key=lambda row: int(row["order"])),
    ],
    ids=[
        "decimals",
        "spaces",
        "whole numbers with decimals",
        "columns in another order",
        "another column",
        "sorted",
    ],
)
def test_a_file_that_a_spreadsheet_has_saved_has_the_same_total(place, change):
    expected = total_of(place / "filled.csv")
    saved = write(place / "saved.csv", change(read(place / "filled.csv")))
    found = total_of(saved)
    assert found["total"] == pytest.approx(expected["total"])
    assert found["interval"] == pytest.approx(expected["interval"])


@pytest.mark.parametrize("quoting", [csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_quotes_and_ends_of_lines_do_not_matter(place, quoting, encoding, newline):
    expected = total_of(place / "filled.csv")
    saved = write(place / "saved.csv", read(place / "filled.csv"), quoting, encoding)
    saved.write_bytes(saved.read_bytes().replace(b"\r\n", newline.encode()))
    assert total_of(saved) == expected


@pytest.mark.parametrize(
    "name", ["=1+2.png", "+cell.png", "-cell.png", "@cell.png", "a,b.png", 'a"b.png', "cell é.png"]
)
def test_names_are_never_formulas_and_come_back(place, name):
    rows = read(place / "counts.csv")
    rows[0]["image"] = name
    write(place / "odd.csv", rows)
    succeed("total", place / "odd.csv", "--sample", N, "--out", place / "sample.csv")
    first = read(place / "sample.csv")[0]["image"]
    assert first == (f"'{name}" if name[0] in "=+-@" else name)
    counted = write(place / "counted.csv", [row | {"count": "7"} for row in read(place / "sample.csv")])
    assert total_of(counted)["total"] == 7 * N
    missing = read(counted)
    missing[0]["count"] = ""
    assert first in fail("total", write(place / "missing.csv", missing))


# What is refused.


def test_missing_counts_are_named(place):
    rows = read(place / "filled.csv")
    drawn = [row for row in rows if row["order"] != "0"]
    drawn[3]["count"] = ""
    line = fail("total", write(place / "missing.csv", rows))
    assert f"1 image of the sample has no count: {drawn[3]['image']}. " in line
    assert "write 0 where there is no object" in line
    assert "14 images of the sample have no count" in fail("total", place / "sample.csv")


def test_counts_of_images_that_were_not_drawn_are_refused(place):
    rows = read(place / "filled.csv")
    other = next(row for row in rows if row["order"] == "0")
    other["count"] = "12"
    line = fail("total", write(place / "more.csv", rows))
    assert f"{other['image']} " in line
    assert "not in the sample" in line


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (column, value)
        for column in ("count", "predicted", "order", "stratum")
        for value in ("many", "nan", "inf")
    ]
    + [("count", "-1"), ("predicted", "-1"), ("order", "-1"), ("order", "1.5"), ("phase", "3")],
)
def test_what_is_no_count_is_refused(place, column, value):
    rows = read(place / "filled.csv")
    drawn = next(row for row in rows if row["order"] != "0")
    drawn[column] = value
    line = fail("total", write(place / "wrong.csv", rows))
    assert column in line
    if value == "many":
        assert f"{drawn['image']} has 'many'" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,count\na.png,1\n", "must have the columns image and count; image is missing"),
        ("image,number\na.png,1\n", "must have the columns image and count; count is missing"),
        ("image;count\na.png;1\n", "image is missing"),
        ("", "image is missing"),
        ("image,count\n", "has no images"),
        ("image,count\na.png\n", "must have the same number of columns in all rows"),
        ("image,count\na.png,1,2\n", "must have the same number of columns in all rows"),
    ],
)
def test_what_is_no_table_of_counts_is_refused(tmp_path, text, words):
    (tmp_path / "counts.csv").write_text(text)
    assert words in fail("total", tmp_path / "counts.csv", "--sample", 2, "--out", tmp_path / "sample.csv")
    assert names_in(tmp_path) == ["counts.csv"]


def test_a_table_that_does_not_exist_is_named(tmp_path):
    assert "counts.csv" in fail("total", tmp_path / "counts.csv")


def test_a_table_of_counts_alone_has_no_total(place):
    text = usage_error("total", place / "counts.csv")
    assert "it is not a sample" in text
    assert "--sample 20 --out sample.csv" in text


def test_more_images_than_there_are_cannot_be_drawn(place):
    out = ["--out", place / "new.csv"]
    assert f"at most the number of images, {N}; got 61" in fail(
        "total", place / "counts.csv", "--sample", 61, *out
    )
    assert "at most 46" in fail("total", place / "filled.csv", "--extend", 47, *out)
    assert "new.csv" not in names_in(place)


@pytest.mark.parametrize(
    ("table", "options", "words"),
    [
        ("counts.csv", ["--sample", 14], "pass both"),
        ("filled.csv", ["--extend", 14], "pass both"),
        ("filled.csv", ["--out", "{}/new.csv"], "pass both"),
        ("filled.csv", ["--sample", 5, "--extend", 5, "--out", "{}/new.csv"], "not both"),
        ("filled.csv", ["--sample", 5, "--out", "{}/new.csv"], "is a sample already"),
        ("counts.csv", ["--extend", 5, "--out", "{}/new.csv"], "it is not a sample"),
        ("counts.csv", ["--sample", 1, "--out", "{}/new.csv"], "--sample"),
        ("filled.csv", ["--extend", 0, "--out", "{}/new.csv"], "--extend"),
        ("filled.csv", ["--confidence", 95], "--confidence"),
        ("filled.csv", ["--half-width", 0], "--half-width"),
        ("counts.csv", ["--sample", 5, "--out", "{}/counts.csv"], "--out must not be the file that is read"),
        (
            "filled.csv",
            ["--extend", 5, "--force", "--out", "{}/filled.csv"],
            "--out must not be the file that is read",
        ),
        (
            "counts.csv",
            ["--sample", 5, "--out", "{}/../{}/counts.csv"],
            "--out must not be the file that is read",
        ),
    ],
)
def test_options_that_do_not_go_together_are_refused(place, table, options, words):
    before = {path: path.read_bytes() for path in place.iterdir()}
    options = [
        option.replace("{}/..", f"{place}/..").replace("../{}", f"../{place.name}").replace("{}", str(place))
        if isinstance(option, str)
        else option
        for option in options
    ]
    assert words in usage_error("total", place / table, *options)
    assert {path: path.read_bytes() for path in place.iterdir()} == before


def test_an_empty_sample_is_replaced_and_other_files_only_by_force(place):
    sample = ["total", place / "counts.csv", "--sample", 14, "--seed", 3, "--out"]
    succeed(*sample, place / "sample.csv")
    (place / "notes.csv").write_text("what,when\ncells,today\n")
    assert "Pass --force to replace it" in usage_error(*sample, place / "notes.csv")
    assert (place / "notes.csv").read_text() == "what,when\ncells,today\n"
    succeed(*sample, place / "notes.csv", "--force")
    assert (place / "notes.csv").read_bytes() == (place / "sample.csv").read_bytes()


def test_counts_by_hand_are_not_replaced_without_force(place):
    before = (place / "filled.csv").read_bytes()
    sample = ["total", place / "counts.csv", "--sample", 14, "--out", place / "filled.csv"]
    assert "Pass --force to replace it" in usage_error(*sample)
    assert (place / "filled.csv").read_bytes() == before


def test_a_folder_that_does_not_exist_is_named(place):
    line = fail("total", place / "counts.csv", "--sample", 14, "--out", place / "nowhere" / "sample.csv")
    assert "There is no folder" in line
