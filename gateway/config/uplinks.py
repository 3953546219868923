"""What is said of an uplink: its broker, its login, how much may wait, and what the platform may ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from gateway.config.written import Duration, Filled, OneOrMore, Text, Within
from gateway.driver import Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class Uplink:
    """One MQTT connection to a platform."""

    enabled: Annotated[bool, Doc("false: checked, but not used")] = True
    url: Annotated[
        tuple[Filled, ...],
        OneOrMore(),
        Doc("mqtts://host:8883, wss://host/mqtt, or mqtt://host:1883 without encryption; or a list, the best first"),
    ]
    client_id: Annotated[Text, Doc("Default: <site>-<gateway>")] = ""
    username: Text = ""
    password_file: Annotated[Text, Doc("A file of mode 0600 beside the configuration, or a systemd credential")] = ""
    ca_file: Annotated[Text, Doc("Who signs the broker's certificate; default: the system's store")] = ""
    cert_file: Annotated[Text, Doc("This gateway's own certificate, if the broker asks for one")] = ""
    key_file: Annotated[Text, Doc("The key of cert_file, mode 0600")] = ""
    proxy: Annotated[Text, Doc("An HTTP proxy on the way to the broker: http://host:port")] = ""
    proxy_username: Annotated[Text, Doc("If the proxy wants a login; it travels to the proxy in the clear")] = ""
    proxy_password_file: Annotated[Text, Doc("As password_file")] = ""
    keepalive: Annotated[Duration, Within(ge=5, le=3600), Doc("A silence of this length is asked about")] = 30.0
    window: Annotated[int, Within(ge=1, le=1000), Doc("Messages that may wait for their acknowledgement")] = 20
    linger: Annotated[
        Duration, Within(ge=0, le=60), Doc("How long a reading waits for more to be sent with it; events never")
    ] = 1.0
    compression: Annotated[
        Literal["none", "gzip"], Doc("gzip: batches of telemetry are compressed where that makes them smaller")
    ] = "none"
    expire_live: Annotated[
        Annotated[Duration, Within(ge=1, le=30 * 86400)] | None,
        Doc("MQTT 5: live telemetry that waits longer at the broker is thrown away there; never events and backlog"),
    ] = None
    backlog_rate: Annotated[
        int, Within(ge=1, le=100_000), Doc("Stored records a second, after an outage, beside the live ones")
    ] = 5000
    acknowledged_by: Annotated[
        Literal["broker", "platform"],
        Doc("Who has to have a record for good: platform, where it confirms what it has stored"),
    ] = "broker"
    confirm_within: Annotated[
        Duration, Within(ge=1, le=3600), Doc("With acknowledged_by: platform: what is not confirmed by then goes again")
    ] = 60.0
    commands: Annotated[
        tuple[
            Literal[
                "acknowledge",
                "reset",
                "shelve",
                "unshelve",
                "out_of_service",
                "in_service",
                "confirm",
                "silence",
                "set_output",
                "test_response",
                "set_occupancy",
                "test_mode",
                "disable",
                "enable",
                "read_now",
                "write_point",
                "reload",
            ],
            ...,
        ],
        Doc("What this platform may ask of the gateway, beside resend; write_point: of the settings that devices name"),
    ] = ()
    command_key: Annotated[
        tuple[Filled, ...],
        OneOrMore(),
        Doc("The platform's public Ed25519 key, or several: write_point, set_output and reload have to be signed then"),
    ] = ()
