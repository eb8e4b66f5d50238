"""The build backend of PEP 517: a wheel, an sdist, an editable install, made with cmake and Python's own library.

It needs nothing from an index of packages, so that `pip install .` works where there is no network. numpy is
no declared dependency for the same reason: pip would look for it even where a system's Python has it. Without
numpy `import nlsh` says what to do.

What can be asked for: `--config-settings learn=on|off|auto`. auto, the default: libnlsh-learn where its libraries
are found, else a package that searches only. NLSH_CMAKE_ARGS is added to cmake's arguments.
"""

import base64
import gzip
import hashlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "python" / "nlsh"
BUILD = ROOT / "build" / "python"
# What an sdist carries: all that cmake, the package and its tests are made of.
SOURCES = ["CHANGELOG.md", "CMakeLists.txt", "LICENSE", "README.md", "baselines", "bench", "cli", "cmake",
           "docs/python.md", "examples", "include", "pyproject.toml", "python", "ranks", "serve", "sqlite", "src"]


# ---- metadata ------------------------------------------------------------------------------------

def version():
    """It stands once, in the public header."""
    header = (ROOT / "include/nlsh/nlsh.h").read_text()
    return ".".join(re.findall(r"#define NLSH_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", header))


def metadata():
    return f"""\
Metadata-Version: 2.1
Name: nlsh
Version: {version()}
Summary: Neural LSH: learned nearest-neighbour search
License: MIT
Classifier: License :: OSI Approved :: MIT License
Classifier: Operating System :: POSIX :: Linux
Classifier: Programming Language :: C
Classifier: Programming Language :: Python :: 3
Requires-Python: >=3.9
Provides-Extra: progress
Requires-Dist: tqdm; extra == "progress"
Provides-Extra: sklearn
Requires-Dist: scikit-learn; extra == "sklearn"
Description-Content-Type: text/markdown

""" + (ROOT / "docs/python.md").read_text()


def tag():
    """One binary for every CPython from 3.9 on."""
    return "cp39-abi3-" + re.sub(r"[-.]", "_", sysconfig.get_platform())


def dist_info():
    return f"nlsh-{version()}.dist-info"


def info_files():
    """The files of .dist-info but for RECORD."""
    wheel = f"Wheel-Version: 1.0\nGenerator: nlsh_backend\nRoot-Is-Purelib: false\nTag: {tag()}\n"
    return {"METADATA": metadata(), "WHEEL": wheel, "LICENSE": (ROOT / "LICENSE").read_text()}


# ---- cmake ---------------------------------------------------------------------------------------

def configure(learn):
    """Configures build/python; False where cmake fails."""
    include = sysconfig.get_path("include")
    if not Path(include, "Python.h").exists():
        raise SystemExit(f"error: {include}/Python.h is not there\n"
                         "hint: sudo apt-get install python3-dev")
    command = ["cmake", "-S", str(ROOT), "-B", str(BUILD), "-DCMAKE_BUILD_TYPE=Release",
               "-DBUILD_SHARED_LIBS=OFF", "-DNLSH_TESTS=OFF", f"-DNLSH_LEARN={'ON' if learn else 'OFF'}",
               "-DNLSH_SQLITE=OFF", "-DNLSH_SERVE=OFF", f"-DNLSH_PYTHON_INCLUDE={include}"]
    cache = BUILD / "CMakeCache.txt"
    if not cache.exists() and shutil.which("ninja"):
        command += ["-G", "Ninja"]
    command += shlex.split(os.environ.get("NLSH_CMAKE_ARGS", ""))
    return subprocess.run(command, stdout=sys.stderr).returncode == 0


def forget_other_tree():
    """A build folder that came from another place, with its tree, is of no use."""
    cache = BUILD / "CMakeCache.txt"
    if cache.exists() and f"CMAKE_HOME_DIRECTORY:INTERNAL={ROOT}\n" not in cache.read_text():
        shutil.rmtree(BUILD)


def build_modules(settings):
    """The modules that could be built, as paths."""
    learn = (settings or {}).get("learn", "auto")
    if learn not in ("on", "off", "auto"):
        raise SystemExit(f"error: learn is {learn!r}\nhint: take one of on, off and auto")
    if not shutil.which("cmake"):
        raise SystemExit("error: there is no cmake\nhint: sudo apt-get install cmake ninja-build gcc")
    forget_other_tree()
    if learn == "off" or not configure(learn=True):
        if learn == "on":
            raise SystemExit("error: libnlsh-learn cannot be built\nhint: cmake says above what is missing")
        if learn == "auto":
            print("note: libnlsh-learn cannot be built (see above): this package will search only",
                  file=sys.stderr)
        if not configure(learn=False):
            raise SystemExit("error: cmake failed")
    made = BUILD / "python" / "nlsh"
    shutil.rmtree(made, ignore_errors=True)
    n_jobs = str(len(os.sched_getaffinity(0)))
    subprocess.run(["cmake", "--build", str(BUILD), "--parallel", n_jobs, "--target", "python_modules"],
                   stdout=sys.stderr, check=True)
    return sorted(made.glob("*.so"))


# ---- wheel ---------------------------------------------------------------------------------------

def write_wheel(folder, files):
    """files: {name in the wheel: bytes}; RECORD is made here."""
    name = f"nlsh-{version()}-{tag()}.whl"
    record = f"{dist_info()}/RECORD"
    lines = []
    with zipfile.ZipFile(Path(folder, name), "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in files.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.append(f"{path},sha256={digest},{len(content)}\n")
            add(wheel, path, content)
        add(wheel, record, ("".join(lines) + f"{record},,\n").encode())
    return name


def add(wheel, path, content):
    """With a fixed date: the same sources give the same wheel."""
    entry = zipfile.ZipInfo(path, (2020, 1, 1, 0, 0, 0))
    entry.external_attr = (0o755 if path.endswith(".so") else 0o644) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    wheel.writestr(entry, content)


def with_info(files):
    return {**files, **{f"{dist_info()}/{name}": text.encode() for name, text in info_files().items()}}


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    files = {f"nlsh/{p.name}": p.read_bytes() for p in build_modules(config_settings)}
    for path in sorted(PACKAGE.glob("*.py*")):
        if path.suffix in (".py", ".pyi"):
            files[f"nlsh/{path.name}"] = path.read_bytes()
    files["nlsh/py.typed"] = b""
    return write_wheel(wheel_directory, with_info(files))


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    """The tree's own package, with the modules copied beside it."""
    for path in build_modules(config_settings):
        shutil.copy2(path, PACKAGE)
    return write_wheel(wheel_directory, with_info({"nlsh.pth": f"{PACKAGE.parent}\n".encode()}))


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    folder = Path(metadata_directory, dist_info())
    folder.mkdir()
    for name, text in info_files().items():
        (folder / name).write_text(text)
    return folder.name


prepare_metadata_for_build_editable = prepare_metadata_for_build_wheel


# ---- sdist ---------------------------------------------------------------------------------------

def source_files():
    for source in SOURCES:
        path = ROOT / source
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".so":
                yield file


def build_sdist(sdist_directory, config_settings=None):
    stem = f"nlsh-{version()}"
    name = stem + ".tar.gz"
    with open(Path(sdist_directory, name), "wb") as raw, \
            gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) as packed, \
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive:
        def put(path, content, mode=0o644):
            entry = tarfile.TarInfo(f"{stem}/{path}")
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))

        put("PKG-INFO", metadata().encode())
        for file in source_files():
            put(file.relative_to(ROOT).as_posix(), file.read_bytes(),
                0o755 if os.access(file, os.X_OK) else 0o644)
    return name
