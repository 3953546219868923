"""Rules tried on the site's own past: readings of the journal judged as the hub judges, at full speed."""
