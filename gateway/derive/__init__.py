"""Derived points: what follows from readings, as openings of a door or the people in a zone. Pure."""
