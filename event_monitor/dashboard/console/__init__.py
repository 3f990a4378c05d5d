"""Console: the commands of event-cli, typed."""
