"""Prove that nothing is lost and nobody let in, and write docs/reliability.md from what came of it.

``python benchmarks/reliability.py`` runs the tests of tests/reliability and their kin in full, slow ones included, one
command for each row of the table; ``--fuzz LOG`` takes the lines that ``tests/fuzz/fuzz.py --log LOG`` wrote. Each row
that passed is a line of benchmarks/reliability.jsonl; ``--only ROW`` runs one of them, ``--table`` only writes the page.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[1]
LOG = Path(__file__).with_name("reliability.jsonl")
PAGE = ROOT / "docs" / "reliability.md"
HDF5 = "tests/datasets/hdf5/test_faults.py"
FOLDER = "tests/reliability"


class Row(NamedTuple):
    """One row of the table.

    Parameters
    ----------
    wanted : int
        How many must be reached.
    tests : list of str
        The tests that prove it, as arguments of pytest.
    proven : str
        The outcome of each.
    property : str or None, default=None
        What is counted: the numbers that tests recorded by names that begin so, or, for None, the tests that passed.
    part : str, default=""
        Only tests with this in their names are counted.
    """

    wanted: int
    tests: list
    proven: str
    property: str | None = None
    part: str = ""


KILLED = [f"{FOLDER}/test_kills.py", f"{FOLDER}/test_download_kills.py", HDF5, "-k", "killed"]
ROWS = {
    "bad or odd inputs": Row(
        150,
        [f"{FOLDER}/test_bad_input.py"],
        "a clear error before any training, with nothing left behind; a warning; or a documented right answer",
        part="documented",
    ),
    "kills at random moments (save, checkpoint, HDF5, download)": Row(
        100,
        KILLED,
        "the file before or the whole new one; a fit that goes on ends with the same weights, bit for bit",
        "kills",
    ),
    "flipped bits (model, checkpoint, HDF5)": Row(
        1000, [f"{FOLDER}/test_flips.py"], "noticed, or harmless: what is read is what was written", "flipped"
    ),
    "malicious files": Row(
        15,
        [f"{FOLDER}/test_malicious.py"],
        "refused by name; nothing is run, or written or read elsewhere; bombs take no memory",
        part="does_none",
    ),
    "fits and predictions in one process": Row(
        2000, [f"{FOLDER}/test_soak.py"], "memory within 8 MB; files and threads flat", "cycles"
    ),
    "ways to the same result": Row(
        8,
        [f"{FOLDER}/test_same_result.py"],
        "processes, joblib, threads, HDF5, saved models, checkpoints: equal weights, bit for bit, on a CPU",
        part="same_weights",
    ),
    "laws of the public API": Row(
        1, [f"{FOLDER}/test_properties.py"], "the law holds, or an error says what was expected"
    ),
    "resources left alone": Row(
        1,
        [f"{FOLDER}/test_resources.py", f"{FOLDER}/test_network.py"],
        "threads, handles, processes, folders, global states; no connection at import or fit",
    ),
}


def main():
    """Run the rows and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=ROWS, metavar="ROW")
    parser.add_argument("--table", action="store_true", help="only write the page")
    parser.add_argument("--fuzz", type=Path, metavar="LOG", help="lines of tests/fuzz/fuzz.py")
    options = parser.parse_args()
    if options.fuzz:
        add_fuzz(options.fuzz)
    if not options.table and not options.fuzz:
        for name in options.only or ROWS:
            run(name)
    write_page()


def run(name):
    """Run the tests of a row, and add a line to the log if all of them passed."""
    row = ROWS[name]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [
            sys.executable,
            "-m",
            "pytest",
            *row.tests,
            "-q",
            "-m",
            "not network",
            f"--junitxml={report}",
        ]
        start = time.perf_counter()
        done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, text=True)
        seconds = time.perf_counter() - start
        if done.returncode:
            sys.exit(f"{name}: not all passed\n{done.stdout[-3000:]}")
        cases = [case for case in ET.parse(report).iter("testcase") if case.find("skipped") is None]  # noqa: S314
    number = sum(row.part in case.get("name") for case in cases)
    if row.property:
        recorded = [item for case in cases for item in case.iter("property")]
        number = sum(int(item.get("value")) for item in recorded if item.get("name").startswith(row.property))
    if number < row.wanted:
        sys.exit(f"{name}: {number}, and {row.wanted} are wanted")
    add_line({"row": name, "number": number, "command": " ".join(row.tests), "seconds": round(seconds)})


def add_fuzz(log):
    """Take the last line of each reader from a log of the fuzzer."""
    rows = {row["reader"]: row for row in map(json.loads, log.read_text().splitlines())}
    for row in rows.values():
        if row["found"]:
            sys.exit(f"{row['reader']}: {row['found']}")
        kept = {name: row[name] for name in ("executions", "seconds", "coverage")}
        add_line({"row": f"fuzz: {row['reader']}", "number": row["executions"], **kept})


def add_line(row):
    """Replace a row of the log by a newer one."""
    rows = [old for old in read_log() if old["row"] != row["row"]]
    rows.append({**row, "date": f"{datetime.now(tz=UTC):%Y-%m-%d}"})
    LOG.write_text("".join(json.dumps(line) + "\n" for line in rows))
    print(rows[-1], flush=True)


def read_log():
    """The rows so far."""
    return [json.loads(line) for line in LOG.read_text().splitlines()] if LOG.exists() else []


def write_page():
    """Write docs/reliability.md."""
    rows = {row["row"]: row for row in read_log()}
    tried = [
        f"| {name} | {row.wanted:,} | **{rows[name]['number']:,}**, all passing | {row.proven} | "
        f"`pytest {rows[name]['command']}` | {rows[name]['seconds']} | {rows[name]['date']} |"
        for name, row in ROWS.items()
        if name in rows
    ]
    fuzzed = [
        f"| {name[6:]} | {row['executions']:,} | {row['coverage']} | {row['seconds']:.0f} | {row['date']} |"
        for name, row in sorted(rows.items())
        if name.startswith("fuzz: ")
    ]
    PAGE.write_text(HEAD.format(tried="\n".join(tried), fuzzed="\n".join(fuzzed)))


HEAD = """\
<!-- Written by benchmarks/reliability.py from benchmarks/reliability.jsonl. -->

# Reliability

What was tried to make skcount lose something, let something in, or give another result than it gave before, and what came of
it. `python benchmarks/reliability.py` runs all of it and writes this page; the same tests, in smaller numbers, run before
each change. What is promised, and what is not, is in `SECURITY.md`. Machine: 2 shared cores, Linux, torch 2.13.0.

| tried | wanted | number | outcome of each | command | seconds | date |
| --- | --- | --- | --- | --- | --- | --- |
{tried}

## Fuzzing

`make fuzz RUNS=100000`: a coverage-guided fuzzer over every reader of files, from valid seeds of its own making. After each
execution the reader has returned something well formed, or refused the file by its name: no crash, no hang of more than 5 s,
no more than 2 GB, no other error, no warning. "Signed" files get the right digest, whatever else the fuzzer has changed.

| reader | executions | coverage | seconds | date |
| --- | --- | --- | --- | --- |
{fuzzed}
"""


if __name__ == "__main__":
    main()
