#!/usr/bin/env python3
"""install.py TREE: puts the client into a tree of VectorDBBench, and its name where that tree lists its clients.

Then, in an environment that has nlsh: vectordbbench nlsh --path FOLDER --case-type Performance768D1M
"""
import os
import shutil
import sys

here, tree = os.path.dirname(os.path.abspath(__file__)), sys.argv[1]
clients = os.path.join(tree, "vectordb_bench/backend/clients")

# What is found, each once, and what goes before it.
IMPORT = "        if self == DB.Nlsh:\n            from .nlsh.{file} import {name}\n\n            return {name}\n\n"
REGISTRY = [
    ('    Milvus = "Milvus"\n', '    Nlsh = "Nlsh"\n'),
    ("        if self == DB.Milvus:\n            from .milvus.milvus import", IMPORT.format(file="nlsh", name="Nlsh")),
    ("        if self == DB.Milvus:\n            from .milvus.config import MilvusConfig",
     IMPORT.format(file="config", name="NlshConfig")),
    ("        if self == DB.Milvus:\n            from .milvus.config import _milvus_case_config",
     IMPORT.format(file="config", name="NlshIndexConfig")),
]
COMMANDS = [
    ("from ..backend.clients.milvus.cli import", "from ..backend.clients.nlsh.cli import Nlsh\n"),
    ("cli.add_command(PgVectorHNSW)\n", "cli.add_command(Nlsh)\n"),
]


def edit(path, pairs):
    with open(path) as file:
        text = file.read()
    if "Nlsh" in text:
        return
    for found, new in pairs:
        if text.count(found) != 1:
            sys.exit(f"{path}: {text.count(found)} times {found!r}, where it was once: has VectorDBBench changed?")
        text = text.replace(found, new + found)
    with open(path, "w") as file:
        file.write(text)


os.makedirs(os.path.join(clients, "nlsh"), exist_ok=True)
for name in ("nlsh.py", "config.py", "cli.py"):
    shutil.copy(os.path.join(here, name), os.path.join(clients, "nlsh", name))
edit(os.path.join(clients, "__init__.py"), REGISTRY)
edit(os.path.join(tree, "vectordb_bench/cli/vectordbbench.py"), COMMANDS)
