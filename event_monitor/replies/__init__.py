"""What each command and query answers: frozen structs, a module for each of the parts that are asked."""
