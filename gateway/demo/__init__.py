"""The simulated site of `sitewarden demo`, on which the real daemon runs: real wires, a broker, a story and a verdict.

wiring.py         the one thread on which all simulated devices live
port.py           a serial port: a pseudo-terminal at the line's pace
modbus_field.py   Modbus devices on an RS-485 line and over TCP
gps_field.py      a GPS receiver on a round trip
counter_field.py  a people counter above a door
pins_field.py     smoke detector contacts, and an eye on the siren's relay
drift.py          temperatures that wander, and people who come and go
site.py           all of these together: the site of config/demo.yaml
broker.py         an MQTT broker in the process; broker_client.py, packet*.py and sessions.py belong to it
story.py          what happens when, and which alarms must come of it
show.py           carries the story out and looks at the gateway meanwhile
platform.py       the consumer behind the broker, which also sends commands; tally.py counts for it
witness.py        what was seen of the promises; unsent.py asks the journal itself
view.py           what is shown; screen.py draws it, lines.py prints it, news.py says what has changed
summary.py        the verdict on each promise
performance.py    puts everything up, plays, and takes it down
"""
