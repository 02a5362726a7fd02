"""The cache of compiled kernels on disk.

Why the cache is not numba's own. Numba invalidates a cached kernel when *its* file
changes, not when a function it calls in another file does (numba issue 1833), and its
index file loses updates when two processes compile at once. Here the name of a cache
file is a digest of everything that determines the machine code: the argument types
(which carry a digest of the loss's source), the sources of the kernel's module and of
what that imports inside the package, and the target. There is no index; a file is written
atomically; an unreadable one is recompiled over.
"""

import contextlib
import functools
import hashlib
import os
import pickle
import re
from pathlib import Path
from uuid import uuid4

import numba
from llvmlite import binding as llvm
from numba.core import config
from numba.core.caching import FunctionCache
from numba.core.runtime import _nrt_python
from numba.core.serialize import dumps

__all__ = ["KernelCache"]

_ROOT = Path(__file__).parent
_IMPORT = re.compile(
    rf"^[ \t]*(?:from ({__package__}[\w.]*) import (\([^)]*\)|.*)|import ({__package__}[\w.]*))",
    re.M,
)


def _module_file(module: str) -> Path | None:
    """Source of a module of the package; None if there is none of that name."""
    path = _ROOT.joinpath(*module.split(".")[1:])
    candidates = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in candidates if file.is_file()), None)


@functools.cache
def _source(module: str) -> tuple[bytes, frozenset[str]]:
    """Source of a module of the package, and the modules of the package that it imports from."""
    content = _module_file(module).read_bytes()
    imported = set()
    for package, names, plain in _IMPORT.findall(content.decode()):
        names = re.sub(r"#.*|\bas \w+", "", names)
        wanted = {f"{package}.{name}" for name in re.findall(r"\w+", names)}
        modules = {name for name in wanted if _module_file(name)}
        # What is no module is a name that the package itself defines or passes on.
        imported |= modules if wanted and modules == wanted else {*modules, package or plain}
    return content, frozenset(imported)


@functools.cache
def _stamp(module: str) -> str:
    """Digest of every source of the package that kernels of ``module`` can be made from.

    These are the module and what it imports, directly or not: the static graph of imports, which
    holds more than a kernel needs and never less.
    """
    digest = hashlib.sha256(f"{numba.__version__} {config.BOUNDSCHECK}".encode())
    todo, found = [module, f"{__package__}._jit"], set()
    while todo:
        name = todo.pop()
        if name not in found and _module_file(name):
            found.add(name)
            todo.extend(_source(name)[1])
    for name in sorted(found):
        digest.update(name.encode() + _source(name)[0])
    return digest.hexdigest()[:16]


class KernelCache(FunctionCache):
    """Disk cache of one kernel: one file per signature, named by its digest."""

    def __init__(self, py_func):
        super().__init__(py_func)
        self._folder = Path(self._cache_path)
        self._prefix = f"{self._impl.filename_base.rsplit('-', 1)[0]}-"
        self._module = py_func.__module__

    def _file(self, sig, codegen) -> Path:
        identity = repr((sig, codegen.magic_tuple(), self._py_func.__code__.co_code))
        digest = hashlib.sha256(identity.encode()).hexdigest()[:24]
        return self._folder / f"{self._prefix}{_stamp(self._module)}-{digest}.nbc"

    def load_overload(self, sig, target_context):
        file = self._file(sig, target_context.codegen())
        try:
            content = file.read_bytes()
            checksum, payload = content[:32], content[32:]
            if hashlib.sha256(payload).digest() != checksum:
                return None
            symbols, compiled = pickle.loads(payload)
            _provide(symbols, target_context)
            return self._impl.rebuild(target_context, pickle.loads(compiled))
        except Exception:  # absent, unreadable, or written by something else: compile
            return None

    def save_overload(self, sig, data):
        if not self._impl.check_cachable(data):
            return
        payload = pickle.dumps((_symbols(data.library), dumps(self._impl.reduce(data))))
        # A full disk or a folder that became read-only must not break a fit.
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            # Not by ``tempfile``, whose files no other user of the installation may read.
            temporary = self._folder / f"{uuid4().hex}.tmp"
            try:
                temporary.write_bytes(hashlib.sha256(payload).digest() + payload)
                os.replace(temporary, self._file(sig, data.codegen))
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
            self._remove_stale()

    def _remove_stale(self):
        """Drop what earlier versions of the package compiled for this kernel."""
        current = f"{self._prefix}{_stamp(self._module)}-"
        for file in self._folder.glob(f"{self._prefix}*.nbc"):
            if not file.name.startswith(current):
                with contextlib.suppress(OSError):
                    file.unlink()


def _symbols(library) -> list[str]:
    """Names that a compiled library takes from the process, which must know them to load it."""
    module = library._final_module
    return [
        value.name
        for value in (*module.functions, *module.global_variables)
        if value.is_declaration and not value.name.startswith("llvm.")
    ]


def _provide(symbols, target_context):
    """Make ``symbols`` known to the process.

    Those of numba's runtime are few. Numba's own way is to prepare itself to compile, which takes
    several times as long as the rest of a first fit in a new process: it is left for what is
    unknown then, such as the secrets that strings are hashed with.
    """
    if all(map(llvm.address_of_symbol, symbols)):
        return
    for name, address in _nrt_python.c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)
    if not all(map(llvm.address_of_symbol, symbols)):
        target_context.refresh()
