"""Dead letters: what could not be delivered, tried again or given up."""
