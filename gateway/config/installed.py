"""The configuration as this installation reads it: with its drivers, of ours and of others, and its profiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import drivers
from drivers.modbus_profile import Profile
from gateway.config.load import NO_OVERRIDES, load
from gateway.config.profiles import Profiles
from gateway.config.schema import Config


def read_config(path: Path, overrides: Mapping[tuple[str, ...], object] = NO_OVERRIDES) -> Config:
    """The configuration at `path`, checked against the drivers that are there; ConfigError with every problem."""
    return load(path, find_driver=drivers.find, profile_folders=(drivers.profile_folder(),), overrides=overrides)


def known_profiles(beside: Path) -> tuple[Mapping[str, Profile], tuple[str, ...]]:
    """The Modbus profiles, those in `profiles/` of the folder `beside` too; and what is wrong with some, in words."""
    files = Profiles((beside / "profiles", drivers.profile_folder()))
    found = {name: files.get(name, Profile) for name in sorted(files.names())}
    sound = {name: profile for name, profile in found.items() if profile is not None}
    return sound, tuple(str(problem) for problem in files.problems)
