"""The wheel carries all that the gateway needs, and works installed, in a folder of its own, without the checkout."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest

from gateway import __version__

TOP = Path(__file__).parent.parent
SETUPTOOLS = 77  # [build-system] of pyproject.toml


def run(*command: str | Path, cwd: Path, timeout: float = 120) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def wheel_of(source: Path, into: Path) -> Path:
    """Builds without a network: setuptools is in the locks."""
    pip = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", into, source, cwd=into.parent)
    (wheel,) = into.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that building leaves nothing behind in it."""
    if int(version("setuptools").split(".")[0]) < SETUPTOOLS:
        pytest.skip(f"building needs setuptools {SETUPTOOLS} or newer, which ./dev test installs")
    copy = tmp_path_factory.mktemp("source") / "checkout"
    leave_out = shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "__pycache__")
    shutil.copytree(TOP, copy, ignore=leave_out, symlinks=True)
    return copy


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel_of(source, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The commands of an environment that has the wheel, and borrows its dependencies from this one."""
    place = tmp_path_factory.mktemp("installed") / "environment"
    run(sys.executable, "-m", "venv", "--without-pip", place, cwd=place.parent)
    python = place / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", wheel, cwd=place.parent)
    (packages,) = place.glob("lib/python3*/site-packages")
    (packages / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    return place / "bin"


def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_carries_the_code_and_the_data(wheel: Path) -> None:
    wanted = {
        path.relative_to(TOP).as_posix() for room in ("gateway", "drivers") for path in (TOP / room).rglob("*.py")
    }
    wanted |= {f"gateway/examples/{path.name}" for path in (TOP / "config").glob("*.yaml")}
    wanted |= {f"gateway/examples/mosquitto/{path.name}" for path in (TOP / "config" / "mosquitto").iterdir()}
    own = TOP / "config" / "own-profile"
    wanted |= {f"gateway/examples/own-profile/{it.relative_to(own).as_posix()}" for it in own.rglob("*.*")}
    wanted |= {f"drivers/profiles/{path.name}" for path in (TOP / "drivers" / "profiles").glob("*.*")}
    wanted |= {f"drivers/profiles/frames/{path.name}" for path in (TOP / "drivers" / "profiles" / "frames").glob("*.*")}
    wanted |= {f"gateway/contract/{path.name}" for path in (TOP / "gateway" / "contract").glob("*.*")}
    wanted |= {"gateway/py.typed", "drivers/py.typed"}
    assert wanted - contents(wheel) == set()


def test_the_wheel_carries_nothing_else(wheel: Path) -> None:
    others = {name for name in contents(wheel) if not name.startswith(("gateway/", "drivers/"))}
    assert all(re.match(r"sitewarden-[^/]+\.dist-info/", name) for name in others), others
    assert any(name.endswith("/licenses/LICENSE") for name in others)


def test_a_wheel_from_the_source_distribution_is_the_same(source: Path, wheel: Path, tmp_path: Path) -> None:
    build = "import setuptools.build_meta as build, sys; print(build.build_sdist(sys.argv[1]))"
    archive = run(sys.executable, "-c", build, tmp_path, cwd=source).split()[-1]
    (tmp_path / "wheel").mkdir()
    assert contents(wheel_of(tmp_path / archive, tmp_path / "wheel")) == contents(wheel)


def test_the_installed_gateway_is_the_wheels(installed: Path, tmp_path: Path) -> None:
    said = run(
        installed / "python", "-c", "import gateway, drivers; print(gateway.__file__, drivers.__file__)", cwd=tmp_path
    )
    assert said.count(str(installed.parent)) == 2


def test_the_installed_gateway_has_its_examples_and_profiles(installed: Path, tmp_path: Path) -> None:
    listing = "from importlib.resources import files; print(*sorted(f.name for f in files('{}').iterdir()))"
    examples = run(installed / "python", "-c", listing.format("gateway.examples"), cwd=tmp_path)
    assert examples.split() == sorted(it.name for it in (TOP / "config").iterdir() if it.name != "README.md")
    profiles = run(installed / "python", "-c", listing.format("drivers.profiles"), cwd=tmp_path)
    assert set(profiles.split()) >= {path.name for path in (TOP / "drivers" / "profiles").glob("*.*")}


def test_the_installed_command_says_its_version(installed: Path, tmp_path: Path) -> None:
    assert __version__ in run(installed / "sitewarden", "version", cwd=tmp_path)


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel_in_another_folder(installed: Path, tmp_path: Path) -> None:
    run(installed / "sitewarden", "demo", "--headless", "--for", "8s", cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []
