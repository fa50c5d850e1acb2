"""Puts this folder on the path: tests are imported by file, and share `learner_contract`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
