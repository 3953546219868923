"""A configuration that another process loads: the same tree and the same words, whatever becomes of that process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import drivers
from gateway.cli import CONFIG, FAILED
from gateway.config.installed import read_config
from gateway.config.schema import Config

TOP = Path(__file__).parent.parent
EXAMPLES = sorted((TOP / "config").glob("*.yaml"))
SITE = """\
site: {id: dc3}
gateway: {id: gw1}
links:
  gps: {type: tcp, host: gps.example.com, port: 2000}
devices:
  other-1: {driver: others, link: gps, zone: truck}
"""
OTHERS = """\
from dataclasses import dataclass
from drivers.template import Template

print("this driver says hello")

@dataclass(frozen=True)
class Options:
    pass

class Others(Template):
    options = Options

    def __init__(self, options):
        pass
"""
LOAD = """\
import json, os, sys
from pathlib import Path
from gateway.config.apart import Loading
from gateway.errors import SitewardenError

deadline_s, *paths = sys.argv[1:]
answers = []
for path in map(Path, paths):
    loading = Loading(path, deadline_s=float(deadline_s))
    loading.start()
    try:
        config = loading.config()
        drivers = {name: [type(it.built).__name__, repr(it.built.points)] for name, it in config.devices.items()}
        answers.append([config.hash, drivers])
    except SitewardenError as error:
        answers.append([error.what, error.hint])
    try:
        os.waitpid(-1, 0)
        answers.append("left behind")
    except ChildProcessError:
        pass
print(json.dumps([answers, [name for name in ("pydantic", "yaml") if name in sys.modules]]))
"""


def told(config: Config) -> list[Any]:
    return [
        config.hash,
        {name: [type(it.built).__name__, repr(it.built.points)] for name, it in config.devices.items()},
    ]


def python(folder: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A new interpreter, for which what lies in `folder` is installed."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONPATH": f"{TOP}{os.pathsep}{folder}"},
    )


def loaded(folder: Path, *paths: Path, deadline_s: float = 30.0) -> list[Any]:
    """What comes of each file, in a process that never imports what checked it."""
    done = python(folder, "-c", LOAD, deadline_s, *paths)
    answers, checkers = json.loads(done.stdout.splitlines()[-1])
    assert checkers == []
    found: list[Any] = answers
    return found


def site(folder: Path, edit: tuple[str, str] = ("", "")) -> Path:
    """A site whose only driver is somebody else's, found by its entry point."""
    info = folder / "others-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: others\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text(f"[{drivers.GROUP}]\nothers = others:Others\n", encoding="utf-8")
    assert edit[0] in OTHERS
    (folder / "others.py").write_text(OTHERS.replace(*edit) if edit[0] else OTHERS, encoding="utf-8")
    path = folder / "site.yaml"
    path.write_text(SITE, encoding="utf-8")
    return path


def test_every_example_arrives_as_it_is_loaded_here(tmp_path: Path) -> None:
    assert loaded(tmp_path, *EXAMPLES) == [told(read_config(path)) for path in EXAMPLES]


def test_every_problem_arrives_in_the_words_of_the_check(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(SITE.replace("dc3", "DC3").replace("2000", "x") + "  b: {driver: gps}\n", encoding="utf-8")
    checked = python(tmp_path, "-m", "gateway", "check", path)
    [[what, _]] = loaded(tmp_path, path)
    assert len(what.splitlines()) > 3
    assert what.splitlines() == checked.stderr.splitlines()[:-1]


def test_the_driver_of_another_package_arrives_whatever_it_prints(tmp_path: Path) -> None:
    [[_, found]] = loaded(tmp_path, site(tmp_path))
    assert found["other-1"][0] == "Others"


def test_a_driver_that_cannot_be_handed_over_is_told_at_its_line_by_check_and_run(tmp_path: Path) -> None:
    path = site(tmp_path, ("        pass\n", "        self._way = lambda: None\n"))
    for command in (("check",), ("run", "--state", tmp_path / "state")):
        done = python(tmp_path, "-m", "gateway", *command, path)
        assert done.returncode == CONFIG
        assert f"{path}:6:21: devices.other-1.driver: this driver is no plain data, as it must be" in done.stderr


def test_a_loader_that_is_killed_is_told(tmp_path: Path) -> None:
    path = site(tmp_path, ("print(", "import os; os.kill(os.getpid(), 9); print("))
    done = python(tmp_path, "-m", "gateway", "run", "--state", tmp_path / "state", path)
    assert done.returncode == FAILED
    assert done.stderr == (
        f"sitewarden: {path} could not be loaded, its process was ended by SIGKILL"
        f" (see what `sitewarden check {path}` says, and how much memory is free)\n"
    )


def test_a_driver_with_a_bug_ends_the_start_with_its_traceback(tmp_path: Path) -> None:
    path = site(tmp_path, ("        pass\n", "        raise RuntimeError('a bug of others')\n"))
    done = python(tmp_path, "-m", "gateway", "run", "--state", tmp_path / "state", path)
    assert done.returncode == FAILED
    assert "RuntimeError: a bug of others" in done.stderr
    assert "its process was ended by an error of ours" in done.stderr


def test_a_loader_that_hangs_is_given_up_and_not_left_behind(tmp_path: Path) -> None:
    path = site(tmp_path, ("print(", "import threading; threading.Event().wait(); print("))
    [[what, hint]] = loaded(tmp_path, path, deadline_s=0.5)
    assert what == f"{path} could not be loaded, it took more than 0.5 s"
    assert "sitewarden check" in hint


@pytest.mark.parametrize("checked", [True, False])
def test_a_value_set_from_outside_takes_the_place_of_the_files(tmp_path: Path, checked: bool) -> None:
    path = site(tmp_path)
    command = ["check"] if checked else ["run", "--state", tmp_path / "state"]
    settings = ["--set", "links.gps.port=fast", "--set", "devices.other-1.zone=Upper Deck", "--set", "site.name={a"]
    done = python(tmp_path, "-m", "gateway", *command, path, *settings)
    assert done.returncode == CONFIG
    assert done.stderr.splitlines()[0].startswith("--set site.name: site.name: a map in { } that goes wrong here")
    done = python(tmp_path, "-m", "gateway", *command, path, *settings[:-2])
    assert done.returncode == CONFIG
    assert done.stderr.splitlines()[:2] == [
        (
            "--set devices.other-1.zone: devices.other-1.zone: must be a zone, not 'Upper Deck'; "
            "write ids joined by /, as in cold-store/room-1"
        ),
        "--set links.gps.port: links.gps.port: must be a whole number, not 'fast'",
    ]
