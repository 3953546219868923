"""Moments as a person writes them on the command line."""

from __future__ import annotations

import argparse
import re
import time
from datetime import UTC, datetime

from gateway.config.written import seconds

TIME_HINT = "write 24h or 7d (ago), 2026-11-22, or 2026-11-22T08:30 (UTC, unless it says +08:00)"


def moment(written: str) -> int:
    """UTC ms of a time in ISO 8601, or of a duration ago; argparse makes a message of the error."""
    try:
        if re.fullmatch(r"[0-9.]+\s?[a-z]+", written):
            return round((time.time() - seconds(written)) * 1000)
        at = datetime.fromisoformat(written)
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise argparse.ArgumentTypeError(f"{written!r} is no time; {TIME_HINT}") from error
