"""What is protected: HTTP, TCP, command, MCP and process services, and the fallback providers."""
