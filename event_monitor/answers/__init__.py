"""How each command and query is answered: one table behind ``Runtime.handle``, a module for each part."""
