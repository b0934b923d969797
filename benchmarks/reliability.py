"""Run the reliability tests in full, and write docs/reliability.md from their results.

``python benchmarks/reliability.py`` runs the tests of tests/reliability and related ones, including slow ones, with one
command per row of the table. ``--fuzz LOG`` reads the lines that ``tests/fuzz/fuzz.py --log LOG`` wrote. Each row that
passes is a line of benchmarks/reliability.jsonl. ``--only ROW`` runs one row, and ``--table`` only writes the page.
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
HDF5 = "tests/io/hdf5/test_faults.py"
FOLDER = "tests/reliability"


class Row(NamedTuple):
    """One row of the table.

    Parameters
    ----------
    wanted : int
        Number that must be reached.
    tests : list of str
        The tests, as arguments of pytest.
    proven : str
        Outcome that the tests require.
    property : str or None, default=None
        Sum up the numbers that tests recorded under names that begin with this; if None, count the tests that passed.
    part : str, default=""
        Count only tests with this in their names.
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
        [f"{FOLDER}/test_bad_input.py", f"{FOLDER}/test_bad_parameters.py"],
        "a clear error before training, with nothing left behind; a warning; or a documented correct result",
        part="documented",
    ),
    "kills at random moments (save, checkpoint, HDF5, download)": Row(
        100,
        KILLED,
        "the old file or the complete new one; a resumed fit ends with the same weights, bit for bit",
        "kills",
    ),
    "flipped bits (model, checkpoint, HDF5)": Row(
        1000,
        [f"{FOLDER}/test_flips.py"],
        "detected or harmless: the data read are the data written",
        "flipped",
    ),
    "malicious files": Row(
        15,
        [f"{FOLDER}/test_malicious.py"],
        "rejected by name; no code is run, no other file is read or written, and bombs use no memory",
        part="does_none",
    ),
    "fits and predictions in one process": Row(
        2000,
        [f"{FOLDER}/test_soak.py"],
        "memory grows by less than 8 MB; the number of open files and threads stays constant",
        "cycles",
    ),
    "ways to get the same result": Row(
        8,
        [f"{FOLDER}/test_same_result.py"],
        "equal weights, bit for bit, on a CPU: with processes, joblib, threads, HDF5, saved models and checkpoints",
        part="same_weights",
    ),
    "laws of the public API": Row(
        1, [f"{FOLDER}/test_properties.py"], "the law holds, or an error says what was expected"
    ),
    "resources left unchanged": Row(
        1,
        [f"{FOLDER}/test_resources.py", f"{FOLDER}/test_network.py"],
        "threads, file handles, processes, folders and global state are unchanged; no connection at import or fit",
    ),
}


def main():
    """Run the rows and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=ROWS, metavar="ROW", help="run only this row")
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
            sys.exit(f"{name}: not all tests passed.\n{done.stdout[-3000:]}")
        cases = [case for case in ET.parse(report).iter("testcase") if case.find("skipped") is None]  # noqa: S314
    number = sum(row.part in case.get("name") for case in cases)
    if row.property:
        recorded = [item for case in cases for item in case.iter("property")]
        number = sum(int(item.get("value")) for item in recorded if item.get("name").startswith(row.property))
    if number < row.wanted:
        sys.exit(f"{name}: expected at least {row.wanted}; got {number}.")
    add_line({"row": name, "number": number, "command": " ".join(row.tests), "seconds": round(seconds)})


def add_fuzz(log):
    """Log the last line of each reader in a log of the fuzzer; exit if it found an error."""
    rows = {row["reader"]: row for row in map(json.loads, log.read_text().splitlines())}
    for row in rows.values():
        if row["found"]:
            sys.exit(f"{row['reader']}: {row['found']}")
        kept = {name: row[name] for name in ("executions", "seconds", "coverage")}
        add_line({"row": f"fuzz: {row['reader']}", "number": row["executions"], **kept})


def add_line(row):
    """Add a row to the log, in place of an older one of that name."""
    rows = [old for old in read_log() if old["row"] != row["row"]]
    rows.append({**row, "date": f"{datetime.now(tz=UTC):%Y-%m-%d}"})
    LOG.write_text("".join(json.dumps(line) + "\n" for line in rows))
    print(rows[-1], flush=True)


def read_log():
    """Return the rows so far."""
    return [json.loads(line) for line in LOG.read_text().splitlines()] if LOG.exists() else []


def write_page():
    """Write docs/reliability.md."""
    rows = {row["row"]: row for row in read_log()}
    tried = [
        f"| {name} | {row.wanted:,} | **{rows[name]['number']:,}** | {row.proven} | "
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

These tests try to make skcount lose data, accept harmful data, or give different results for the same input. `python
benchmarks/reliability.py` runs all of them and writes this page. The same tests run before each change, with smaller
numbers. A row is written only if all of its tests pass. `SECURITY.md` states what is promised and what is not. Machine: 2
shared cores, Linux, torch 2.13.0.

| Test | Target | Passed | Required outcome of each | Command | Seconds | Date |
| --- | --- | --- | --- | --- | --- | --- |
{tried}

## Fuzzing

`make fuzz RUNS=100000` runs a coverage-guided fuzzer on every file reader, starting from valid files that it generates.
In each execution, the reader must either return well-formed data or reject the file by name. It must not crash, hang for
more than 5 s, use more than 2 GB, raise any other error, or warn. "Signed" files get a correct digest, whatever else the
fuzzer changed.

| Reader | Executions | Coverage | Seconds | Date |
| --- | --- | --- | --- | --- |
{fuzzed}
"""


if __name__ == "__main__":
    main()
