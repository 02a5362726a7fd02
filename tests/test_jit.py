"""Compilation and its cache on disk, mostly in processes and copies of the package of their own.

Nothing here looks at a clock: whether something was compiled is asked of numba's own events.
What needs a process that has not imported the package gets a child of one that has imported what
the package imports, which takes most of the time of a start (``forked``). What rests on how a
process starts, or on two processes having nothing in common, gets a whole one (``run``).
"""

import ast
import compileall
import gc
import importlib.util
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numba.core.event as numba_event
import numpy as np
import pytest

import sklearn_margin
from sklearn_margin import _jit, _kernel_cache
from sklearn_margin.losses import Focal, Hinge, PointwiseLoss

pytestmark = pytest.mark.compiled
PACKAGE = Path(sklearn_margin.__file__).parent

# Each script prints one JSON object as its last line. ``compiled`` lists what was compiled so far.
PREAMBLE = """
import json, os, sys
from pathlib import Path
import numba.core.event as numba_event
import numpy as np

class Listener(numba_event.Listener):
    def __init__(self):
        self.seen = []
    def on_start(self, event):
        self.seen.append(str((event.data or {}).get("dispatcher")))
    def on_end(self, event):
        pass

listener = Listener()
numba_event.register("numba:compile", listener)
compiled = listener.seen
"""

# Two kernels that are cheap to compile.
WORK = """
from sklearn_margin.losses import Hinge, Huber
y, z = [1, -1, 1], [0.2, 0.3, 0.9]
result = [Hinge(margin=0.5).value(y, z), *Hinge(margin=0.5).gradient(y, z)]
y, z = [0.5, 3.0], [0.0, 0.0]
result += [Huber(delta=1.0).value(y, z), *Huber(delta=1.0).gradient(y, z)]
print(json.dumps({"result": result, "compiled": len(compiled)}))
"""
# One kernel.
LITTLE_WORK = """
from sklearn_margin.losses import Huber
result = Huber(delta=1.0).value([0.5, 3.0], [0.0, 0.0])
print(json.dumps({"result": result, "compiled": len(compiled)}))
"""
# Whether numba has not imported what it compiles dictionaries with, nor all else it compiles with.
UNPREPARED = """
assert "numba.typed.typeddict" not in sys.modules
print(json.dumps({"result": result, "compiled": len(compiled)}))
"""
EXPECTED = [(0.3 + 0.8) / 3, -1 / 3, 1 / 3, 0.0, 1.3125, -0.25, -0.5]


def command(code):
    return [sys.executable, "-c", PREAMBLE + code]


def environment(site, **variables):
    """Of a process that imports the package from ``site`` and inherits no numba settings."""
    inherited = {name: v for name, v in os.environ.items() if not name.startswith("NUMBA_")}
    return {**inherited, "PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1", **variables}


def answer(returncode, stdout, stderr):
    assert returncode == 0, f"exit status {returncode}\n{stdout}\n{stderr}"
    return json.loads(stdout.strip().splitlines()[-1])


def run(site, code, **variables):
    """What a new process prints."""
    process = subprocess.run(
        command(code),
        env=environment(site, **variables),
        cwd=site,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    return answer(process.returncode, process.stdout, process.stderr)


# Forks a child for each code of a line of orders, all at once, and prints how they ended.
NURSERY = """
import gc, importlib, json, os, sys, tempfile, traceback
import __main__
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
gc.freeze()
from numba.core import config

def child(order, code, out, err):
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    status = 1
    try:
        os.environ.update(order["variables"])
        config.reload_config()
        os.chdir(order["site"])
        sys.path[0] = order["site"]
        exec(compile(code, "<string>", "exec"), __main__.__dict__)
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

for line in sys.stdin:
    order, children = json.loads(line), []
    for code in order["codes"]:
        files = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        pid = os.fork()
        if pid == 0:
            child(order, code, *files)
        children.append((pid, files))
    endings = []
    for pid, files in children:
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        for file in files:
            file.seek(0)
        endings.append([status, *(file.read().decode() for file in files)])
        for file in files:
            file.close()
    print(json.dumps(endings), flush=True)
"""


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork, and Windows has none")


def foreign_imports():
    """Modules of others that modules of the package import as they are imported."""
    pattern = re.compile(r"^(?:from|import) ((?:numba|numpy|scipy|sklearn)\b[\w.]*)", re.M)
    return sorted({name for f in PACKAGE.rglob("*.py") for name in pattern.findall(f.read_text())})


@pytest.fixture(scope="module")
def forked(tmp_path_factory):
    """As ``run``, but of several codes at once, and by children of one process."""
    if not hasattr(os, "fork"):
        yield lambda site, *codes, **variables: [run(site, code, **variables) for code in codes]
        return
    nowhere = tmp_path_factory.mktemp("nursery")
    nursery = subprocess.Popen(
        [sys.executable, "-c", NURSERY, json.dumps(foreign_imports())],
        env=environment(nowhere),
        cwd=nowhere,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def ask(site, *codes, **variables):
        order = {"site": str(site), "codes": [PREAMBLE + c for c in codes], "variables": variables}
        print(json.dumps(order), file=nursery.stdin, flush=True)
        return [answer(*ending) for ending in json.loads(nursery.stdout.readline())]

    yield ask
    nursery.communicate(timeout=60)
    assert nursery.returncode == 0


@pytest.fixture(scope="module")
def new_site(tmp_path_factory):
    """Makes copies of the package that have compiled no kernel yet.

    They have Python's own bytecode, which each of dozens of processes would make again.
    """
    original = tmp_path_factory.mktemp("original")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, original / "sklearn_margin", ignore=ignored)
    compileall.compile_dir(original, quiet=1)

    def copy(site):
        return shutil.copytree(original, site)

    return copy


def cache_files(site):
    """Everything in the cache folders: path → (time of change, size)."""
    files = [file for file in site.rglob("__pycache__/*") if file.suffix != ".pyc"]
    return {file: (file.stat().st_mtime_ns, file.stat().st_size) for file in files}


@pytest.fixture
def site(tmp_path, new_site):
    return new_site(tmp_path / "site")


@pytest.fixture(scope="module")
def warm_site(tmp_path_factory, new_site, forked):
    """A copy of the package in which another process has done ``WORK``; not to be changed."""
    site = new_site(tmp_path_factory.mktemp("warm") / "site")
    (first,) = forked(site, WORK)
    assert first["result"] == pytest.approx(EXPECTED)
    assert first["compiled"] >= 2
    return site


@pytest.fixture
def warm(warm_site, tmp_path):
    """The same, to be changed."""
    shutil.copytree(warm_site, tmp_path / "warm")
    return tmp_path / "warm"


# --- reuse ------------------------------------------------------------------------------------


def test_second_process_compiles_nothing_and_writes_nothing(warm):
    """Nor does it matter that the package was moved."""
    before = cache_files(warm)
    assert len(before) == 2
    assert {file.suffix for file in before} == {".nbc"}
    again = run(warm, WORK + UNPREPARED)
    assert again["compiled"] == 0
    assert again["result"] == pytest.approx(EXPECTED)
    assert cache_files(warm) == before


def test_numba_is_prepared_for_symbols_that_its_runtime_does_not_know():
    context = Mock()
    _kernel_cache._provide(["NRT_Free", "PyErr_Clear"], context)
    context.refresh.assert_not_called()
    _kernel_cache._provide(["NRT_Free", "no_such_symbol"], context)
    context.refresh.assert_called_once_with()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_as_it_was_after_a_compilation_that_failed(enabled):
    def fail(signature):
        assert not gc.isenabled()
        raise ValueError(signature)

    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(ValueError, match="float64"):
            _jit._without_collecting(fail)("float64")
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_numba_cache_dir_of_the_user_is_respected(site, tmp_path, forked):
    elsewhere = tmp_path / "elsewhere"
    (done,) = forked(site, LITTLE_WORK, NUMBA_CACHE_DIR=str(elsewhere))
    assert done["result"] == 1.3125
    assert cache_files(site) == {}
    assert len(list(elsewhere.rglob("*.nbc"))) == 1


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_other_users_of_an_installation_may_read_what_is_cached(site, forked):
    forked(site, "os.umask(0o022)" + LITTLE_WORK)
    modes = [file.stat().st_mode & 0o777 for file in cache_files(site)]
    assert modes == [0o644]


class _Counter(numba_event.Listener):
    """Counts the starts of an event."""

    def __init__(self):
        self.count = 0

    def on_start(self, event):
        self.count += 1

    def on_end(self, event):
        pass


def count(kind, function):
    """How often ``function`` starts an event of numba."""
    with numba_event.install_listener(kind, _Counter()) as counter:
        function()
    return counter.count


def test_numbers_share_machine_code():
    y, z = np.array([1.0, -1.0]), np.array([0.2, 0.3])
    loss = Hinge(margin=1.0)
    loss.gradient(y, z)

    def other_numbers():
        for margin in (1, 2.5, np.float32(0.5), np.int64(3)):
            Hinge(margin=margin).gradient(y, z)
            loss.set_params(margin=margin).gradient(y, z)

    # A call that finds its machine code does not even ask for the compiler's lock.
    assert count("numba:compiler_lock", other_numbers) == 0


def test_parameters_that_no_compiled_method_reads_share_machine_code():
    """The type of ``alpha`` means nothing: methods read what a property makes of it."""
    y, z = np.array([1.0, -1.0]), np.array([0.2, 0.3])
    plain = Focal().gradient(y, z)

    def other_types():
        for alpha in (0.5, (0.5, 0.5), [0.5, 0.5]):
            np.testing.assert_allclose(Focal(alpha=alpha).gradient(y, z), 0.5 * plain)

    assert count("numba:compile", other_types) == 0


def _scaled(loss, r):
    return loss.scale * abs(r)


def test_a_parameter_may_be_read_by_a_function():
    class ByFunction(PointwiseLoss):
        def __init__(self, scale=1.0):
            self.scale = scale

        def sample_value(self, y, z):
            return _scaled(self, y - z)

        def sample_gradient(self, y, z):
            return 0.0

    assert ByFunction(3.0).value([3.0], [1.0]) == 6.0


def test_a_class_defined_again_shares_machine_code_if_nothing_changed():
    """As when a notebook cell is run again."""

    def make(factor):
        class Scaled(PointwiseLoss):
            def sample_value(self, y, z):
                return factor * abs(y - z)

            def sample_gradient(self, y, z):
                return factor if z > y else -factor

        return Scaled()

    y, z = np.array([3.0]), np.array([1.0])
    assert make(1.0).value(y, z) == 2.0
    assert count("numba:compile", lambda: make(1.0).value(y, z)) == 0
    assert make(2.0).value(y, z) == 4.0
    assert make(1.0).value(y, z) == 2.0


# --- damage -----------------------------------------------------------------------------------


def _truncate(data):
    return data[: len(data) // 2]


def _overwrite_middle(data):
    """A page that never reached the disk: the file has its length, and a hole."""
    size = max(64, len(data) // 4)
    start = (len(data) - size) // 2
    return data[:start] + bytes(size) + data[start + size :]


DAMAGES = {
    "empty": lambda data: b"",
    "truncated": _truncate,
    "garbage": lambda data: bytes(range(256)) * 8,
    "another pickle": lambda data: pickle.dumps({"not": "machine code"}),
    "hole": _overwrite_middle,
}

DAMAGED_WORK = """
from sklearn_margin import losses
names = ["Absolute", "Huber", "Quantile", "Squared", "EpsilonInsensitive"]
result = {name: getattr(losses, name)().value([3.0], [1.0]) for name in names}
print(json.dumps({"result": result, "compiled": len(compiled)}))
"""


def test_damaged_files_are_recompiled_over(site, forked):
    """One kernel for each kind of damage."""
    (first,) = forked(site, DAMAGED_WORK)
    files = list(cache_files(site))
    assert len(files) == len(DAMAGES) <= first["compiled"]
    for file, damage in zip(files, DAMAGES.values(), strict=True):
        file.write_bytes(damage(file.read_bytes()))
    damaged = {file: file.read_bytes() for file in files}
    assert forked(site, DAMAGED_WORK) == [first]
    assert set(cache_files(site)) == set(files)
    kept = [
        kind
        for kind, (f, data) in zip(DAMAGES, damaged.items(), strict=True)
        if f.read_bytes() == data
    ]
    assert kept == []
    assert forked(site, DAMAGED_WORK) == [{**first, "compiled": 0}]


@needs_fork
def test_a_few_wrong_bytes_are_noticed(warm, forked):
    """Wherever they are: machine code with an error in it crashes the process, or worse."""
    code = """
from sklearn_margin.losses import Hinge, Huber
rng = np.random.default_rng(0)
folder = Path(sys.modules["sklearn_margin"].__file__).parent / "losses" / "__pycache__"
(file,) = [file for file in folder.glob("*_value_gradient-*.nbc") if b"Huber" in file.read_bytes()]
data = file.read_bytes()

class Noticed(numba_event.Listener):
    def on_start(self, event):
        os._exit(7)
    def on_end(self, event):
        pass

Hinge().gradient([1.0], [0.0])  # what a process does only once need not be done by each child

def outcome():
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        numba_event.register("numba:compile", Noticed())
        Huber(delta=1.0).gradient([0.5, 3.0], [0.0, 0.0])
        os._exit(0)
    return os.waitpid(child, 0)[1]

undamaged = outcome()
outcomes = []
for position in rng.integers(0, len(data) - 8, 40):
    damaged = bytearray(data)
    for i in range(position, position + 8):
        damaged[i] ^= 255
    file.write_bytes(damaged)
    outcomes.append(outcome())
print(json.dumps({"undamaged": undamaged, "outcomes": outcomes, "noticed": 7 << 8}))
"""
    (done,) = forked(warm, code)
    assert done["undamaged"] == 0
    assert done["outcomes"] == [done["noticed"]] * 40


def test_a_cache_nobody_may_write_is_done_without(site, tmp_path, forked):
    # Permissions do not stop root: files stand where the folders would have to be.
    blocker = tmp_path / "file"
    blocker.write_text("")
    for bytecode in [*site.rglob("__pycache__")]:
        shutil.rmtree(bytecode)
    folders = [site / "sklearn_margin", *(site / "sklearn_margin").rglob("*/")]
    for folder in folders:
        (folder / "__pycache__").write_text("")
    below = str(blocker / "home")
    (done,) = forked(site, LITTLE_WORK, HOME=below, XDG_CACHE_HOME=below)
    assert done["result"] == 1.3125
    assert done["compiled"] > 0
    assert all((folder / "__pycache__").read_text() == "" for folder in folders)


def test_a_cache_that_becomes_unwritable_is_done_without(site, forked):
    vanish = """
import shutil
import sklearn_margin.losses
for folder in Path(sklearn_margin.__file__).parent.rglob("__pycache__"):
    shutil.rmtree(folder)
    folder.write_text("")
"""
    assert forked(site, vanish + LITTLE_WORK)[0]["result"] == 1.3125


def test_a_failed_write_leaves_nothing_behind(site, forked):
    full_disk = """
import sklearn_margin.losses
def no_space(*args, **kwargs):
    raise OSError(28, "No space left on device")
os.replace = os.rename = no_space
"""
    assert forked(site, full_disk + LITTLE_WORK)[0]["result"] == 1.3125
    assert cache_files(site) == {}


# --- edits ------------------------------------------------------------------------------------

# Every class is a loss of 2·FACTOR at y = 3, z = 1. What changes from 1.0 to 2.0 is marked ?.
USER_MODULE = """
import math
import numpy as np
import numba
import user_helpers
from user_helpers import IMPORTED, imported
from sklearn_margin.losses import PointwiseLoss

class Loss(PointwiseLoss):
    def sample_gradient(self, y, z):
        return 0.0

class Body(Loss):
    def sample_value(self, y, z):
        return ? * abs(y - z)

CONSTANT = ?
class Constant(Loss):
    def sample_value(self, y, z):
        return CONSTANT * abs(y - z)

ARRAY = np.array([0.0, ?])
class ConstantArray(Loss):
    def sample_value(self, y, z):
        return ARRAY[1] * abs(y - z)

TUPLE = (0.0, ?)
class ConstantTuple(Loss):
    def sample_value(self, y, z):
        return TUPLE[1] * abs(y - z)

def helper(r):
    return ? * abs(r)
class Helper(Loss):
    def sample_value(self, y, z):
        return helper(y - z)

def inner(r):
    return ? * abs(r)
def outer(r):
    return inner(r)
class HelperOfHelper(Loss):
    def sample_value(self, y, z):
        return outer(y - z)

FACTOR = ?
def scaled(r):
    return FACTOR * abs(r)
class ConstantOfHelper(Loss):
    def sample_value(self, y, z):
        return scaled(y - z)

def with_default(r, factor=?):
    return factor * abs(r)
class DefaultOfHelper(Loss):
    def sample_value(self, y, z):
        return with_default(y - z)

@numba.njit
def jitted(r):
    return ? * abs(r)
class JittedHelper(Loss):
    def sample_value(self, y, z):
        return jitted(y - z)

class ImportedHelper(Loss):
    def sample_value(self, y, z):
        return imported(y - z)

class ImportedConstant(Loss):
    def sample_value(self, y, z):
        return IMPORTED * abs(y - z)

class ConstantOfModule(Loss):
    def sample_value(self, y, z):
        return user_helpers.ATTRIBUTE * abs(y - z)

class Method(Loss):
    def scale(self, r):
        return ? * abs(r)
    def sample_value(self, y, z):
        return self.scale(y - z)

def residual(r):
    return r
class MethodNamedLikeAFunction(Loss):
    def residual(self, r):
        return ? * abs(r)
    def sample_value(self, y, z):
        return self.residual(y - z)

class Parent(Loss):
    def scale(self, r):
        return ? * abs(r)
class InheritedMethod(Parent):
    def sample_value(self, y, z):
        return self.scale(y - z)

class Lambda(Loss):
    def sample_value(self, y, z):
        scale = lambda r: ? * abs(r)
        return scale(y - z)

SCALE = ?
class ConstantInLambda(Loss):
    def sample_value(self, y, z):
        scale = lambda r: SCALE * abs(r)
        return scale(y - z)

class Comprehension(Loss):
    def sample_value(self, y, z):
        return sum([? * abs(y - z) for _ in range(1)])

def make(factor):
    class Closure(Loss):
        def sample_value(self, y, z):
            return factor * abs(y - z)
    return Closure
Closure = make(?)

def make_with_helper(factor):
    def scale(r):
        return factor * abs(r)
    class ClosureOfHelper(Loss):
        def sample_value(self, y, z):
            return scale(y - z)
    return ClosureOfHelper
ClosureOfHelper = make_with_helper(?)
"""

USER_HELPERS = """
IMPORTED = ?
ATTRIBUTE = ?
def imported(r):
    return ? * abs(r)
"""

EDITS = [
    "Body",
    "Constant",
    "ConstantArray",
    "ConstantTuple",
    "Helper",
    "HelperOfHelper",
    "ConstantOfHelper",
    "DefaultOfHelper",
    "JittedHelper",
    "ImportedHelper",
    "ImportedConstant",
    "ConstantOfModule",
    "Method",
    "MethodNamedLikeAFunction",
    "InheritedMethod",
    "Lambda",
    "Comprehension",
    "ConstantInLambda",
    "Closure",
    "ClosureOfHelper",
    "Script",
]

USE_ALL = """
import user_losses

class Script(user_losses.PointwiseLoss):
    def __init__(self, scale=1.0):
        self.scale = scale
    def sample_value(self, y, z):
        return ? * self.scale * abs(y - z)
    def sample_gradient(self, y, z):
        return 0.0

values = {}
for name in NAMES:
    try:
        loss = Script() if name == "Script" else getattr(user_losses, name)()
        values[name] = loss.value([3.0], [1.0])
    except Exception as error:
        values[name] = f"{type(error).__name__}: {error}"
print(json.dumps({"values": values, "compiled": compiled}))
""".replace("NAMES", repr(EDITS))


@pytest.fixture(scope="module")
def edited(tmp_path_factory, new_site, forked):
    """Values and compilations before an edit of everything, in a second process, and after.

    The second one is a whole process, whose hashes of strings are others.
    """
    site = new_site(tmp_path_factory.mktemp("edited") / "site")

    def write(factor):
        for name, text in (("user_losses", USER_MODULE), ("user_helpers", USER_HELPERS)):
            (site / f"{name}.py").write_text(text.replace("?", factor))
        return USE_ALL.replace("?", factor)

    code = write("1.0")
    outcomes = [*forked(site, code), run(site, code)]  # the second process compiles nothing
    return outcomes + forked(site, write("2.0"))


def test_edits_of_users_losses_take_effect(edited):
    for outcome, expected in zip(edited, (2.0, 2.0, 4.0), strict=True):
        assert outcome["values"] == dict.fromkeys(EDITS, expected)


def test_losses_of_a_users_module_are_cached_too(edited):
    assert edited[1] == {"values": edited[0]["values"], "compiled": []}


def test_an_edit_of_a_kernel_takes_effect_and_drops_what_is_stale(warm, forked):
    before = cache_files(warm)
    with (warm / "sklearn_margin" / "losses" / "pointwise.py").open("a") as file:
        file.write(
            "\n\n@kernel\ndef _value_gradient(loss, y, z, s, out):\n"
            "    out[:] = 7\n    return 7.0\n"
        )
    (after,) = forked(warm, WORK)
    assert after["result"] == [7.0] * len(EXPECTED)
    assert after["compiled"] > 0
    stale = set(before) & set(cache_files(warm))
    assert stale == set()


def imports_of(module):
    """Modules of the package that a module of it imports names from, by the syntax tree."""
    tree = ast.parse(Path(importlib.util.find_spec(module).origin).read_text())
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            full = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
            found |= {full[n] if full[n] in MODULES else node.module for n in full}
    return found & set(MODULES)


MODULES = sorted(
    ".".join(["sklearn_margin", *file.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(
        ".__init__"
    )
    for file in PACKAGE.rglob("*.py")
)


def test_an_edit_changes_the_stamps_of_the_kernels_it_can_change(monkeypatch):
    """Numba does not notice edits of other files (numba #1833); and more would be waste."""
    imported = {module: imports_of(module) for module in MODULES}

    def needed(module):
        todo, found = [module, "sklearn_margin._jit"], set()
        while todo:
            found.add(todo[-1])
            todo.extend(imported[todo.pop()] - found)
        return found

    source = _kernel_cache._source
    with_kernels = [m for m in MODULES if re.search(rb"^@kernel\b", source(m)[0], re.M)]
    assert len(with_kernels) >= 20
    closures = {module: needed(module) for module in with_kernels}

    def stamps_after(edited):
        def read(module):  # short, or digests of all that there is would take seconds
            return b"edited" if module == edited else b"source", source(module)[1]

        monkeypatch.setattr(_kernel_cache, "_source", read)
        return {module: _kernel_cache._stamp.__wrapped__(module) for module in with_kernels}

    stamps = stamps_after(None)
    for edited in MODULES:
        after = stamps_after(edited)
        changed = {module for module in with_kernels if after[module] != stamps[module]}
        assert changed == {m for m in with_kernels if edited in closures[m]}, edited
        if edited == "sklearn_margin.solvers.lbfgs":  # has no kernel, and no kernel needs it
            assert not changed


def test_every_module_that_an_import_names_is_seen(monkeypatch, tmp_path):
    for name in (
        "user",
        "plain",
        "deep/__init__",
        "deep/kernels",
        "deep/other",
        "deep/er/__init__",
    ):
        file = tmp_path / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.touch()
    monkeypatch.setattr(_kernel_cache, "_ROOT", tmp_path)

    def imported(statement):
        (tmp_path / "user.py").write_text(f"import math\n{statement}\n")
        return _kernel_cache._source.__wrapped__("sklearn_margin.user")[1]

    deep = "sklearn_margin.deep"
    for statement, expected in (
        ("import sklearn_margin.plain as p", {"sklearn_margin.plain"}),
        (f"from {deep} import kernels  # compiled", {f"{deep}.kernels"}),
        (f"from {deep} import kernels as k, er as e", {f"{deep}.kernels", f"{deep}.er"}),
        (f"from {deep} import name", {deep}),
        (f"from {deep} import *", {deep}),
        (f"from {deep} import kernels, name", {f"{deep}.kernels", deep}),
        (f"from {deep} import (\n    name,\n    kernels,  # x\n)", {f"{deep}.kernels", deep}),
        (f"def f():\n    from {deep}.er import name", {f"{deep}.er"}),
    ):
        assert imported(statement) == expected, statement


def test_a_comment_where_there_is_no_kernel_compiles_nothing(warm, forked):
    before = cache_files(warm)
    with (warm / "sklearn_margin" / "solvers" / "lbfgs.py").open("a") as file:
        file.write("\n# A comment.\n")
    (after,) = forked(warm, WORK)
    assert after["compiled"] == 0
    assert after["result"] == pytest.approx(EXPECTED)
    assert cache_files(warm) == before


# --- concurrency ------------------------------------------------------------------------------

THREADS = """
import threading
from sklearn_margin import losses

NAMES = ["Hinge", "SquaredHinge", "Absolute", "ModifiedHuber", "SmoothedHinge"]
sys.setswitchinterval(1e-6)
y, z = np.array([1.0, -1.0, 1.0]), np.array([0.2, 0.3, -2.0])
barrier = threading.Barrier(4)
results, errors = [], []

def first_use():
    try:
        for name in NAMES:
            loss = getattr(losses, name)()
            barrier.wait()
            results.append((name, loss.gradient(y, z).tolist()))
    except BaseException as error:
        errors.append(repr(error))

threads = [threading.Thread(target=first_use) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.setswitchinterval(0.005)

wrong = []
for name, gradient in results:
    loss = getattr(losses, name)()
    expected = [loss.sample_gradient(a, b) / 3 for a, b in zip(y, z)]
    if not np.allclose(gradient, expected, rtol=1e-14):
        wrong.append((name, gradient, expected))

locks = Listener()
numba_event.register("numba:compiler_lock", locks)
for name in NAMES:
    getattr(losses, name)().gradient(y, z)
print(json.dumps({
    "wrong": wrong, "errors": errors, "results": len(results),
    "kernels": sum("_value_gradient" in name for name in compiled),
    "lookups_later": len(locks.seen),
}))
"""


def test_first_use_in_four_threads(site, forked):
    (first,) = forked(site, THREADS)
    assert first["errors"] == []
    assert first["wrong"] == []
    assert first["results"] == 4 * 5
    # Whatever thread was first, one of them compiled, once for each loss, and later calls find
    # the machine code without asking the cache.
    assert first["kernels"] == 5
    assert first["lookups_later"] == 0


def test_first_use_in_two_processes(site, forked):
    for outcome in forked(site, WORK, WORK):
        assert outcome["result"] == pytest.approx(EXPECTED)
    assert {file.suffix for file in cache_files(site)} == {".nbc"}
    (after,) = forked(site, WORK)
    assert after["compiled"] == 0
    assert after["result"] == pytest.approx(EXPECTED)


# A child has the one thread that forked, and all locks that others held.
FORKS = """
import signal, threading, time
from threadpoolctl import ThreadpoolController
from sklearn_margin import HingeClassifier

blas = ThreadpoolController().select(user_api="blas").lib_controllers

def numbers():
    return {library.num_threads for library in blas}

# By a thread that ends: OpenBLAS obeys a thread that has set this, as long as it lives.
setter = threading.Thread(target=lambda: [library.set_num_threads(2) for library in blas])
setter.start()
setter.join()
rng = np.random.default_rng(0)
X = rng.normal(size=(50, 5))
y = X[:, 0] > 0
HingeClassifier().fit(X, y)
assert numbers() == {2}
done = False

def fit_again_and_again():
    while not done:
        HingeClassifier(n_jobs=1).fit(X, y)

thread = threading.Thread(target=fit_again_and_again)
thread.start()
outcomes = []
for attempt in range(100):
    if attempt >= 8 and 1 in outcomes:
        break
    time.sleep(0.003 * (attempt % 7))
    child = os.fork()
    if child == 0:
        inherited = numbers()
        HingeClassifier().fit(X, y)
        os._exit(7 if numbers() != {2} else inherited == {1})
    for _ in range(6000):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            status = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.005)
    else:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        status = "hangs"
    outcomes.append(status)
    if status not in (0, 1):
        break
done = True
thread.join()
print(json.dumps({"outcomes": outcomes}))
"""


@needs_fork
def test_a_process_may_fork_while_a_thread_fits():
    """And BLAS has its threads again after a first fit of the child, whoever held the limit."""
    outcomes = run(PACKAGE.parent, FORKS)["outcomes"]
    assert set(outcomes) <= {0, 1}
    assert 8 <= len(outcomes) < 100  # until one has inherited the limit


# --- modes of numba ---------------------------------------------------------------------------

FITS = """
import scipy.sparse as sp
import warnings
from sklearn.exceptions import ConvergenceWarning
from sklearn_margin import (
    HingeClassifier, HuberRegressor, LinearClassifier, LinearRanker, LinearRegressor, RankSVM,
)
warnings.simplefilter("ignore", ConvergenceWarning)
rng = np.random.default_rng(0)
X = rng.normal(size=(24, 3)) * (rng.uniform(size=(24, 3)) < 0.8)
target = X @ [1.0, -2.0, 0.5] + 0.3 * rng.normal(size=24)
labels, groups = target > 0, rng.integers(0, 3, 24)
weights = rng.integers(0, 3, 24).astype(float)
grades = np.digitize(target, [-1.0, 0.0, 1.0])

MODELS = {
    "LinearClassifier": (LinearClassifier(loss="logistic", alpha=0.1), labels, {}),
    "HingeClassifier": (HingeClassifier(margin=0.5, alpha=0.1), labels, {}),
    "LinearRegressor": (LinearRegressor(loss="huber", alpha=0.1), target, {}),
    "HuberRegressor": (HuberRegressor(alpha=0.1), target, {}),
    "HuberRegressor-scale": (HuberRegressor(alpha=0.1, scale=0.5), target, {}),
    "LinearRanker": (LinearRanker(alpha=0.1), grades, {"groups": groups}),
    "RankSVM": (RankSVM(alpha=0.1), grades, {"groups": groups}),
}
# One epoch's kernel is compiled for each loss and kind of rows: some of each.
STOCHASTIC = {"dense": ["LinearClassifier", "RankSVM"], "csr": ["LinearRegressor", "LinearRanker"]}
# Where everything is compiled again: each kind of loss in one kind of rows.
if few:
    STOCHASTIC = {"dense": ["RankSVM"], "csr": ["LinearRegressor"]}
FEW = {"dense": ["LinearClassifier", "HingeClassifier"], "csr": ["LinearRegressor", "LinearRanker"]}
coefs = {}
for kind, data in (("dense", X), ("csr", sp.csr_array(X))):
    for name in FEW[kind] if few else MODELS:
        model, y, more = MODELS[name]
        model.fit(data, y, sample_weight=weights, **more)
        coefs[f"{name} {kind}"] = np.ravel(model.coef_).tolist()
    for name in STOCHASTIC[kind]:
        model, y, more = MODELS[name]
        model.set_params(solver="sgd", max_iter=3, random_state=0)
        model.fit(data, y, sample_weight=weights, **more)
        coefs[f"{name} {kind} sgd"] = np.ravel(model.coef_).tolist()
        model.set_params(solver="auto", max_iter=1000)
"""

REPORT = """
from numba import config
print(json.dumps({
    "coefs": coefs, "compiled": len(compiled), "jit": not config.DISABLE_JIT, "caught": caught,
}))
"""

# A kernel that is given too few labels: only a bounds check notices, with an IndexError.
OUT_OF_BOUNDS = """
from sklearn_margin.losses import Hinge
try:
    Hinge().scores_value(np.ones(1), np.ones(50), np.ones(50))
    caught = False
except IndexError:
    caught = True
"""


NORMAL = "few, caught = False, None" + FITS + REPORT


@pytest.fixture(scope="module")
def normal(forked):
    """Fits of every estimator, in the package as it is installed."""
    (outcome,) = forked(PACKAGE.parent, NORMAL)
    assert outcome["jit"]
    assert len(outcome["coefs"]) == 2 * (7 + 2)
    for name, coef in outcome["coefs"].items():
        assert np.all(np.isfinite(coef)), name
        assert np.any(np.array(coef) != 0), name
    return outcome


def test_fits_of_a_second_process_compile_nothing(normal, forked):
    (again,) = forked(PACKAGE.parent, NORMAL)
    assert again["compiled"] == 0
    assert again["coefs"] == normal["coefs"]


@pytest.mark.parametrize("mode", ["NUMBA_DISABLE_JIT", "NUMBA_BOUNDSCHECK"])
def test_modes_of_numba_fit_the_same_models(normal, mode, warm):
    """Nor may either mode take the machine code that a normal process has left in ``warm``."""
    compiles = mode != "NUMBA_DISABLE_JIT"
    code = f"few = {compiles}" + FITS + OUT_OF_BOUNDS + REPORT
    outcome = run(warm, code, NUMBA_OPT="0", **{mode: "1"})
    assert outcome["caught"]
    assert outcome["jit"] == compiles
    assert (outcome["compiled"] > 0) == outcome["jit"]
    coefs = outcome["coefs"]
    assert len(coefs) == (4 + 2 if compiles else 2 * (7 + 2))
    for name, coef in coefs.items():
        np.testing.assert_allclose(coef, normal["coefs"][name], rtol=1e-6, atol=1e-9, err_msg=name)
