"""Rules: conditions on points, the life cycle of alarms, and the responses that they call for. Pure."""
