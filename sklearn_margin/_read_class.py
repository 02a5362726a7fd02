"""What determines the machine code of a class's methods: their source and what it mentions."""

import builtins
import hashlib
import inspect
import types

import numpy as np

__all__ = ["ABSENT", "ClassReader", "codes", "names_in", "reachable_methods"]

#: In place of the value of a name that is not there.
ABSENT = object()


def reachable_methods(cls: type) -> tuple[set[str], set[str]]:
    """Names of the methods that kernels call, directly or from one another, and all names
    they mention."""
    found: set[str] = set()
    names: set[str] = set()
    todo = list(cls.kernel_methods)
    while todo:
        name = todo.pop()
        function = getattr(cls, name, None)
        if name in found or not isinstance(function, types.FunctionType):
            continue
        found.add(name)
        names |= names_in(function)
        todo.extend(names_in(function))
    return found, names


def codes(code):
    """A code object and those of the lambdas and comprehensions inside it."""
    yield code
    for constant in code.co_consts:
        if inspect.iscode(constant):
            yield from codes(constant)


def names_in(function) -> set[str]:
    """Global names and attributes that a function mentions."""
    return {name for code in codes(function.__code__) for name in code.co_names}


class ClassReader:
    """Reads what determines the machine code of the methods of a class.

    Attributes
    ----------
    digest : hash
        Of all that was read.
    globals, attributes : dict
        Where values were found, and which: by place and name, (place, value).
    names : set of str
        Every name that what was read mentions.
    """

    def __init__(self, cls):
        self.cls = cls
        self.digest = hashlib.sha256()
        self.globals, self.attributes = {}, {}
        self.names: set[str] = set()
        self._seen = set()

    def read_attribute(self, holder, name):
        """Note the attribute of a class or module, and return it."""
        value = getattr(holder, name)
        if inspect.ismodule(holder):
            self._note_global(vars(holder), name)
        elif getattr(holder, name) is value:  # a bound method is another object each time
            self.attributes[id(holder), name] = holder, value
        return value

    def _note_global(self, scope, name):
        self.globals[id(scope), name] = scope, scope.get(name, ABSENT)

    def read_function(self, function) -> None:
        """Read code, defaults, and what names stand for; then the functions among these."""
        if id(function) in self._seen:
            return
        self._seen.add(id(function))
        for code in codes(function.__code__):
            constants = [c for c in code.co_consts if not inspect.iscode(c)]
            said = (code.co_name, code.co_code, code.co_names, constants)
            self.digest.update(repr(said).encode())
        self._read_value(function.__defaults__)
        cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
        cells = {name: cell.cell_contents for name, cell in cells}
        names = names_in(function)
        self.names |= names
        modules = (function.__globals__.get(n, cells.get(n)) for n in sorted(names | set(cells)))
        # An attribute may belong to the class, or to a module that is mentioned too.
        holders = (self.cls, *(m for m in modules if inspect.ismodule(m)))
        for name in sorted(names | set(cells)):
            found = []
            if name in cells:
                found.append(cells[name])
            elif name in function.__globals__:
                found.append(function.__globals__[name])
            elif name in vars(builtins):
                found.append(vars(builtins)[name])
            attributes = [self.read_attribute(h, name) for h in holders if hasattr(h, name)]
            if name not in cells and (found or not attributes):
                self._note_global(function.__globals__, name)
            found += attributes
            for value in found:
                self.digest.update(name.encode())
                self._read_value(value)

    def _read_value(self, value) -> None:
        """Read a constant or a function that compiled code uses."""
        value = getattr(value, "py_func", value)
        if isinstance(value, types.FunctionType):
            self.read_function(value)
        elif isinstance(value, np.ndarray):
            self.digest.update(repr((value.dtype, value.shape)).encode() + value.tobytes())
        elif isinstance(value, (tuple, list)):
            for item in value:
                self._read_value(item)
        elif isinstance(value, (int, float, complex, str, bool, np.generic, type(None))):
            self.digest.update(repr(value).encode())
