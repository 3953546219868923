"""The registry of drivers: one line per driver; others register through the entry-point group `sitewarden.drivers`."""
