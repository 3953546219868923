"""The suite's own promise: with SITEWARDEN_NO_SKIPS=1 nothing that should have run counts as passed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")
SKIPPING = {
    "marked": "@pytest.mark.skip(reason='no broker')\ndef test_it(): pass",
    "inside": "def test_it(): pytest.skip('no broker')",
    "by_a_fixture": "@pytest.fixture\ndef broker(): pytest.skip('no broker')\ndef test_it(broker): pass",
    "the_whole_file": "pytest.skip('no broker', allow_module_level=True)",
}


def ran(folder: Path, source: str, no_skips: str) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_bytes(CONFTEST.read_bytes())
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_other.py").write_text("def test_passes(): pass\n")
    (folder / "test_it.py").write_text(f"import pytest\n\n{source}\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=folder,
        env=os.environ | {"SITEWARDEN_NO_SKIPS": no_skips, "PYTHONPATH": str(CONFTEST.parent)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("source", SKIPPING.values(), ids=SKIPPING.keys())
def test_a_skip_fails_where_none_is_allowed(tmp_path: Path, source: str) -> None:
    refused = ran(tmp_path, source, no_skips="1")
    assert refused.returncode != 0, refused.stdout
    assert "allows no skips" in refused.stdout
    assert "no broker" in refused.stdout


def test_a_skip_is_a_skip_elsewhere(tmp_path: Path) -> None:
    assert ran(tmp_path, SKIPPING["inside"], no_skips="").returncode == 0


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    expected = ran(tmp_path, "@pytest.mark.xfail(reason='known')\ndef test_it(): raise OSError", no_skips="1")
    assert expected.returncode == 0, expected.stdout
