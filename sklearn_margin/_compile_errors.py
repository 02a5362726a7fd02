"""What an author did wrong whose loss cannot be compiled: one sentence, and where.

When the compilation of a kernel fails, numba reports how it came to the failure, through code that
the author never saw. Here the methods are looked at one by one instead: first for what can be seen
without compiling (a misspelt name, a wrong number of arguments), then each is compiled alone, for
the types that the kernel asked for.
"""

import builtins
import contextlib
import difflib
import dis
import inspect
import re
from pathlib import Path
from types import CodeType, FunctionType

import numba
from numba.core import types

from sklearn_margin._jit import OPTIONS, class_source, compilable
from sklearn_margin._read_class import codes, reachable_methods

__all__ = ["explain_failure"]

_COMPILE_ERRORS = (numba.errors.NumbaError, numba.errors.UnsupportedBytecodeError)
_ALLOWED = (
    "Methods of a loss may use numbers, loops, math, numpy, the parameters of the loss, its other "
    "methods and plain functions of that kind"
)


def explain_failure(author, kernel=None, arguments=()) -> str | None:
    """What is wrong with a method of a loss: class, method, cause and place.

    Parameters
    ----------
    author : Loss
        The loss whose methods could not be compiled, or gave no number.
    kernel : callable, default=None
        The kernel that failed when it ran. It may come from the disk, and then has asked for no
        method in this process: it is compiled once more, in memory.
    arguments : tuple
        What the kernel was called with.

    Returns
    -------
    str or None
        None if each method compiles by itself and returns what it should.
    """
    cls = type(author)
    methods, _ = reachable_methods(cls)
    own = [name for name in methods if not _is_ours(getattr(cls, name))]
    for name in sorted(own, key=lambda name: getattr(cls, name).__code__.co_firstlineno):
        problem = _wrong_arguments(author, name) or _unknown_name(author, getattr(cls, name))
        if problem:
            return f"{cls.__name__}.{name} {problem}"
    requests = class_source(cls).requests
    if not requests and kernel is not None:
        with contextlib.suppress(*_COMPILE_ERRORS):
            again = numba.njit(**OPTIONS)(kernel.py_func)
            again.compile(tuple(numba.typeof(argument) for argument in arguments))
    for name, types_of_arguments in reversed(list(requests.items())):  # what is called comes first
        problem = _does_not_compile(cls, name, types_of_arguments) if name in own else None
        if problem:
            return f"{cls.__name__}.{name} {problem}"
    return None


def _is_ours(function):
    return function.__module__.partition(".")[0] == __package__


def _place(function: FunctionType, line: int | None = None) -> str:
    """Where a function, or a line of it, is to be found."""
    code = function.__code__
    return f"({Path(code.co_filename).name}:{line or code.co_firstlineno})"


# --- what can be seen without compiling -----------------------------------------------------------


def _wrong_arguments(author, name):
    """Whether a method of the author's contract takes other arguments than it is given."""
    cls = type(author)
    if name not in cls.kernel_methods:
        return None
    family = next(base for base in reversed(cls.__mro__) if name in vars(base))
    expected = list(inspect.signature(vars(family)[name]).parameters)
    if not getattr(author, "knows_weights", True):
        expected.remove("s")
    function = getattr(cls, name)
    signature = inspect.signature(function)
    try:
        signature.bind(*expected)
    except TypeError:
        found = ", ".join(list(signature.parameters)[1:])
        return f"takes ({found}), expected ({', '.join(expected[1:])}) {_place(function)}"
    return None


def _unknown_name(author, function):
    """Whether a method mentions an attribute or a global that does not exist."""
    itself = next(iter(inspect.signature(function).parameters))
    for code in codes(function.__code__):
        owner = None
        for step in dis.get_instructions(code):
            name, problem = step.argval, None
            if step.opname in ("LOAD_ATTR", "LOAD_METHOD") and owner == itself:
                problem = _about_attribute(author, name)
            is_global = step.opname in ("LOAD_GLOBAL", "LOAD_NAME")
            if is_global and not (name in function.__globals__ or name in vars(builtins)):
                problem = f"uses {name}, which is not defined"
            if problem:
                return f"{problem} {_place(function, step.positions.lineno)}"
            loads = step.opname.startswith("LOAD_FAST")
            owner = (name[-1] if isinstance(name, tuple) else name) if loads else None
    return None


def _about_attribute(author, name):
    """What is wrong with an attribute that a method reads, or None."""
    cls = type(author)
    known = {name for name, _ in class_source(cls).parameters}
    if isinstance(inspect.getattr_static(cls, name, None), staticmethod):
        return f"uses self.{name}, a static method: let it take self"
    if name in known or isinstance(getattr(cls, name, None), FunctionType):
        return None
    if hasattr(cls, name):
        return (
            f"uses self.{name}, an attribute of the class: make it a parameter of "
            f"{cls.__name__}.__init__ or a constant of the module"
        )
    methods = {n for n in dir(cls) if isinstance(getattr(cls, n, None), FunctionType)}
    close = difflib.get_close_matches(name, known) or difflib.get_close_matches(name, methods)
    hint = f"; did you mean self.{close[0]}?" if close else ""
    return f"uses self.{name}, which is neither a parameter nor a method of {cls.__name__}{hint}"


# --- what only the compiler sees ------------------------------------------------------------------


def _does_not_compile(cls, name, types_of_arguments):
    """What the compiler objects to in one method, or in what it returns."""
    function = getattr(cls, name)
    dispatcher = numba.njit(**OPTIONS)(compilable(function, {}))
    try:
        dispatcher.compile(tuple(types.unliteral(t) for t in types_of_arguments))
    except (
        numba.errors.NumbaError,
        numba.errors.UnsupportedBytecodeError,
        AssertionError,
    ) as error:
        cause, line = _cause(error, function)
        return f"cannot be compiled: {cause} {_place(function, line)}. {_ALLOWED}"
    arguments = inspect.signature(function).parameters
    if name not in cls.kernel_methods or "out" in arguments:
        return None
    returned = dispatcher.nopython_signatures[0].return_type
    if isinstance(returned, types.Optional):
        return f"returns None on a branch: every path must return a number {_place(function)}"
    if isinstance(returned, types.NoneType):
        return f"must return a number, and returns nothing {_place(function)}"
    if not isinstance(returned, (types.Integer, types.Float, types.Boolean)):
        line = _line_of_return(function.__code__)
        return f"must return a number, got {_kind(returned)} {_place(function, line)}"
    return None


def _line_of_return(code: CodeType):
    """Line of the first ``return``."""
    steps = (step for step in dis.get_instructions(code) if step.opname.startswith("RETURN_"))
    return next(steps).positions.lineno


def _kind(numba_type) -> str:
    """A type in words of Python."""
    words = (
        (types.BaseTuple, "a tuple"), (types.Array, "an array"), (types.List, "a list"),
        (types.UnicodeType, "a string"), (types.StringLiteral, "a string"),
        (types.Complex, "a complex number"), (types.NoneType, "None"), (types.Number, "a number"),
        (types.Boolean, "a number"), (types.Function, "a function"),
    )  # fmt: skip
    return next((word for cls, word in words if isinstance(numba_type, cls)), "another object")


#: What numba says, and how to say it.
_SAID = (
    (r"opcode \(IMPORT_NAME\)", "a module is imported inside it; import it at the top of the file"),
    (r"Unknown attribute '(\w+)' of type Module\(<module '([\w.]+)'", r"\2.\1 is not supported"),
    (r"Unknown attribute '(\w+)' of type (.*)", r"\2 has no attribute \1"),
    (r"Cannot unify (.+?) and (.+?) for '(\w+)[.\d]*'", r"\3 is \1 on one path and \2 on another"),
    (r"Can't unify return type from the following types: (.*)", r"it returns one of \1"),
    (r"Untyped global name 'super'", "super() is not supported; write the formula out"),
    (r"Untyped global name '(\w+)'.*?<class '([\w.]+)'>",
     r"\1 is of the type \2, which is not supported"),
    (r"Cannot determine Numba type of <class '([\w.]+)'>", r"it uses an object of the type \1"),
    (r"Variable '(\w+)[.\d]*' referenced before assignment", r"\1 may have no value"),
    (r"(?:too many positional|missing a required) argument\w*.*",
     "it calls a function with the wrong number of arguments"),
    (r"Function\(<function <lambda>", "it calls a function that does not take such arguments"),
    (r"Function\(<(?:built-in function|ufunc|function) '?([\w.]+)'?.*?\n(?:.*\n)*? *>>> (.*)",
     r"\2 is not supported"),
)  # fmt: skip
_TYPES = (
    (r"(?:array|Array)\([^)]*\)", "an array"), (r"(?:Uni)?Tuple\([^)]*\)", "a tuple"),
    (r"(?:reflected )?list\([^)]*\)(?:<iv=\w+>)?", "a list"),
    (r"\b(?:u?int|float)(?:8|16|32|64)\b|\bbool(?:ean)?\b", "a number"),
    (r"Literal\[str\]\([^)]*\)|\bunicode_type\b|\bstr\b", "a string"),
    (r"Literal\[\w+\]\([^)]*\)", "a number"), (r"\b\w+_[0-9a-f]{16}\(.*\)", "self"),
    (r"\bnone\b", "None"), (r"[. ]*Raised from .*", ""),
)  # fmt: skip


def _cause(error: Exception, function: FunctionType) -> tuple[str, int | None]:
    """What a numba error says in one phrase, and about which line of the author's file."""
    if isinstance(error, AssertionError):
        return "it calls a function that is not of that kind, with *args perhaps", None
    text = str(error)
    file = re.escape(Path(function.__code__.co_filename).name)
    lines = re.findall(rf'{file}", line (\d+)|{file} \((\d+)\)', text)
    line = next((int(a or b) for a, b in lines), None)
    for pattern, said in _SAID:
        found = re.search(pattern, text)
        if found:
            return _plainly(found.expand(said)), line
    said = [t.strip() for t in text.splitlines()]
    said = [t for t in said if t and not re.match(r"Failed in|File |During|- |>>>|\^|There are", t)]
    return _plainly(said[0]) if said else "for an unknown reason", line


def _plainly(text: str) -> str:
    """A phrase with the names of numba's types replaced."""
    for pattern, word in _TYPES:
        text = re.sub(pattern, word, text)
    return text.split("\n")[0].rstrip(". :")[:300]
