"""The modules of this folder are found by their names, as they are when `fuzz.py` runs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
