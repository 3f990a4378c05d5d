"""The Unix socket: its protocol, its server, and two clients with one face."""
