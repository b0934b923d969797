"""Look for files that break the law of `readers.py`, guided by coverage: ``python tests/fuzz/fuzz.py --runs 100000``.

Each reader runs in processes of its own, under libFuzzer, which atheris brings. What breaks the law is kept under
``--keep``, one file each; a process that crashes, hangs or takes too much memory is started again for the rest of
the executions. The exit status tells whether anything was found. Needs the extra ``fuzz`` and a POSIX system.
"""

import argparse
import importlib
import json
import re
import subprocess
import sys
import tempfile
import time
import traceback
from hashlib import sha256
from pathlib import Path

TIMEOUT = 5  # seconds
MOST_MEMORY = 2048  # MiB
MOST_STARTS = 5


def main():
    """Run the readers and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20_000, help="executions of each reader")
    parser.add_argument("--reader", action="append", help="which reader; all by default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=0, help="the most that each reader may take")
    parser.add_argument("--log", type=Path, help="where to append a line of JSON for each reader")
    parser.add_argument("--keep", type=Path, help="where to keep what breaks the law")
    # For the processes that this one starts.
    parser.add_argument("--within", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--parsers", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.within:
        fuzz(*arguments.reader, arguments)
        return
    import readers

    names = arguments.reader or list(readers.READERS)
    print("reader        executions  seconds a second coverage   MiB  found", flush=True)
    records = [run(readers.READERS[name], arguments) for name in names]
    sys.exit(any(record["found"] for record in records))


def run(reader, arguments):
    """Run one reader in processes of its own; print and return what came of it."""
    name, parsers = reader.name, ",".join(reader.parsers)
    start, total, edges, memory, log = time.monotonic(), 0, 0, 0, ""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for number in range(MOST_STARTS):
            left = arguments.seconds and max(1, arguments.seconds - int(time.monotonic() - start))
            options = {"within": folder, "reader": name, "parsers": parsers, "runs": arguments.runs - total}
            options |= {"seed": arguments.seed + number, "seconds": left}
            command = [sys.executable, __file__, *(f"--{key}={value}" for key, value in options.items())]
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)  # noqa: S603 - it is this file
            log = done.stderr
            total += max([0, *map(int, re.findall(r"^#(\d+)\t", log, re.MULTILINE))])
            edges = max([edges, *map(int, re.findall(r" cov: (\d+)", log))])
            memory = max([memory, *map(int, re.findall(r"rss: (\d+)Mb", log))])
            for path in folder.glob("found/*"):
                note = path.with_name(f"{path.name}.txt")
                if path.suffix != ".txt" and not note.exists():
                    note.write_text(log[-1500:])
            if done.returncode == 0 or total >= arguments.runs:
                break
        seconds = time.monotonic() - start
        found = sorted(path for path in folder.glob("found/*") if path.suffix != ".txt")
        kinds = [path.name.partition("-")[0] for path in found]
        record = {
            "reader": name,
            "executions": total,
            "seconds": round(seconds, 1),
            "a_second": round(total / seconds),
            "coverage": edges,
            "memory_mib": memory,
            "found": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        }
        told = ", ".join(f"{count} {kind}" for kind, count in record["found"].items()) or "nothing"
        rate = total / seconds
        print(f"{name:13} {total:10} {seconds:8.1f} {rate:8.0f} {edges:8} {memory:5}  {told}", flush=True)
        if total == 0:
            record["found"] = {"start": 1}
            print(log[-3000:])
        for path in found:
            print(f"  {path.name}: {path.with_name(f'{path.name}.txt').read_text().strip()}")
            if arguments.keep:
                kept = arguments.keep / name
                kept.mkdir(parents=True, exist_ok=True)
                (kept / path.name).write_bytes(path.read_bytes())
    if arguments.log:
        with open(arguments.log, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
    return record


def fuzz(name, arguments):
    """Run one reader in this process; called by `run`."""
    import atheris

    for module in [module for module in sys.modules if module.partition(".")[0] in {"json", "zipfile"}]:
        del sys.modules[module]  # to be imported again, and instrumented
    parsers = list(filter(None, arguments.parsers.split(",")))
    with atheris.instrument_imports(include=["skcount.datasets", "skcount.io", *parsers]):
        import readers

        for parser in parsers:
            importlib.import_module(parser)
    reader = readers.READERS[name]
    corpus, found = arguments.within / "corpus", arguments.within / "found"
    for folder in (corpus, found):
        folder.mkdir(exist_ok=True)
    for number, content in enumerate(reader.make_seeds()):
        (corpus / f"seed{number}").write_bytes(content)
    words = arguments.within / "words"
    escaped = ["".join(rf"\x{byte:02x}" for byte in word) for word in reader.words]
    words.write_text("".join(f'"{word}"\n' for word in escaped))

    def try_once(content):
        # The first of each kind is kept, and the search goes on.
        try:
            readers.check_law(reader, content)
        except readers.UnlawfulError as error:
            keep(error, content)

    def keep(error, content):
        cause = error.__cause__ or error
        frames = traceback.extract_tb(cause.__traceback__)
        place = f"{frames[-1].filename}:{frames[-1].lineno} {re.sub('[0-9]+', '', str(error))[:40]}"
        path = found / f"unlawful-{sha256(place.encode()).hexdigest()[:12]}"
        if not path.exists():
            path.write_bytes(content)
            told = "".join(traceback.format_exception(cause, limit=-4))
            path.with_name(f"{path.name}.txt").write_text(f"{error}\n{told}", errors="replace")

    options = {
        "runs": arguments.runs,
        "seed": arguments.seed,
        "timeout": TIMEOUT,
        "rss_limit_mb": MOST_MEMORY,
        "max_total_time": arguments.seconds,
        "max_len": max(4096, *(len(content) for content in reader.make_seeds())),
        "artifact_prefix": f"{found}/",
        "verbosity": 1,
    }
    if reader.words:
        options["dict"] = words
    atheris.Setup(
        [sys.argv[0], *(f"-{key}={value}" for key, value in options.items()), str(corpus)], try_once
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
