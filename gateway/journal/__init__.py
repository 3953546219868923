"""The journal: the durable log of records and of the state that belongs to them, and what each uplink has acknowledged.

| file | is |
|---|---|
| thread.py | the room's thread: group commit, what waits while the disk fails, answers for the senders |
| store.py | the SQLite file, and its invariants |
| waiting.py | pure: decisions that are not on the disk yet, in bounded memory |
| ledger.py | pure: which rows exist, which are gone, which uplink has which |
| chain.py, verify.py | pure: the hash chain of the events and what breaks it; the check of a file's |
| chaining.py | the chain in the file, with every insert and deletion |
| ranges.py | pure: sets of ids as few long ranges |
| opening.py, enrolment.py | the connection; what the file says at start, and the new run's place in it |
| migrations.py | the schema |
| reading.py | rows read back, and told from damaged ones |
| retention.py | what goes when it is old or the space is used up |
| gaps.py | what was given up unsent, until an event has announced it |
| space.py, ballast.py | the budget, and what a full disk needs |
| damage.py | the check at start, and setting a damaged file aside |
| salvage.py | what a damaged file still gives |
| faults.py | what SQLite and the kernel report, in words, as errors named by what happens next |
| inspection.py, copies.py | for commands: the file read beside the thread; copies of it, made and put in its place |
| statelock.py | one daemon per state directory |
"""
