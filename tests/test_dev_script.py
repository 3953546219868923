"""./dev on machines where something is missing, or nothing has changed. Each test works on a copy of its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-test.lock", "requirements-check.lock")
COREUTILS = ("basename", "cat", "cksum", "dirname", "grep", "id")  # all that ./dev may use beside sh and Python

# A real Python that tells its version, or what it can import, otherwise.
LIAR = """#!/bin/sh
[ "$1" = -c ] || exit 99
exec {python} -c 'import sys; {lie}; exec(sys.argv.pop(1))' "$2"
"""
OLD = "sys.version_info = (3, 9, 2)"
WITHOUT_ENSUREPIP = 'sys.modules["ensurepip"] = None'

# Notes what it was asked for, and does nothing of it.
NOTING = '#!/bin/sh\necho "$@" >>"$(dirname "$0")/notes"\n'


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in a folder whose name needs quoting."""
    top = tmp_path / "a checkout"
    top.mkdir()
    for name in ("dev", "pyproject.toml", *LOCKS):
        shutil.copy2(TOP / name, top)
    return top


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The folder of all commands of a minimal system: no Python, no sudo, no git, no curl."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in COREUTILS:
        found = shutil.which(name)
        assert found
        (commands / name).symlink_to(found)
    return commands


def command(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    (folder / name).chmod(0o755)


def dev(top: Path, path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", str(top / "dev"), *arguments],
        cwd=top.parent,
        env={"PATH": str(path), "HOME": str(top)} | variables,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def notes(top: Path) -> list[str]:
    file = top / ".venv" / "bin" / "notes"
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return [line for line in lines if not line.startswith("-c")]


def made(top: Path) -> None:
    """Stands in for an environment that has been made: its commands note what they are asked for."""
    commands = top / ".venv" / "bin"
    commands.mkdir(parents=True)
    command(commands, "python", NOTING)
    command(commands, "sitewarden", NOTING)


def test_without_python_it_names_the_line_that_installs_it(checkout: Path, machine: Path) -> None:
    said = dev(checkout, machine, "demo")
    assert said.returncode == 1
    assert "there is no Python" in said.stderr
    assert "apt install python3 python3-venv\n" in said.stderr


def test_an_old_python_is_named_with_the_release_that_has_a_newer_one(checkout: Path, machine: Path) -> None:
    command(machine, "python3", LIAR.format(python=sys.executable, lie=OLD))
    said = dev(checkout, machine, "demo")
    assert said.returncode == 1
    assert "Python 3.9 (python3) is too old" in said.stderr
    assert "bookworm" in said.stderr
    assert "apt install python3.11-venv\n" in said.stderr


@pytest.mark.parametrize("name", ["python3", "python3.12"])
def test_without_ensurepip_it_names_the_package_of_that_python(checkout: Path, machine: Path, name: str) -> None:
    command(machine, name, LIAR.format(python=sys.executable, lie=WITHOUT_ENSUREPIP))
    said = dev(checkout, machine, "test")
    assert said.returncode == 1
    assert f"{name} (Python 3." in said.stderr
    assert f"apt install {name}-venv\n" in said.stderr
    assert not (checkout / ".venv").exists()


def test_sudo_is_in_the_line_where_it_exists(checkout: Path, machine: Path) -> None:
    command(machine, "sudo", "#!/bin/sh\n")
    said = dev(checkout, machine, "demo")
    assert "    sudo apt update && sudo apt install python3 python3-venv\n" in said.stderr


def test_a_newer_python_beside_an_old_one_is_taken(checkout: Path, machine: Path) -> None:
    command(machine, "python3", LIAR.format(python=sys.executable, lie=OLD))
    command(machine, "python3.12", LIAR.format(python=sys.executable, lie="pass"))
    assert "making .venv with python3.12" in dev(checkout, machine, "demo").stderr


def test_a_shim_without_a_python_behind_it_counts_as_none(checkout: Path, machine: Path) -> None:
    command(machine, "python3", "#!/bin/sh\necho 'no such version' >&2\nexit 127\n")
    assert "there is no Python" in dev(checkout, machine, "demo").stderr


@pytest.mark.slow
def test_without_a_network_it_says_so_and_what_to_do(checkout: Path, machine: Path) -> None:
    (machine / "python3").symlink_to(sys.executable)
    offline = {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": "https://127.0.0.1:9/simple"}
    said = dev(checkout, machine, "test", **offline)
    assert said.returncode == 1
    assert "cannot reach its package index" in said.stderr
    assert "pip download --require-hashes -r requirements-test.lock -d wheels\n" in said.stderr
    assert not list((checkout / ".venv").glob("installed-*"))


def test_what_is_installed_is_hashed_and_from_the_lock(checkout: Path, machine: Path) -> None:
    made(checkout)
    assert dev(checkout, machine, "run", "version").returncode == 0
    dependencies, project, ran = notes(checkout)
    assert dependencies.endswith(f"--require-hashes -r {checkout}/requirements.lock")
    assert "--no-deps --no-build-isolation" in project
    assert ran == "version"


def test_nothing_is_installed_when_nothing_changed(checkout: Path, machine: Path) -> None:
    made(checkout)
    dev(checkout, machine, "run", "version")
    notes(checkout)
    assert dev(checkout, machine, "demo", "--for", "5 s").returncode == 0
    assert notes(checkout) == ["demo --for 5 s"]


def test_an_environment_for_the_checks_serves_tests_and_demo_too(checkout: Path, machine: Path) -> None:
    made(checkout)
    dev(checkout, machine, "check")
    notes(checkout)
    dev(checkout, machine, "test", "-x")
    dev(checkout, machine, "demo")
    assert notes(checkout) == ["-m pytest -x", "demo"]


def test_an_environment_for_the_demo_does_not_serve_the_tests(checkout: Path, machine: Path) -> None:
    made(checkout)
    dev(checkout, machine, "demo")
    notes(checkout)
    dev(checkout, machine, "test")
    assert notes(checkout)[0].endswith("requirements-test.lock")


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml"])
def test_a_changed_lock_or_project_is_installed(checkout: Path, machine: Path, name: str) -> None:
    made(checkout)
    dev(checkout, machine, "demo")
    notes(checkout)
    with (checkout / name).open("a") as file:
        file.write("# changed\n")
    dev(checkout, machine, "demo")
    assert len(notes(checkout)) == 3


def test_a_moved_checkout_is_installed_again(checkout: Path, machine: Path) -> None:
    made(checkout)
    dev(checkout, machine, "demo")
    notes(checkout)
    moved = checkout.rename(checkout.with_name("moved"))
    dev(moved, machine, "demo")
    assert len(notes(moved)) == 3


def test_benches_are_listed_and_run_from_the_top(checkout: Path, machine: Path) -> None:
    made(checkout)
    (checkout / "tests" / "bench").mkdir(parents=True)
    (checkout / "tests" / "bench" / "speed.py").touch()
    assert dev(checkout, machine, "bench").stdout == "speed\n"
    assert "there is no bench sped" in dev(checkout, machine, "bench", "sped").stderr
    dev(checkout, machine, "bench", "speed", "5")
    assert notes(checkout)[-1] == "tests/bench/speed.py 5"


def test_an_unknown_command_shows_the_commands(checkout: Path, machine: Path) -> None:
    said = dev(checkout, machine, "dmeo")
    assert said.returncode == 1
    assert "demo [ARGUMENTS]" in said.stderr
    assert not (checkout / ".venv").exists()
