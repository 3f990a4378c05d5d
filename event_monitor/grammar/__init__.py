"""The grammar that ``event-cli``, the console and the REPL share: one table of commands, how words
become messages, and how replies become text. Free of Textual, YAML and asyncio."""
