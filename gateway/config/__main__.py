"""The process in which a configuration is loaded for the daemon (see apart.py).

Its arguments are the path and, as JSON, the values set from outside; on standard output it hands on, pickled, the tree
or the problems.
"""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path

from gateway.config.installed import read_config
from gateway.config.sources import read_settings
from gateway.errors import ConfigError


def main(path: str, settings: str) -> None:
    """Load, and hand on what came of it."""
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)  # what a driver prints is no part of the answer
        try:
            given = {tuple(keys): text for keys, text in json.loads(settings)}
            found: object = read_config(Path(path), read_settings(given))
        except ConfigError as error:
            found = error.problems
        pickle.dump(found, answer)


if __name__ == "__main__":
    main(*sys.argv[1:])
