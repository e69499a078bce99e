"""One mistake that engines, and versions of them, word differently, in one wording."""

import re

_NAME = r"[\"'`«]?([\w$]{1,80})[\"'`»]?"
_WORDINGS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(expression), wording)
    for expression, wording in (
        # A property of nothing: V8 today and before, Firefox, Safari.
        (
            rf"Cannot (?:read|set) propert(?:y|ies) of (?:undefined|null) \((?:reading|setting) {_NAME}\)",
            r"nothing has no ⟨\1⟩",
        ),
        (rf"Cannot (?:read|set) property {_NAME} of (?:undefined|null)", r"nothing has no ⟨\1⟩"),
        (rf"can't access property {_NAME},? [^\n]{{1,200}} is (?:undefined|null)", r"nothing has no ⟨\1⟩"),
        (
            r"(?:undefined|null) is not an object \(evaluating [\"'`](?:[^\"'`\n]{0,200}?[.\]])?([\w$]{1,80})[^\"'`\n.]{0,80}[\"'`]\)",
            r"nothing has no ⟨\1⟩",
        ),
        (r"(?:is not a function)\. \(In [^\n]{1,300}\)", "is not a function"),
        (rf"Can't find variable: {_NAME}", r"\1 is not defined"),
        (
            rf"Cannot access {_NAME} before initialization|can't access lexical declaration {_NAME} before init\w*",
            r"⟨\1\2⟩ before initialization",
        ),
        (
            r"Assignment to constant variable|invalid assignment to const [^\n]{1,90}|Attempted to assign to readonly property",
            "assignment to a constant",
        ),
        # A text that is no JSON.
        (
            r"Unexpected (?:token|non-whitespace|string|number|end of)[^\n]{0,200} JSON\b(?: (?:at|input)[^\n]{0,90})?"
            r"|Unexpected (?:token|end of JSON)[^\n]{0,200} is not valid JSON"
            r"|JSON\.parse: [^\n]{1,200}|JSON Parse error: [^\n]{1,200}",
            "not valid JSON",
        ),
        # Browsers that can't reach a server.
        (
            r"Failed to fetch\b(?! dynamically)|NetworkError when attempting to fetch resource|(?:\A|(?<=: ))Load failed\b",
            "fetch failed",
        ),
        (
            r"(?:Failed to fetch|error loading) dynamically imported module|Importing a module script failed"
            r"|Loading (?:CSS )?chunk \S{1,80} failed",
            "a chunk failed to load",
        ),
        (r"ResizeObserver loop (?:limit exceeded|completed with undelivered notifications)", "ResizeObserver loop"),
        # Ruby, before and after 3.4.
        (r"undefined (?:local variable or )?method [`']([^'\n]{1,80})' for nil(?::NilClass)?", r"nil has no ⟨\1⟩"),
        (
            r"undefined (?:local variable or )?method [`']([^'\n]{1,80})' for (?:an instance of |#<)([\w:]{1,120}?)(?::0x\w{1,16}[^>\n]{0,300}>?|>|\b)",
            r"\2 has no ⟨\1⟩",
        ),
        (r"(?:undefined|object null|[\w$.]{1,80}) is not iterable(?: \([^)\n]{1,120}\))?", "is not iterable"),
        (
            r"(?<![\w$.])[A-Za-z_$][\w$]?((?:\.[\w$]{1,80}){0,6}) is not (a function|a constructor|iterable)",
            r"it\1 is not \2",  # what minifying called it
        ),
        # PHP 7 and 8.
        (r"Undefined (?:array key|index:?|offset:?) \"?([\w.-]{1,80})\"?", r"undefined key ⟨\1⟩"),
        (r"Undefined variable:? \$?(\w{1,80})", r"undefined variable ⟨\1⟩"),
        (r"Trying to access array offset on (?:value of type )?(\w{1,20})", r"array offset on \1"),
        (
            r"Attempt to read property \"(\w{1,80})\" on \w{1,20}|Trying to get property '(\w{1,80})' of non-object",
            r"nothing has no ⟨\1\2⟩",
        ),
        (r"(for model \[[^\]\n]{1,120}\]) [^\n]{1,120}", r"\1"),
        # Rust before and after 1.73.
        (r"panicked at '([^\n]{1,300}?)', ([^\s:]{1,200}:\d{1,7}:\d{1,7})", r"panicked at \2:\n\1"),
        # Classes that are generated while a program runs.
        (
            r"(?<=\w)\$\$?(?:HibernateProxy|EnhancerBy\w{1,40}|FastClassBy\w{1,40}|SpringCGLIB|Lambda|ByteBuddy|Proxy\d|jaxb)[\w$/.]{0,80}",
            "",
        ),
        (r"uninitialized constant ([\w:]{1,120})", r"uninitialized constant ⟨\1⟩"),
        # The JVM, with and without helpful messages.
        (
            r"Index:? (-?\d{1,10}),? (?:out of bounds for length|Size:?) \d{1,10}|Index \d{1,10} out of bounds",
            "index out of bounds",
        ),
        # Go, whoever gave up first.
        (
            r"context deadline exceeded \(Client\.Timeout[^)\n]{0,80}\)|Client\.Timeout exceeded while[^\n]{0,60}",
            "context deadline exceeded",
        ),
    )
)
_ANY = re.compile(
    r"JSON|propert|lexical|initialization|not an object|\(In |Can't find|onstant|fetch|Load|mport|chunk|ResizeObserver"
    r"|ndefined|Index|Client\.Timeout|not a |iterable|rray offset|for model|panicked|\$"
)


def in_one_wording(text: str) -> str:
    """`text` with what engines word differently said in one way."""
    if _ANY.search(text):
        for expression, wording in _WORDINGS:
            text = expression.sub(wording, text)
    return text
