"""Lets the tests of this folder import the modules beside them that hold no tests."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
