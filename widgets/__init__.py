"""The dashboard's widgets: pure functions that lay out plain data as lines, and what paints them."""
