"""When this version was made: no sample that it takes is older. Pure."""

from __future__ import annotations

from datetime import date
from typing import Final

BUILD_DATE: Final = date(2026, 11, 21)
"""Source: the day on which the version of pyproject.toml was begun; set anew with each version."""

BUILD_TS: Final = (BUILD_DATE - date(1970, 1, 1)).days * 86_400_000
"""Its beginning, in UTC milliseconds."""
