"""The simulated site of `sitewarden demo`: field devices on real wires, a broker, a story, and who watches it."""
