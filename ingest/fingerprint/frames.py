"""The way that an error took through a program, by names that a new build, another machine and a deeper recursion leave
as they are."""

import re

Frame = tuple[str, str, str]  # file, function, module

_MOST_STEPS = 5  # from the innermost outwards

_LIBRARY = re.compile(
    r"(?:^|[/\\])(?:node_modules|site-packages|dist-packages|vendor|bower_components|gems|jre|jdk|rustc|\.pnpm|\.yarn)[/\\]"
    r"|(?:^|[/\\])vendors?[.~-]|/pkg/mod/|\.cargo/registry|/cargo/registry|^node:|^internal/|^<frozen |^native\b"
    r"|/lib(?:64)?/python\d|/usr/(?:local/)?(?:lib|go)|^library/(?:core|std|alloc)/|^<anonymous>$|^\[native|^\(native|BOOT-INF/lib"
    r"|polyfills?[.-]|^(?:chrome|moz|safari-web)-extension:",
    re.IGNORECASE,
)
_LIBRARY_MODULE = re.compile(
    r"(?:java|javax|jakarta|jdk|sun|com\.sun|kotlin|kotlinx|scala|groovy|clojure|akka|reactor|io\.netty"
    r"|org\.(?:springframework|apache|hibernate|eclipse|codehaus|jboss|postgresql)|System|Microsoft|MS|Npgsql|runtime"
    r"|net/http|Illuminate|Symfony|core|std|alloc|tokio|asyncio|concurrent)(?:[.\\/:]|$)"
)

# Where a program lies on a machine says nothing of it.
_ROOT = re.compile(
    r"^(?:file|https?|webpack(?:-internal)?|app|capacitor|ng|turbopack|rsc|vite|blob:https?)?:/{2,3}(?:[^/]*/)?(?:\./)?"
    r"|^[A-Za-z]:[/\\]|^.*/BOOT-INF/(?:classes|lib)[/!]*"
)
_HOMES = frozenset(
    """app apps srv opt var www html home users user root tmp usr local code build builds work workspace src current
    release releases deploy deployment deployments shared live blue green main master dist out lib task function
    functions wwwroot site inetpub public static assets js bin target classes service services repo""".split()
)
_BUNDLE_HASH = re.compile(
    r"[.~_-](?:(?=[A-Za-z_]{0,31}\d|[a-f]{8})[A-Za-z0-9_]{6,40}"
    r"|(?=[A-Za-z_]{0,5}[a-z_][A-Z][A-Za-z_]{0,5}?[a-z_][A-Z])[A-Za-z_]{8})"
    r"(?=(?:\.(?:min|bundle|chunk|module|prod|production))*\.[cm]?js$|\.css$)"
)
_HASHED_WHOLE = re.compile(r"^(?=[A-Za-z]{0,30}\d)[0-9a-f]{6,40}(?=\.)|^[0-9a-f]{16,40}(?=\.)", re.IGNORECASE)
_HASHED_PART = re.compile(r"(?<![A-Za-z0-9])(?=[a-f]{0,40}\d)[0-9a-f]{7,40}(?![A-Za-z0-9])")
_SCRIPT_ENDING = re.compile(r"(?:\.min|\.bundle|\.prod)?\.(?:[cm]?[jt]s|[jt]sx)$")
_NUMBER = re.compile(r"\d+")
_QUERY = re.compile(r"[?#].*$", re.DOTALL)

_ANONYMOUS = re.compile(
    r"^(?:<?\(?\[?anonymous(?: function| class)?\]?\)?>?|\?|<unknown>|unknown|<lambda>|lambda|\{+closure\}+|closure"
    r"|eval( code)?|<eval>|eval at .*|<module>|<main>|<top \(required\)>|global code|module code|func|fn|<fn>|callback"
    r"|_callee\d*\$?|_temp|invokesuspend|asyncgenerator(?:step)?|_next|_throw|step|fulfilled|rejected|__awaiter|value"
    r"|main|0x[0-9a-f]+|)$",
    re.IGNORECASE,
)
_GO_RECEIVER = re.compile(r"\(\*(\w+)(?:\[[^\]]*\])?\)")
_KOTLIN_SUFFIX = re.compile(r"(?:\$(?:default|suspendImpl|lambda[-$]?\d*|lambda|annotations))+$")
_GENERICS = re.compile(r"(?<=\w)<[^<>]*>")
_IN_PYTHON = ("<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>")  # newer versions have no frame for most
_ALIAS = re.compile(r" \[as [^\]]{1,200}\]$| \(.{0,200}\)$|@.{0,200}$")
_ASYNC = re.compile(
    r"^(?:async[ *]|new |static |get |set |bound |promise callback\*|Promise\.|promisereactionjob )+", re.I
)
_JS_OWNER = re.compile(
    r"^(?:Object|Function|Module|exports|Array|Promise|Proxy|module\.exports|window|self|globalThis)\."
)
_FIREFOX_INNER = re.compile(r"[/<][^.]*$")
_RUST_HASH = re.compile(r"::h[0-9a-f]{16}$")
_RUST_CLOSURE = re.compile(r"(?:::\{\{?(?:closure|async_(?:block|fn)_env|constant|impl)[^}]*\}?\}(?:#\d+)?)+")
_GO_CLOSURE = re.compile(r"(?:\.func\d+(?:\.\d+)*|\.gowrap\d+|\.deferwrap\d+|-fm)+$|\[\.\.\.\]")
_NET_ASYNC = re.compile(r"^(?:.*[.+])?<(\w+)>(?:d__\d+(?:`\d+)?\.MoveNext|[bg]__.*)$")
_NET_STATE = re.compile(r"[.+]<(\w+)>d__\d+(?:`\d+)?$")
_RUBY_OWNER = re.compile(r"^(?:[A-Z]\w*(?:::[A-Z]\w*)*|singleton class)[#.](?=[a-z_])")
_PHP_OWNER = re.compile(r"^.*(?:::|->)|^.*\\(?=\{closure)", re.DOTALL)
_CLOSURE_IN = re.compile(r"^(?:closure #\d+|anonymous fn/\d+|implicit closure #\d+)(?: \([^)]*\))? in ")
_FUNCTION_NUMBER = re.compile(
    r"(?:__\d+|_\d{4,})$|(?<=lambda_method)\d+|(?<=-fun)-\d+-$|(?<=\$)eval\d+|(?<=-)\d+(?=-$)"
)
_NET_CLOSURE = re.compile(r"<>c(?:__DisplayClass\d+_\d+)?(?:<[^>]*>)?[.+]")
_NET_LOCAL = re.compile(r"^(?:.*\.)?<(\w+)>g__(\w+)\|[\d_]+$")
_RUBY_BLOCK = re.compile(r"^(?:(?:block|rescue|ensure)(?: \(\d+ levels\))? in )+")
_RUBY_TEMPLATE = re.compile(r"_{1,4}\d{6,}_\d+$")
_PHP_CLOSURE = re.compile(r"\{closure(?::[^}]*)?\}|(?<=class@anonymous).*", re.DOTALL)
_JVM_LAMBDA = re.compile(
    r"^lambda\$(\w+)\$\d+$|^\$anonfun\$(\w+?)\$\d+(?:\$adapted)?$|^access\$\d+$|^(\w+)\$lambda[-$]\d+$"
)
_JVM_GENERATED = re.compile(
    r"\$\$(?:Lambda|EnhancerBySpringCGLIB|FastClassBySpringCGLIB|SpringCGLIB|EnhancerByGuice|EnhancerByCGLIB)\b.*"
    r"|\$(?:HibernateProxy|ByteBuddy|MockitoMock|_javassist|Proxy|jaxb|\$_WeldClientProxy|\$_WeldSubclass)\b.*|\$\d+\b|/0x[0-9a-f]+"
)
_GENERATED_ACCESSOR = re.compile(
    r"(?:Generated|Native|Delegating|Direct)(?:Method|Constructor)(?:Handle)?Accessor\w*|LambdaForm\$\w+"
)
_SYMFONY_CONTAINER = re.compile(r"\bContainer[A-Za-z0-9_]{7}\b(?=[\\/])|(?<=[\\/])Container[A-Za-z0-9_]{7}$")
_JS_FILE = re.compile(r"(?:\.(?:[cm]?js|jsx)|[/.]chunk|^<anonymous>)(?:$|\?)|^https?://", re.IGNORECASE)


# Loops and wrappers of every program: where there are others, they say nothing.
_BUILT_IN = re.compile(
    r"^(?:Array|Hash|Enumerable|Enumerator|Integer|Range|Kernel|Struct|Set|Map|Object|Promise|Function|Reflect|JSON|String"
    r"|Symbol|Proc|Method|BasicObject|TypedArray|Iterator|Generator|Number|RegExp|Date|Math)[.#](?:<\w+>|\w+)[?!]?$"
    r"|^(?:wrapper|wrapped|_wrapper|inner|_inner|decorated|decorator|async_wrapper|sync_wrapper|call_user_func(?:_array)?"
    r"|array_map|array_walk|array_filter|usort|invoke|invoke0|invokeExact)$"
)
_RUBY_LOOPS = frozenset(
    """each map each_with_index each_with_object inject reduce select reject times loop tap then sum flat_map collect
    each_slice each_pair each_value find detect any? all? sort_by group_by instance_exec instance_eval public_send send
    catch synchronize new""".split()
)
_NO_FILES = (
    "<anonymous>",
    "[native code]",
    "native",
    "<generated>",
    "[internal function]",
    "<__array_function__",
    "<decorator-gen",
)


def _is_built_in(frame: Frame) -> bool:
    file, function, _ = frame
    if file.startswith(_NO_FILES) or _BUILT_IN.match(function.strip().removeprefix("async ")):
        return True
    return file.endswith(".rb") and function in _RUBY_LOOPS


def steps_of(frames: tuple[Frame, ...], *, are_ours: bool, is_overflow: bool = False) -> list[str]:
    """The steps that count, innermost first, each once: a recursion is as one however deep. `are_ours` where the frames
    are known to be the program's own. Of a stack that overflowed, what repeats counts."""
    if not are_ours:
        frames = tuple(frame for frame in frames if not _is_library(frame)) or frames
    frames = tuple(frame for frame in frames if not _is_built_in(frame)) or frames
    named = [_step(frame) for frame in reversed(frames)]
    if is_overflow:
        written = [f"{place}:{function}" for place, function in named]
        return sorted({step for step in written if written.count(step) > 1}) or written[:2]
    steps: list[str] = []
    for position, (place, function) in enumerate(named):
        if not function:
            before = named[position - 1][0] if position else ""
            after = named[position + 1][0] if position + 1 < len(named) else ""
            if place in (before, after):
                continue  # an anonymous function within a named one of the same file comes and goes
        step = f"{place}:{function}"
        if step in steps:
            del steps[steps.index(step) + 1 :]  # what called itself in between is a recursion
        else:
            steps.append(step)
    return steps[:_MOST_STEPS] or [f"{place}:{function}" for place, function in named[:1]]


def are_telling(steps: list[str]) -> bool:
    """Whether any step has a name: those of minified bundles have none."""
    return any(not step.endswith(":") for step in steps)


def _is_library(frame: Frame) -> bool:
    file, _, module = frame
    return _LIBRARY.search(file) is not None or _LIBRARY_MODULE.match(module) is not None


def _step(frame: Frame) -> tuple[str, str]:
    file, function, module = frame
    name = _function(function, is_script=_JS_FILE.search(file) is not None)
    if "<" in module and (state := _NET_STATE.search(module)):
        return _module(module[: state.start()]), state[1]
    if file.endswith((".rb", ".erb", ".rake")):
        name = _RUBY_OWNER.sub("", name)
    elif file.endswith(".php"):
        name = "" if name == module else name.rpartition("::")[2]  # a closure of the class itself
    if module and module not in ("__main__", "<unknown module>", "<unknown>"):
        return _module(module), name
    return _file(file), name


def _function(function: str, *, is_script: bool) -> str:
    """The name of a function without what compilers, engines and versions of them add; empty for one without a name."""
    name = function.strip()
    if name in _IN_PYTHON:
        return ""
    name = _ASYNC.sub("", _ALIAS.sub("", name))
    if "$" in name and (found := _JVM_LAMBDA.match(name)):
        name = next(filter(None, found.groups()), "")
    if "$" in name:
        name = _KOTLIN_SUFFIX.sub("", name)
    if "(*" in name:
        name = _GO_RECEIVER.sub(r"\1", name)
    if "<" in name:
        if found := _NET_LOCAL.match(name):
            return f"{found[1]}.{found[2]}"
        name = _NET_CLOSURE.sub("", name)
        if found := _NET_ASYNC.match(name):
            return found[1]
        if "<locals>." in name:
            name = name.rpartition("<locals>.")[2]
    if "::" in name:
        name = _GENERICS.sub("", _RUST_CLOSURE.sub("", _RUST_HASH.sub("", name)))
    if "{closure" in name or "->" in name or "\\" in name or "class@anonymous" in name:
        name = _PHP_OWNER.sub("", _PHP_CLOSURE.sub("", name)).rstrip("\\:")
    name = _FUNCTION_NUMBER.sub("", _RUBY_TEMPLATE.sub("", _CLOSURE_IN.sub("", name)))
    name = _GO_CLOSURE.sub("", _RUBY_BLOCK.sub("", name))
    return _script_function(name) if is_script else _unnumbered(name)


def _script_function(name: str) -> str:
    name = _JS_OWNER.sub("", name)
    if "/" in name:
        name = _FIREFOX_INNER.sub("", name)
    owner, _, last = name.rpartition(".")
    if len(last) <= 2 or last == "<anonymous>":
        return ""  # minified: the next build calls it otherwise
    if owner and any(len(part) <= 2 for part in owner.split(".")):
        name = last
    return _unnumbered(name)


def _unnumbered(name: str) -> str:
    if not name.isascii() or not any(map(name.__contains__, "$0123456789<({[?")):
        return "" if _ANONYMOUS.match(name) and name not in ("main", "step", "value", "callback") else name
    bare = re.sub(r"[$_]?\d+$", "", name) if re.search(r"\$\d+$|anonymous", name) else name
    if bare.rpartition(".")[2] in ("<anonymous>", "anonymous", "(anonymous)"):
        return ""
    return "" if _ANONYMOUS.match(bare) else _HASHED_PART.sub("#", bare)


def _module(module: str) -> str:
    if "$" in module or "Accessor" in module:
        module = _GENERATED_ACCESSOR.sub("Accessor", _JVM_GENERATED.sub("", module))
    if "Container" in module:
        module = _SYMFONY_CONTAINER.sub("Container", module)
    return _NUMBER.sub("#", _HASHED_PART.sub("#", module))


def _file(file: str) -> str:
    """The file's name and the directory that it lies in, where that is a part of the program."""
    path = _ROOT.sub("", _QUERY.sub("", file)).replace("\\", "/")
    *directories, base = path.split("/")
    base = _HASHED_WHOLE.sub("#", _BUNDLE_HASH.sub("", base))
    if _SCRIPT_ENDING.search(base):  # also as what it is compiled from
        base = _NUMBER.sub("#", _SCRIPT_ENDING.sub("", base))
    elif base.startswith("<") or base.partition(".")[0].isdecimal() or base.endswith(".groovy"):
        base = _NUMBER.sub("#", _HASHED_PART.sub("#", base))
    place = directories[-1] if directories else ""
    above = directories[-2].lower() if len(directories) > 1 else ""
    if place.lower() in _HOMES or above in ("home", "users", "releases", "tmp", "deployments"):
        return base
    return f"{_NUMBER.sub('#', _HASHED_PART.sub('#', place))}/{base}" if place else base
