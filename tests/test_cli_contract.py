"""`sitewarden contract` prints what the wheel carries: a list, a document, or all of them into a folder."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from gateway import contract
from gateway.cli import CANNOT_CREATE, FAILED, OK, main

FOLDER = Path(contract.__file__).parent


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["contract", *arguments]) == OK
    return capsys.readouterr().out


def test_the_list_names_every_document_and_says_what_it_is_about(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys).splitlines()
    files = {line.split()[1] for line in lines}
    assert files == {file.name for file in FOLDER.glob("*.*") if file.name != "__init__.py" and file.is_file()}
    assert all(len(line.split()) > 3 for line in lines)


def test_a_document_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(said(capsys, "telemetry"))["title"] == "Telemetry"
    assert said(capsys, "small-consumer") == (FOLDER / "small_consumer.py").read_text()
    assert said(capsys, "consumer") == (FOLDER / "consumer.py").read_text()
    document = yaml.safe_load(said(capsys, "--asyncapi"))
    assert document["asyncapi"] == "3.0.0"


def test_all_are_written_side_by_side_so_that_their_references_hold(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    told = said(capsys, "--to", str(tmp_path / "a" / "b"))
    written = {file.name for file in (tmp_path / "a" / "b").iterdir()}
    assert f"{len(written)} documents" in told
    document = yaml.safe_load((tmp_path / "a" / "b" / "asyncapi.yaml").read_text())
    for name, channel in document["channels"].items():
        assert channel["messages"][name]["payload"]["schema"]["$ref"].removeprefix("./") in written


def test_an_unknown_document_and_a_folder_that_cannot_be_are_explained(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["contract", "nonsense"]) == FAILED
    assert "telemetry" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main(["contract", "--to", str(tmp_path / "file" / "x")]) == CANNOT_CREATE
    assert "--to" in capsys.readouterr().err
