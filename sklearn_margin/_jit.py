"""Compilation: the only module that knows numba's extension API.

It offers three things to the rest of the package.

``kernel``
    Decorator for compiled functions: releases the GIL, follows NumPy's error model and
    is cached on disk, so that a kernel is compiled once per installation.
``register_parameter_object``
    Lets plain Python objects with scalar parameters (losses) be passed to kernels. Their
    methods are compiled from the author's own Python source on demand. What is wrong with a
    method that cannot be compiled is said by ``_compile_errors``.
``overload_on_class``
    Lets one kernel work on several kinds of rows (dense, CSR).
"""

import contextlib
import functools
import gc
import inspect
import os
import threading
import types as python_types
from collections.abc import Callable
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, config, types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.imputils import impl_ret_borrowed
from numba.core.typing.templates import AttributeTemplate
from numba.extending import (
    NativeValue,
    infer_getattr,
    intrinsic,
    lower_getattr_generic,
    models,
    overload,
    overload_method,
    register_model,
    typeof_impl,
    unbox,
)

from sklearn_margin._kernel_cache import KernelCache
from sklearn_margin._read_class import ABSENT, ClassReader, names_in, reachable_methods

__all__ = [
    "OPTIONS",
    "REASSOCIATE",
    "class_source",
    "compilable",
    "hold_while_forking",
    "kernel",
    "overload_on_class",
    "prefetch",
    "register_parameter_object",
]

# Lets a sum be vectorised. NaN and infinity keep their meaning. Only for inner products.
REASSOCIATE = {"reassoc", "contract", "nsz"}

JIT_DISABLED = bool(config.DISABLE_JIT)
# Nobody calls a kernel from C, nor from Python what only kernels call: compilation is quicker by
# a fifth without the functions for that.
OPTIONS = {"error_model": "numpy", "no_cfunc_wrapper": True}
_INNER_OPTIONS = {**OPTIONS, "no_cpython_wrapper": True}


def _without_collecting(compile):
    """``compile`` without the garbage collector, which would take a tenth of its time: nearly all
    that compilation makes is needed until its end, and is looked through again and again."""

    @functools.wraps(compile)
    def compile_signature(signature):
        with global_compiler_lock:  # of threads, each finds what the last one has left behind
            enabled = gc.isenabled()
            gc.disable()
            try:
                return compile(signature)
            finally:
                if enabled:
                    gc.enable()

    return compile_signature


def kernel(
    function: Callable | None = None, *, fastmath: Any = False, inline: str = "never"
) -> Callable:
    """Compile a function on first call and cache the machine code on disk.

    Parameters
    ----------
    function : callable
        A function in numba's subset of Python. Its arguments must be validated: kernels
        do not check bounds.
    fastmath : bool or set of str, default=False
        Relaxations of floating-point arithmetic; see ``REASSOCIATE``.
    inline : {"never", "always"}, default="never"
        Whether other kernels take in its source and not its machine code: it is then compiled
        with them, by their ``fastmath``, and not once more by itself.

    Returns
    -------
    callable
        The compiled function, or ``function`` itself under ``NUMBA_DISABLE_JIT=1``.
    """
    if function is None:
        return functools.partial(kernel, fastmath=fastmath, inline=inline)
    if JIT_DISABLED:
        return function
    dispatcher = numba.njit(nogil=True, fastmath=fastmath, inline=inline, **OPTIONS)(function)
    dispatcher.compile = _without_collecting(dispatcher.compile)
    # RuntimeError: numba found no folder it may write to. Compile without caching then.
    with contextlib.suppress(RuntimeError, OSError):
        dispatcher._cache = KernelCache(function)
    return dispatcher


def hold_while_forking(lock) -> None:
    """Let no thread hold ``lock`` while another forks the process: a child has the threads of its
    parent no more, but their locks, and would wait for ever."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release
        )


_once = threading.RLock()
hold_while_forking(_once)
# Acquired first, since handlers run in the reverse order: who compiles may then want ``_once``.
hold_while_forking(global_compiler_lock)


def _cache_once(function):
    """As ``functools.cache``, but computed once even if several threads ask at once."""
    cached = functools.cache(function)

    @functools.wraps(function)
    def locked(argument):
        with _once:
            return cached(argument)

    return locked


# --- objects with parameters, as kernel arguments -----------------------------------------


class ParameterObjectType(types.Type):
    """Numba type of a parameter object; one subclass per Python class and source digest.

    Holds only strings and numba types, so a cached kernel can be loaded without importing
    the module that defined the Python class.
    """

    identity = ""  # class name and digest of its source

    def __init__(self, fields, constants):
        self.fields = fields  # ((name, numba type), ...): passed at run time
        self.constants = constants  # ((name, str), ...): part of the type
        super().__init__(name=f"{self.identity}({fields!r}, {constants!r})")

    def __reduce__(self):
        return _rebuild_type, (self.identity, self.fields, self.constants)


class _ParameterObjectModel(models.StructModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, list(fe_type.fields))


@_cache_once
def _type_class(identity: str) -> type[ParameterObjectType]:
    """The numba type class of one Python class, in this process."""
    new = type(ParameterObjectType)(identity, (ParameterObjectType,), {"identity": identity})
    return register_model(new)(_ParameterObjectModel) and new


def _rebuild_type(identity, fields, constants):
    return _type_class(identity)(fields, constants)


@unbox(ParameterObjectType)
def _unbox_parameter_object(typ, obj, c):
    struct = cgutils.create_struct_proxy(typ)(c.context, c.builder)
    failed = cgutils.alloca_once_value(c.builder, cgutils.false_bit)
    for name, field_type in typ.fields:
        value = c.pyapi.object_getattr_string(obj, name)
        native = c.unbox(field_type, value)
        setattr(struct, name, native.value)
        c.builder.store(c.builder.or_(c.builder.load(failed), native.is_error), failed)
        c.pyapi.decref(value)
    return NativeValue(struct._getvalue(), is_error=c.builder.load(failed))


@infer_getattr
class _ParameterObjectAttributes(AttributeTemplate):
    key = ParameterObjectType

    def generic_resolve(self, typ, attr):
        if attr in dict(typ.constants):
            return types.unicode_type
        return dict(typ.fields).get(attr)


@lower_getattr_generic(ParameterObjectType)
def _lower_parameter(context, builder, typ, value, attr):
    constants = dict(typ.constants)
    if attr in constants:
        return context.get_constant_generic(builder, types.unicode_type, constants[attr])
    struct = cgutils.create_struct_proxy(typ)(context, builder, value=value)
    return impl_ret_borrowed(context, builder, dict(typ.fields)[attr], getattr(struct, attr))


def register_parameter_object(base: type) -> None:
    """Allow instances of ``base`` and its subclasses as arguments of kernels.

    Parameters
    ----------
    base : type
        A class that follows scikit-learn's parameter protocol. If compiled methods read them,
        numbers, booleans, arrays, tuples of numbers, other such objects, and what properties of
        the class give become fields of a struct; strings become constants of the type.
        A parameter whose default is a float is a float inside kernels even where the user
        wrote an int, so that ``margin=1`` and ``margin=1.0`` share machine code.
    """
    if not JIT_DISABLED:
        typeof_impl.register(base)(_typeof_parameter_object)


def _typeof_parameter_object(obj, c):
    source = class_source(type(obj))
    fields, constants = [], []
    for name, default in source.parameters:
        try:
            value = getattr(obj, name)
        except AttributeError:
            obj.get_params(deep=False)  # says it better if a parameter has another name
            raise
        if name not in source.names:  # of whatever type, the machine code is the same
            continue
        if isinstance(value, str):
            constants.append((name, value))
            continue
        try:
            fields.append((name, _field_type(value, default)))
        except (TypeError, ValueError):
            raise TypeError(
                f"parameter {name}={value!r} of {type(obj).__name__} cannot be used in "
                "compiled methods: it must be a number, a boolean, a string, an array of "
                "numbers or a tuple of such"
            ) from None
    return source.type_class(tuple(fields), tuple(constants))


def _field_type(value, default):
    """Numba type of a parameter; numbers are floats where a float is the default."""
    if isinstance(value, (dict, list, set)):
        raise TypeError
    if isinstance(value, tuple) and any(isinstance(item, float) for item in value):
        return types.UniTuple(types.float64, len(value))
    if isinstance(default, float) and isinstance(value, (int, float, np.number)):
        return types.float64
    return numba.typeof(value)


class _ClassSource(NamedTuple):
    """What compilation needs to know of a Python class."""

    parameters: list[tuple[str, Any]]  # names and defaults
    names: set[str]  # every name that its compiled methods, and functions they call, mention
    type_class: type[ParameterObjectType]
    requests: dict[str, tuple]  # by method, callers first: types it was last compiled for
    globals: list[tuple[dict, str, Any]]  # values of the names that the methods mention …
    attributes: list[tuple[type, str, Any]]  # … and of the class's attributes, when compiled

    def is_current(self) -> bool:
        """Whether none of them was bound to another object since."""
        for scope, name, value in self.globals:
            if scope.get(name, ABSENT) is not value:
                return False
        for holder, name, value in self.attributes:
            if getattr(holder, name, ABSENT) is not value:
                return False
        return True


_sources: dict[type, _ClassSource] = {}
_requests: dict[str, dict[str, tuple]] = {}  # by identity of a type whose methods are registered


def class_source(cls: type) -> _ClassSource:
    """What compilation needs to know of a Python class, as it is now.

    A method or a global that was bound to another object since the last call is noticed; an array
    that was changed in place is not.
    """
    source = _sources.get(cls)
    if source is None or not source.is_current():
        with _once:
            source = _sources[cls] = _read_class(cls)
    return source


def _read_class(cls):
    signature = inspect.signature(cls.__init__)
    parameters = [
        (name, parameter.default)
        for name, parameter in list(signature.parameters.items())[1:]
        if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    reader = ClassReader(cls)
    for name in sorted(cls.kernel_methods):
        reader.read_attribute(cls, name)
        reader.read_function(getattr(cls, name))
    identity = f"{cls.__name__}_{reader.digest.hexdigest()[:16]}"
    type_class = _type_class(identity)
    methods, names = reachable_methods(cls)
    # A property that compiled methods read is one more parameter, computed at each call.
    parameters += [(n, None) for n in sorted(names) if isinstance(getattr(cls, n, None), property)]
    if identity not in _requests:
        requests = _requests[identity] = {}
        for name in methods:
            choice = _choose(getattr(cls, name), name, requests)
            overload_method(type_class, name, jit_options=dict(_INNER_OPTIONS))(choice)
    scopes = [(scope, n, value) for (_, n), (scope, value) in reader.globals.items()]
    held = [(holder, n, value) for (_, n), (holder, value) in reader.attributes.items()]
    names |= reader.names
    return _ClassSource(parameters, names, type_class, _requests[identity], scopes, held)


def _choose(function, name, requests):
    """An overload that picks ``function``, with its very signature, as numba wants it.

    It notes in ``requests`` for which types it was asked.
    """

    def note(*types_of_arguments):
        requests[name] = types_of_arguments

    parameters = inspect.signature(function).parameters.values()
    scope = {"function": compilable(function, {}), "note": note}
    names = []
    for parameter in parameters:
        names.append(parameter.name)
        if parameter.default is not parameter.empty:
            scope[f"default_{parameter.name}"] = parameter.default
            names[-1] += f"=default_{parameter.name}"
    arguments = ", ".join(parameter.name for parameter in parameters)
    return eval(f"lambda {', '.join(names)}: note({arguments}) or function", scope)


def compilable(function, done):
    """Return ``function`` with the plain Python functions it calls made compilable.

    So an author can factor a loss into helpers without importing numba. ``done`` maps
    functions to what they became, for helpers that call each other.
    """

    def convert(value):
        if not isinstance(value, python_types.FunctionType):
            return value
        if value not in done:
            compilable(value, done)
        return done[value]

    code = function.__code__
    scope = dict(function.__globals__)
    cells = tuple(python_types.CellType() for _ in function.__closure__ or ())
    new = python_types.FunctionType(code, scope, function.__name__, function.__defaults__, cells)
    done[function] = numba.njit(**_INNER_OPTIONS)(new)
    scope.update({n: convert(scope[n]) for n in names_in(function) if n in scope})
    for cell, original in zip(cells, function.__closure__ or (), strict=True):
        cell.cell_contents = convert(original.cell_contents)
    return new


# --- one kernel for several kinds of rows ---------------------------------------------------


def overload_on_class(function: Callable, implementations: dict[type, Callable]) -> None:
    """Give ``function`` one implementation per named-tuple class of its first argument.

    Parameters
    ----------
    function : callable
        What kernels call. Its own body is what runs under ``NUMBA_DISABLE_JIT=1``.
    implementations : dict of type to callable
        Compiled in its place, chosen by the type of the first argument.
    """
    if JIT_DISABLED:
        return

    def choose(rows, *args):
        if isinstance(rows, types.NamedTuple):
            return implementations.get(rows.instance_class)
        return None

    options = {**OPTIONS, "fastmath": REASSOCIATE}
    overload(function, strict=False, jit_options=options)(choose)


# --- bits of floating-point numbers -----------------------------------------------------------


@intrinsic
def bits_of(typing_context, x):
    """The bits of a float64 as an int64."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.int64))

    return types.int64(types.float64), generate


@intrinsic
def float_of(typing_context, bits):
    """The float64 that has these bits."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], context.get_value_type(types.float64))

    return types.float64(types.int64), generate


# --- what is read soon ----------------------------------------------------------------------------


def prefetch(array, index):
    """Have the processor fetch the cache line of ``array[index]``; past the end it does nothing."""


@intrinsic
def _prefetch(typing_context, array, index):
    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        address = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        prototype = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, prototype, "llvm.prefetch.p0i8")
        builder.call(function, [address, number(0), number(3), number(1)])  # to read, data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


if not JIT_DISABLED:
    overload(prefetch)(lambda array, index: lambda array, index: _prefetch(array, index))
