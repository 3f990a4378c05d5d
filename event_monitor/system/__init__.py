"""What watches the whole: the state machine and the alerts."""
