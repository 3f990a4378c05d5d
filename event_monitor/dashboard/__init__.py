"""The Textual dashboard. It knows a client and plain data, never the bus."""
