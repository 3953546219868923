"""The configuration as this installation reads it: with its drivers, of ours and of others, and its profiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import drivers
from gateway.config.load import NO_OVERRIDES, load
from gateway.config.schema import Config


def read_config(path: Path, overrides: Mapping[tuple[str, ...], object] = NO_OVERRIDES) -> Config:
    """The configuration at `path`, checked against the drivers that are there; ConfigError with every problem."""
    return load(path, find_driver=drivers.find, profile_folders=(drivers.profile_folder(),), overrides=overrides)
