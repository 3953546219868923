"""The uplink: from stored records to messages that the broker has acknowledged, and commands back.

contract.py   what the bytes on the wire are: topics and payloads
commands.py   what may come in, and the check of it
wire.py       what sender and wire tell each other
window.py     which messages wait for their acknowledgement, and whether one more may go (pure)
lanes.py      which records go next, and which must be asked for again from the journal (pure)
early.py      events that are sent before the disk has confirmed them (pure)
pace.py       an allowance per second (pure)
refusals.py   messages that the broker refused, and when each may be tried again (pure)
board.py      what is no record: status, alarms, about, health, replies (pure)
outbox.py     the order in which all of this leaves, and what acknowledgements mean (pure)
sweep.py      when to look for retained topics that are no more (pure)
sender.py     the sender's thread: its inbox, its neighbours, start and end
connector.py  the wire's thread: one connection after the other
mqtt.py       one connection, and the only user of paho
tls.py        how TLS is spoken
faults.py     what went wrong with a connection, in words that an installer can act on
rooms.py      puts the two threads of one uplink together
"""
