"""Print constraints for pip: the lowest versions that pyproject.toml declares, and for torch the tested version."""

import re
import tomllib
from pathlib import Path

root = Path(__file__).parents[1]
project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
lists = [project["dependencies"], *project["optional-dependencies"].values()]
for requirement in sorted({requirement for listed in lists for requirement in listed}):
    floor = re.fullmatch(r"([\w.-]+)>=([\w.]+)", requirement)
    if floor and floor[1] != "torch":
        print(f"{floor[1]}=={floor[2]}")
print(re.search(r"^torch==.*$", (root / "constraints.txt").read_text(), re.MULTILINE)[0])
