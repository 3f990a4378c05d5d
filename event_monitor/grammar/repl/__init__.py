"""What the lines of ``event-cli repl`` and of the dashboard's console have in common: how a line becomes
words and a command, where it is wrong, what can complete it, and what is remembered of it."""
