"""YAML with the place of every value, so that a mistake in a file can be pointed at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from event_monitor.config_places import Mistake, Path, show_path

_MAX_VALUES = 20_000
_MAX_DEPTH = 16
_NULL = "tag:yaml.org,2002:null"
_TAB_HINT = "; indent with spaces, not tabs"


@dataclass(slots=True)
class YamlDocument:
    """A file's values, the line and column of each by its path (counted from 1), and its mistakes."""

    origin: str
    values: dict[str, Any] = field(default_factory=dict)
    places: dict[Path, tuple[int, int]] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)

    def complain(self, path: Path, found: str, expected: str) -> None:
        """Note a mistake at a key path."""
        key = ": " if path else " "
        self.mistakes.append(Mistake(path, f"{self.place(path)}{key}{found}; expected {expected}"))

    def complain_of_file(self, text: str) -> None:
        """Note a mistake that stands at no key."""
        self.mistakes.append(Mistake((), text))

    def place(self, path: Path) -> str:
        """``file:line:column: key path`` of a value, or of the nearest one around it."""
        known = path
        while known and known not in self.places:
            known = known[:-1]
        line, column = self.places.get(known, (1, 1))
        return f"{self.origin}:{line}:{column}:" + (f" {show_path(path)}" if path else "")


class _TooMuch(Exception):
    """Aliases that multiply, or nesting that no settings need."""


def read_yaml(content: bytes, document: YamlDocument) -> None:
    """Fill ``document`` from a file's content. Whatever is wrong with it becomes a mistake."""
    import yaml

    origin = document.origin
    try:
        text = content.decode("utf-8-sig")
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        document.complain_of_file(f"{origin}:{line}: the file is not UTF-8; save it as UTF-8")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{origin}:{mark.line + 1}:{mark.column + 1}" if mark else origin
        hint = _TAB_HINT if "\\t" in str(error.problem) else ""
        document.complain_of_file(f"{place}: not YAML: {error.problem or error.context}{hint}")
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        character = f"U+{ord(text[error.position]):04X}"
        document.complain_of_file(
            f"{origin}:{line}: not YAML: the character {character} is not allowed; remove it"
        )
    except RecursionError:
        document.complain_of_file(f"{origin}: nested deeper than {_MAX_DEPTH} levels; flatten it")
    else:
        if isinstance(root, yaml.MappingNode):
            _fill(document, root)
        elif root is not None and root.tag != _NULL:
            found = "a list" if isinstance(root, yaml.SequenceNode) else f"{root.value[:60]!r}"
            document.complain((), f"found {found}", "sections such as bus: and queue:")


def _fill(document: YamlDocument, root: Any) -> None:
    import yaml

    loader = yaml.SafeLoader("")
    try:
        document.values = _Walker(document, loader).mapping(root, ())
    except _TooMuch:
        document.complain_of_file(
            f"{document.origin}: more than {_MAX_VALUES:,} values, or nested deeper than {_MAX_DEPTH} levels;"
            " simplify it"
        )
    finally:
        loader.dispose()


class _Walker:
    """Turns nodes into plain values and notes where each stands."""

    def __init__(self, document: YamlDocument, loader: Any) -> None:
        self._document = document
        self._loader = loader
        self._left = _MAX_VALUES

    def mapping(self, node: Any, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = key_node.start_mark.line + 1, key_node.start_mark.column + 1
            if not isinstance(key_node.value, str):
                self._document.places[(*path, "?")] = place
                self._document.complain((*path, "?"), "found a list or mapping as a key", "a word")
                continue
            inner = (*path, key_node.value)
            self._document.places[inner] = place
            if key_node.value in result:
                self._document.complain(inner, "the key stands twice", "it once")
            result[key_node.value] = self._value(value_node, inner)
        return result

    def _value(self, node: Any, path: Path) -> Any:
        import yaml

        self._left -= 1
        if self._left < 0 or len(path) > _MAX_DEPTH:
            raise _TooMuch
        self._document.places.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(item, (*path, number)) for number, item in enumerate(node.value)]
        try:
            value = self._loader.construct_object(node)
        except (yaml.YAMLError, ValueError, LookupError, AttributeError):
            # What it is not able to mean (a date of month 13, a foreign tag, "!!int" of no digits, for which
            # PyYAML has no error of its own) is checked as the text it is.
            return node.value
        # Python refuses to write out a whole number of thousands of digits, and no setting is one.
        return node.value if isinstance(value, int) and value.bit_length() > 64 else value
