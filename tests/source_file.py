"""A Python file as the house's rules look at it: its imports, its comments, its room."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class Source:
    """One file: its path from the top of the project, and its text."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        return tuple(ast.walk(self.tree))

    @cached_property
    def comments(self) -> dict[int, str]:
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    @property
    def room(self) -> str:
        """The room of `gateway` that this file belongs to, else nothing."""
        return room_of(self.module)

    def reason(self, line: int) -> str:
        """The words of the comment on this line, or of the whole-line comment above it, without the ignores."""
        above = self.comments.get(line - 1, "")
        whole_line = self.text.splitlines()[line - 2].lstrip().startswith("#") if line > 1 else False
        said = self.comments.get(line, "") + (above if whole_line else "")
        return re.sub(r"noqa:[A-Z0-9, ]*|type: ignore\[[a-z, -]*\]|[^a-zA-Z]+", "", said)

    def at(self, node: ast.AST, what: str) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)}: {what}"

    def imports(self) -> Iterator[tuple[ast.AST, str]]:
        """Every name imported, in full: `from a import b` gives `a.b`."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from ((node, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((node, f"{self.origin(node)}.{alias.name}") for alias in node.names)
            elif isinstance(node, ast.Call) and name_of(node.func) in {"import_module", "__import__"}:
                yield from ((node, str(arg.value)) for arg in node.args[:1] if isinstance(arg, ast.Constant))

    def origin(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.module.split(".")
        dropped = node.level - self.path.endswith("/__init__.py")
        return ".".join([*package[: len(package) - dropped], *filter(None, [node.module])])


def name_of(node: ast.AST) -> str:
    """The last word of `x` or `a.b.x`."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def room_of(module: str) -> str:
    parts = module.split(".")
    return parts[1] if parts[0] == "gateway" and len(parts) > 1 else ""
