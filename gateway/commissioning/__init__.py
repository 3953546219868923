"""What the commands for setting up know: which ports there are, who holds them, what answers, which profile fits."""
