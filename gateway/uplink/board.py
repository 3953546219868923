"""What is no record: status, present alarms, descriptions, health, replies. Pure.

Of everything that has a topic of its own only the newest version waits. All that is retained goes again with every
connection; a reply goes once, later if need be.
"""

from __future__ import annotations

from collections import deque

from gateway.model import About, AlarmView, HealthReport, Reply
from gateway.uplink import contract
from gateway.uplink.window import Message
from gateway.uplink.wire import Publication

MAX_REPLIES = 100
MAX_WAITING = 2_000


class Board:
    """The publications that wait, urgent ones apart from those that can wait for records."""

    def __init__(self, about: About, uplink: str) -> None:
        self._about = about
        self._uplink = uplink
        self._topics = contract.Topics.of(about)
        self._devices = frozenset(device.device for device in about.devices)
        self._alarms: dict[str, AlarmView] = {}
        self._urgent: dict[str, Message] = {}
        self._calm: dict[str, Message] = {}
        self._replies: deque[Message] = deque(maxlen=MAX_REPLIES)

    def connected(self, status: bytes) -> None:
        """A connection begins: `status` first, then every present alarm and all descriptions."""
        self.status(status)
        for view in self._alarms.values():
            self._show(view)
        self._calm.clear()
        self._describe_all()

    def _describe_all(self) -> None:
        self._describe(self._topics.about, contract.about(self._about, self._uplink))
        for device in self._about.devices:
            self._describe(self._topics.about_device(device.device), contract.about_device(device))

    def describe(self, about: About) -> None:
        """Another configuration is in use: descriptions go anew, those of devices that are no more are cleared."""
        gone = self._devices - {device.device for device in about.devices}
        self._about = about
        self._devices = frozenset(device.device for device in about.devices)
        self._describe_all()
        for device in gone:
            self._describe(self._topics.about_device(device), b"")

    def status(self, payload: bytes) -> None:
        """The gateway's state, before everything else."""
        first = Message(Publication(self._topics.status, payload, retain=True))
        self._urgent = {self._topics.status: first} | self._urgent | {self._topics.status: first}

    def alarm(self, view: AlarmView) -> None:
        """An alarm's present state."""
        if view.at_rest:
            self._alarms.pop(view.alarm, None)
        else:
            self._alarms[view.alarm] = view
        self._show(view)

    def health(self, report: HealthReport) -> None:
        """The newest report replaces one that waits."""
        self._calm[self._topics.health] = Message(Publication(self._topics.health, contract.health(report)), bulk=True)

    def reply(self, answer: Reply) -> None:
        """An answer to a command; the oldest one is given up if a hundred wait."""
        self._replies.append(Message(Publication(self._topics.reply, contract.reply(answer))))

    def found(self, topic: str) -> bool:
        """A retained message was found at the broker; cleared if its alarm or device is no more, which is returned."""
        alarm, device = self._topics.alarm_of(topic), self._topics.device_of(topic)
        gone = alarm not in self._alarms if alarm is not None else device is not None and device not in self._devices
        if gone and len(self._calm) < MAX_WAITING:
            self._describe(topic, b"")
        return gone

    def next_urgent(self) -> Message | None:
        """The next status, alarm or reply."""
        for topic in self._urgent:
            return self._urgent.pop(topic)
        return self._replies.popleft() if self._replies else None

    def next_calm(self) -> Message | None:
        """The next description, clearing or health report."""
        for topic in self._calm:
            return self._calm.pop(topic)
        return None

    def put_back(self, message: Message) -> None:
        """A message was not accepted: it waits again, unless something newer for its topic does."""
        topic = message.publication.topic
        if topic == self._topics.reply:
            self._replies.appendleft(message)
        else:
            (self._calm if message.bulk else self._urgent).setdefault(topic, message)

    def disconnected(self, left: list[Message]) -> None:
        """The connection ended before these were acknowledged. What is retained is made anew for the next connection.

        Only replies are kept, and that an alarm is over: nothing else would tell that to the next connection.
        """
        self._urgent = {topic: waiting for topic, waiting in self._urgent.items() if not waiting.publication.payload}
        self._calm.clear()
        for message in reversed(left):
            if message.publication.topic == self._topics.reply or not (message.bulk or message.publication.payload):
                self.put_back(message)

    def _show(self, view: AlarmView) -> None:
        topic = self._topics.alarm(view.alarm)
        self._urgent[topic] = Message(Publication(topic, contract.alarm(view), retain=True))

    def _describe(self, topic: str, payload: bytes) -> None:
        self._calm[topic] = Message(Publication(topic, payload, retain=True), bulk=True)
