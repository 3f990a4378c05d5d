"""Events: the whole history, filtered, followed, looked into."""
