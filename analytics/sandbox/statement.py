"""What a statement may hold: one question about the lake's views, told by the engine's own syntax tree.

Everything that isn't known to be harmless is refused: other statements, other relations, functions that aren't in
`functions.txt`, kinds of nodes that this list doesn't name. A new version of the engine may bring new ones; they are
refused until somebody has looked at them.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

MOST_CHARACTERS = 100_000

_Node = Mapping[str, Any]
_FUNCTIONS = frozenset(
    name
    for line in Path(__file__).with_name("functions.txt").read_text(encoding="utf-8").splitlines()
    if not line.startswith("# ")
    for name in line.split()
)
_TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest", "json_each", "json_tree", "repeat", "repeat_row"})
_COLLATIONS = frozenset({"nocase", "noaccent", "nfc", "binary"})
_KINDS_OF_EXPRESSION = frozenset(
    """BETWEEN CASE CAST COLLATE COLUMN_REF COMPARISON CONJUNCTION CONSTANT DEFAULT FUNCTION LAMBDA LAMBDA_REF OPERATOR
    POSITIONAL_REFERENCE STAR SUBQUERY TYPE WINDOW""".split()
)
_KINDS_OF_NODE = frozenset(
    """SELECT_NODE SET_OPERATION_NODE RECURSIVE_CTE_NODE CTE_NODE
    BASE_TABLE EMPTY EXPRESSION_LIST JOIN PIVOT SHOW_REF SUBQUERY TABLE_FUNCTION
    DISTINCT_MODIFIER LIMIT_MODIFIER LIMIT_PERCENT_MODIFIER ORDER_MODIFIER
    ASCENDING DESCENDING ORDER_DEFAULT""".split()
)
_PLAIN_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_SYSTEM_NAME = re.compile(r"(?:duckdb|pg|pragma|sqlite|information)_")
_COMMENT = re.compile(r"--[^\n]*(?:\n|$)|/\*(?:[^*]|\*(?!/))*\*/|\s+")
_EXPLAIN = re.compile(r"explain\s+(?P<analyse>analyze\s+)?(?=[a-z(/-])", re.IGNORECASE)
_WORD = re.compile(r"[A-Za-z]+")
_WRITING = {"INSERT_QUERY_NODE", "UPDATE_QUERY_NODE", "DELETE_QUERY_NODE", "MERGE_QUERY_NODE"}


class Refused(Exception):
    """A statement isn't taken; the message is one sentence for whoever wrote it."""


@dataclass(frozen=True, slots=True)
class Question:
    """One statement that may be run: its text, how it was written, and whether it asks for the plan alone."""

    sql: str
    written: str
    is_explain: bool = False

    def place(self, byte: object) -> str:
        """Where in the text that was written a byte of `sql` stands: « (line 2, column 5)», or nothing."""
        asked = self.sql.removeprefix("explain ").removeprefix("analyze ") if self.is_explain else self.sql
        shift = len(self.sql) - len(asked)
        is_known = isinstance(byte, int | str) and str(byte).isdigit()
        return place_of(self.written, len(self.written) - len(asked), asked, int(str(byte)) - shift if is_known else "")


def allowed(engine: duckdb.DuckDBPyConnection, sql: str, views: Collection[str]) -> Question:
    """The one question that `sql` asks about `views`. Raises Refused with the reason, and the place where it is known.

    `engine` only parses here.
    """
    if len(sql) > MOST_CHARACTERS:
        raise Refused(f"This statement has {len(sql):,} characters; at most {MOST_CHARACTERS:,} are taken.")
    text = sql[_beginning(sql) :]
    explain = _EXPLAIN.match(text)
    asked = text[explain.end() :] if explain else text
    offset = len(sql) - len(asked)
    tree = _tree(engine, asked, sql, offset)
    if not tree:
        raise Refused("There is no statement. Ask for example: SELECT count(*) FROM errors")
    if len(tree) > 1:
        raise Refused(f"There are {len(tree)} statements; ask one at a time.")
    try:
        _Inspection(frozenset(views), sql, offset).look(tree[0]["node"], frozenset())
        if tree[0].get("named_param_map"):
            raise Refused("A parameter such as $1 or ? has no value here; write the value itself.")
    except RecursionError:
        raise Refused("This statement is nested too deeply.") from None
    plan = "explain analyze " if explain and explain["analyse"] else "explain "
    return Question(plan + asked, sql, True) if explain else Question(asked, sql)


def _beginning(sql: str) -> int:
    """Where the first word stands, behind spaces and comments."""
    position = 0
    while match := _COMMENT.match(sql, position):
        if match.end() == position:
            break
        position = match.end()
    return position


def _tree(engine: duckdb.DuckDBPyConnection, asked: str, sql: str, offset: int) -> list[dict[str, Any]]:
    rows = engine.execute("select json_serialize_sql($1::varchar)", [asked]).fetchall()
    try:
        answer = json.loads(rows[0][0])
    except (RecursionError, ValueError):
        raise Refused("This statement is nested too deeply.") from None
    if not answer["error"]:
        return list(answer["statements"])
    if answer["error_type"] == "not implemented":
        raise Refused(_why_not(asked))
    message = str(answer["error_message"]).split("\n", 1)[0].rstrip(".")
    if "expression depth" in message:
        raise Refused("This statement is nested too deeply.")
    place = place_of(sql, offset, asked, answer.get("position"))
    raise Refused(f"{message[:1].upper()}{message[1:]}{place}.")


def place_of(sql: str, offset: int, asked: str, byte: Any) -> str:
    """« (line 2, column 5)» for a position that the engine counts in bytes of `asked`, which begins at `offset`."""
    try:
        number = int(byte)
    except (TypeError, ValueError):
        return ""
    encoded = asked.encode()
    if not 0 <= number <= len(encoded):
        return ""
    before = sql[:offset] + encoded[:number].decode(errors="ignore")
    return f" (line {before.count(chr(10)) + 1}, column {len(before) - before.rfind(chr(10))})"


def _why_not(asked: str) -> str:
    word = _WORD.match(asked)
    first = word[0].upper() if word else "This"
    if first in ("PIVOT", "PIVOT_WIDER", "FROM", "SELECT", "WITH") and "pivot" in asked.lower():
        return "PIVOT needs to be told its values, for example: ON severity IN ('high', 'medium', 'low')."
    return (
        f"{first} isn't taken here: only questions are, which begin with SELECT, FROM, WITH, VALUES, PIVOT, UNPIVOT, "
        "DESCRIBE, SUMMARIZE or EXPLAIN."
    )


class _Inspection:
    """One walk through the tree. Names of common table expressions are known where the engine knows them."""

    def __init__(self, views: frozenset[str], sql: str, offset: int) -> None:
        self._views = views
        self._sql = sql
        self._asked = sql[offset:]
        self._offset = offset

    def look(self, node: object, known: frozenset[str]) -> None:
        if isinstance(node, list):
            for item in node:
                self.look(item, known)
        elif isinstance(node, dict):
            self._check(node, known)
            known = self._with_cte(node, known)
            for name, value in node.items():
                if name != "cte_map":
                    self.look(value, known)

    def _with_cte(self, node: _Node, known: frozenset[str]) -> frozenset[str]:
        """What is known in `node`: each expression knows those before it, and itself where it is recursive."""
        for name, expression in _common_tables(node):
            if not _PLAIN_NAME.fullmatch(name) or _SYSTEM_NAME.match(name):
                raise Refused(f"Give {name[:40]!r} a plain name of letters, digits and underscores.")
            query = expression.get("query_node") or {}
            is_recursive = query.get("type") == "RECURSIVE_CTE_NODE"
            self.look(expression, known | {name} if is_recursive else known)
            known |= {name}
        return known

    def _check(self, node: _Node, known: frozenset[str]) -> None:
        kind = node.get("type")
        if "class" in node:
            self._check_expression(node)
        elif isinstance(kind, str) and kind not in _KINDS_OF_NODE:
            if kind in _WRITING:
                raise Refused("Nothing can be written here: only questions are taken.")
            raise Refused(f"{_spoken(kind)} isn't taken here.")
        elif kind == "BASE_TABLE":
            self._check_table(node, known)
        elif kind == "SHOW_REF":
            self._check_show(node)
        if "function_name" in node and "class" not in node:
            self._check_function(node, _FUNCTIONS)
        if kind == "TABLE_FUNCTION":
            self._check_function({**node["function"], "query_location": node["query_location"]}, _TABLE_FUNCTIONS)
        if node.get("at_clause"):
            raise Refused("AT (VERSION or TIMESTAMP) isn't taken here: the lake has no versions.")
        if node.get("pivot_enum"):
            raise Refused("PIVOT can't take its values from a type here; list them with IN.")

    def _check_expression(self, node: _Node) -> None:
        kind = node["class"]
        if kind == "PARAMETER":
            raise Refused(f"A parameter has no value here{self._place(node)}; write the value itself.")
        if kind not in _KINDS_OF_EXPRESSION:
            raise Refused(f"{_spoken(kind)} isn't taken here{self._place(node)}.")
        if kind == "COLLATE" and str(node.get("collation", "")).lower() not in _COLLATIONS:
            raise Refused(f"Only the collations {', '.join(sorted(_COLLATIONS))} are known here{self._place(node)}.")
        if "function_name" in node:
            self._check_function(node, _FUNCTIONS | _TABLE_FUNCTIONS)

    def _check_function(self, node: _Node, accepted: Collection[str]) -> None:
        name = str(node["function_name"])
        where = (str(node.get("schema", "")).lower(), str(node.get("catalog", "")).lower())
        if name.lower() not in accepted or where[0] not in ("", "main") or where[1]:
            written = ".".join([*(part for part in reversed(where) if part), name])
            if name.lower() not in accepted and name.lower() in _FUNCTIONS:
                raise Refused(f"The function {name} gives a value, not rows{self._place(node)}.")
            raise Refused(f"The function {written[:60]} isn't available here{self._place(node)}.")

    def _check_table(self, node: _Node, known: frozenset[str]) -> None:
        name = str(node["table_name"])
        schema, catalog = str(node.get("schema_name", "")).lower(), str(node.get("catalog_name", "")).lower()
        path = node.get("qualified_name", {}).get("path", [name])
        if not schema and not catalog and len(path) == 1 and name.lower() in known | self._views:
            return
        if schema == "main" and not catalog and len(path) == 2 and name.lower() in self._views:
            return
        written = ".".join(map(str, path))[:60]
        raise Refused(f"There is no {written!r} here{self._place(node)}: ask about {' or '.join(sorted(self._views))}.")

    def _check_show(self, node: _Node) -> None:
        name = str(node.get("table_name", "")).strip('"').lower()
        if node.get("query") is None and name not in self._views | {"tables"}:
            raise Refused(f"Only SHOW TABLES, and DESCRIBE of {' or '.join(sorted(self._views))}, are taken here.")

    def _place(self, node: _Node) -> str:
        return place_of(self._sql, self._offset, self._asked, node.get("query_location"))


def _common_tables(node: _Node) -> Iterator[tuple[str, _Node]]:
    for entry in (node.get("cte_map") or {}).get("map", ()):
        yield str(entry["key"]).lower(), entry["value"]


def _spoken(kind: str) -> str:
    return kind.replace("_", " ").capitalize()
