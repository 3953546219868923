"""The hub: the one thread that decides. decide.py is pure of I/O; room.py is its thread."""
