"""What this process is doing. `serve` sets `draining` when it has been told to stop."""

draining = False
