"""Files of the kernel as a link: real files in a folder of the test's own, and the sensors behind them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from drivers.ds18b20 import Ds18b20, Ds18b20Options, crc8
from drivers.gateway_health import GatewayHealth, GatewayHealthOptions
from gateway.cli import main
from gateway.config.schema import FilesLink
from gateway.driver import Family
from gateway.errors import LinkDown, NoReply
from gateway.links.files import MOST_BYTES, KernelFiles

HERE = Path("/")


def link(root: Path) -> KernelFiles:
    return KernelFiles("kernel", FilesLink(type="files", root=str(root)), HERE)


def put(root: Path, path: str, text: str) -> Path:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="ascii")
    return file


def test_a_root_that_is_not_there_is_a_link_that_is_down(tmp_path: Path) -> None:
    with pytest.raises(LinkDown, match="there is no folder"):
        link(tmp_path / "gone").open()
    link(tmp_path).open()


def test_a_file_is_read_anew_each_time_and_its_absence_is_one_device_without_a_reply(tmp_path: Path) -> None:
    files = link(tmp_path).offer(Family.FILES)
    file = put(tmp_path, "/proc/uptime", "1.0")
    assert files.read("/proc/uptime") == "1.0"
    file.write_text("2.0")
    assert files.read("/proc/uptime") == "2.0"
    file.unlink()
    with pytest.raises(NoReply, match="there is no /proc/uptime"):
        files.read("/proc/uptime")


@pytest.mark.parametrize("kind", ["fifo", "folder", "endless", "binary"])
def test_what_stands_in_a_files_place_hangs_and_fills_nothing(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "thing"
    if kind == "fifo":
        os.mkfifo(path)  # a plain open of it would wait for ever
    elif kind == "folder":
        path.mkdir()
    elif kind == "endless":
        path.write_bytes(b"x" * 10 * MOST_BYTES)
    else:
        path.write_bytes(bytes(range(256)))
    files = link(tmp_path)
    if kind in {"fifo", "folder"}:
        with pytest.raises(NoReply, match=r"thing (is no file|cannot be read)"):
            files.read("/thing")
    else:
        assert len(files.read("/thing")) <= MOST_BYTES


def test_a_folder_and_a_disk(tmp_path: Path) -> None:
    for name in ("b", "a"):
        put(tmp_path, f"/sys/bus/{name}", "")
    files = link(tmp_path)
    assert files.names("/sys/bus") == ("a", "b")
    assert files.names("/sys/nowhere") == ()
    whole, free = files.space("/sys")
    assert 0 < free <= whole
    with pytest.raises(NoReply):
        files.space("/sys/nowhere")


DATA_SHEET = [  # raw, °C: the table of the data sheet; 0x0550, which is 85, is what it holds before it has measured
    (0x07D0, 125.0),
    (0x0191, 25.0625),
    (0x00A2, 10.125),
    (0x0008, 0.5),
    (0x0000, 0.0),
    (0xFFF8, -0.5),
    (0xFF5E, -10.125),
    (0xFE6F, -25.0625),
    (0xFC90, -55.0),
]


@pytest.mark.parametrize(("raw", "celsius"), DATA_SHEET)
def test_a_ds18b20_says_what_its_data_sheet_says(tmp_path: Path, raw: int, celsius: float) -> None:
    scratchpad = raw.to_bytes(2, "little") + bytes.fromhex("4b467fff0e10")
    told = (scratchpad + bytes([crc8(scratchpad)])).hex(" ")
    put(tmp_path, "/sys/bus/w1/devices/28-000000000001/w1_slave", f"{told} : crc={told[-2:]} YES\n{told} t=0\n")
    assert Ds18b20(Ds18b20Options("28-000000000001")).poll(link(tmp_path)) == {"temperature": celsius}


def test_the_checksum_is_that_of_1_wire() -> None:
    assert crc8(bytes.fromhex("021cb801000000")) == 0xA2, "the serial number of the application note AN27"


def test_this_very_machine_says_something_of_itself() -> None:
    said = GatewayHealth(GatewayHealthOptions(board="other")).poll(link(Path("/")))
    assert isinstance(said["memory_free"], float)
    assert isinstance(said["disk_free"], float)
    assert 0 < said["memory_free"] <= 100


@pytest.mark.parametrize("wrong", ["28-0316A4C1E9FF", "28-0316", "10-0316a4c1e9ff", "../../28-0316a4c1e9ff", ""])
def test_a_name_that_is_no_sensors_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="id: 28- and twelve"):
        Ds18b20Options(wrong)


def test_a_sensor_is_read_by_the_command_as_by_the_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scratchpad = bytes.fromhex("91014b467fff0f10")
    told = (scratchpad + bytes([crc8(scratchpad)])).hex(" ")
    put(tmp_path, "/sys/bus/w1/devices/28-000000000001/w1_slave", f"{told} : crc={told[-2:]} YES\n{told} t=25062\n")
    file = put(
        tmp_path,
        "site.yaml",
        f"""\
site: {{id: s, name: S}}
gateway: {{id: g}}
links: {{kernel: {{type: files, root: {tmp_path}}}}}
devices:
  probe: {{driver: ds18b20, link: kernel, id: 28-000000000001, zone: cold-store}}
  machine: {{driver: gateway_health, link: kernel, board: other, zone: cabinet}}
""",
    )
    assert main(["read", "probe", "--config", str(file), "--state", str(tmp_path)]) == 0
    assert "temperature  25.0625 °C  good" in capsys.readouterr().out
    assert main(["check", str(file)]) == 0
    assert "machine-hot: medium alarm when machine.cpu_temperature is above 80 °C" in capsys.readouterr().out
