"""Reads Python source as a syntax tree."""

from __future__ import annotations

import ast
import gc


def syntax_tree(source: str) -> ast.Module:
    """The tree of a module. No collection begins meanwhile: one may let another thread make a tree, which
    CPython before 3.11.8 and 3.12.2 takes for an error in this one (gh-106905)."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        if collecting:
            gc.enable()
