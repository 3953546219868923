"""What holds for the whole suite: where the broker is found, and no silent skips where everything is installed.

With SITEWARDEN_NO_SKIPS=1 a test that would skip fails: `.ci/run` installs what the suite needs, so nothing may skip.
"""

import os
import shutil
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import examples
import libmodbus_devices
import pytest
from link_scene import serial_line
from modbus_responder import RtuDevices
from payloads import Payloads

from gateway.links.port import Link

NO_SKIPS = os.environ.get("SITEWARDEN_NO_SKIPS") == "1"

os.environ["PATH"] += (
    os.pathsep + "/usr/sbin"
)  # where Debian keeps mosquitto and gpsd, and not on an ordinary user's PATH


SLOW_FILES = frozenset(
    {
        "test_audit.py",
        "test_cli_capture.py",
        "test_cli_journal.py",
        "test_cli_probe.py",
        "test_cli_read.py",
        "test_cli_run.py",
        "test_cli_zone.py",
        "test_clock_end_to_end.py",
        "test_commands_end_to_end.py",
        "test_config_apart.py",
        "test_demo.py",
        "test_smoke_end_to_end.py",
        "test_demo_field.py",
        "test_counts_end_to_end.py",
        "test_crowd.py",
        "test_people_end_to_end.py",
        "test_dev_script.py",
        "test_end_to_end.py",
        "test_example_consumer.py",
        "test_failover.py",
        "test_following_end_to_end.py",
        "test_footprint.py",
        "test_frame_patterns.py",
        "test_gps_time_end_to_end.py",
        "test_journal_budget.py",
        "test_journal_local.py",
        "test_journal_machine.py",
        "test_life_machine.py",
        "test_lost_devices.py",
        "test_modbus_faults.py",
        "test_modbus_independent.py",
        "test_mosquitto_access.py",
        "test_mqtt_wire.py",
        "test_no_silent_skips.py",
        "test_own_alarms_end_to_end.py",
        "test_packaging.py",
        "test_plan_end_to_end.py",
        "test_quality_end_to_end.py",
        "test_questions.py",
        "test_replay.py",
        "test_reload.py",
        "test_reload_uplinks.py",
        "test_replay_end_to_end.py",
        "test_replay_export.py",
        "test_replug.py",
        "test_output_owners.py",
        "test_responses_end_to_end.py",
        "test_safe_outputs.py",
        "test_scan.py",
        "test_shared_links.py",
        "test_texts_end_to_end.py",
        "test_thinning.py",
        "test_track.py",
        "test_track_end_to_end.py",
        "test_uplink_mosquitto.py",
        "test_uplink_renewal.py",
        "test_websocket.py",
        "test_write_end_to_end.py",
    }
)
"""Whole processes start, stop and are killed in these, or timeouts have to pass.

`./dev test -m "not slow"` leaves them and tests/faults/ out, and tries properties on fewer examples.
With `-n 2 --dist loadfile` it runs on two cores. The slow ones measure times, and do better alone.
"""


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as for what a shell has put into the background
        signal.signal(signal.SIGINT, signal.default_int_handler)  # commands that tests start are ended by Ctrl-C
    if config.option.markexpr == "not slow":
        examples.fewer()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.name in SLOW_FILES or item.path.parent.name == "faults":
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def payloads() -> Iterator[Payloads]:
    """Every payload that this process builds is held against its schema."""
    found = Payloads()
    with pytest.MonkeyPatch.context() as patch:
        found.watch(patch)
        yield found


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[RtuDevices]:
    """A serial line with Modbus devices of every unit id."""
    with RtuDevices(tmp_path) as devices:
        yield devices


@pytest.fixture
def line(bus: RtuDevices) -> Link:
    """The link that leads to them."""
    return serial_line(bus.path)


@pytest.fixture(autouse=True)
def _every_payload_validates(payloads: Payloads) -> Iterator[None]:
    yield
    wrong, payloads.wrong = payloads.wrong, []
    assert not wrong, wrong[:3]


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpsd") and shutil.which("gpsd") is None:
        pytest.skip("gpsd is not installed: sudo apt install gpsd")
    if item.get_closest_marker("libmodbus") and not libmodbus_devices.is_installed():
        pytest.skip("libmodbus is not installed: sudo apt install libmodbus5")
    if item.get_closest_marker("mosquitto") and shutil.which("mosquitto") is None:
        pytest.skip("mosquitto is not installed: sudo apt install mosquitto")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = refused(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if NO_SKIPS and report.skipped:
        report.outcome = "failed"
        report.longrepr = refused(report)
    return report


def refused(report: pytest.TestReport | pytest.CollectReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return f"skipped, and SITEWARDEN_NO_SKIPS=1 allows no skips: {reason}"
