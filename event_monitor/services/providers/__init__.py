"""What answers when a service cannot: local files, local repositories, remembered answers, documentation."""
