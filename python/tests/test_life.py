"""An index from its opening to its end: files, copies, pickles, context managers, processes, memory."""

import copy
import gc
import multiprocessing
import os
import pickle
import resource
import threading
import unittest

import numpy as np

import nlsh
from support import Folder, index, queries


def same_answers(a, b):
    for x, y in zip(a.search(queries(), 5), b.search(queries(), 5)):
        np.testing.assert_array_equal(x, y)


class Files(unittest.TestCase):
    def test_saved_and_opened_is_the_same(self):
        with Folder() as path_of:
            index().save(path_of("a.nlsh"))
            nlsh.verify(path_of("a.nlsh"))
            for memory in ("map", "codes", "all"):
                with nlsh.open(path_of("a.nlsh"), memory) as opened:
                    same_answers(opened, index())
                    self.assertEqual(opened.info, index().info)
            self.assertEqual(os.listdir(path_of("")), ["a.nlsh"])

    def test_outlives_its_name(self):
        with Folder() as path_of:
            index().save(path_of("a.nlsh"))
            opened = nlsh.open(os.fsencode(path_of("a.nlsh")))
            os.unlink(path_of("a.nlsh"))
            same_answers(opened, index())
            opened.save(path_of("b.nlsh"))
            same_answers(nlsh.open(path_of("b.nlsh")), index())

    def test_save_over_the_open_file(self):
        with Folder() as path_of:
            index().save(path_of("a.nlsh"))
            opened = nlsh.open(path_of("a.nlsh"))
            opened.save(path_of("a.nlsh"))
            same_answers(opened, nlsh.open(path_of("a.nlsh")))

    def test_save_to_no_folder_leaves_nothing(self):
        with Folder() as path_of, self.assertRaises(OSError):
            index().save(path_of("no/such/folder.nlsh"))

    def test_damage_is_found(self):
        with Folder() as path_of:
            index().save(path_of("a.nlsh"))
            with open(path_of("a.nlsh"), "r+b") as file:
                file.seek(-5, 2)
                byte = file.read(1)[0]
                file.seek(-5, 2)
                file.write(bytes([byte ^ 1]))
            with self.assertRaises(nlsh.DataError):
                nlsh.verify(path_of("a.nlsh"))


class Errors(unittest.TestCase):
    def test_say_status_message_and_hint(self):
        with self.assertRaises(nlsh.NoInputError) as caught:
            nlsh.open("/no/such/index.nlsh")
        error = caught.exception
        self.assertIsInstance(error, FileNotFoundError)
        self.assertIsInstance(error, nlsh.Error)
        self.assertEqual((error.status, error.name), (3, "NLSH_E_NO_INPUT"))
        self.assertIn("/no/such/index.nlsh", error.message)
        self.assertIn(error.message, str(error))

    def test_each_status_has_its_class(self):
        from nlsh._errors import error_of
        kinds = {type(error_of(status, "m", "h")) for status in range(1, 12)}
        self.assertEqual(len(kinds), 11)
        for status in range(1, 12):
            error = error_of(status, "m", "h")
            self.assertEqual((error.status, error.message, error.hint), (status, "m", "h"))
            again = pickle.loads(pickle.dumps(error))
            self.assertEqual((type(again), again.message, again.hint), (type(error), "m", "h"))
        self.assertIs(type(error_of(99, "m", "h")), nlsh.InternalError)

    def test_of_what_is_no_index(self):
        with Folder() as path_of:
            with open(path_of("a.nlsh"), "wb") as file:
                file.write(b"no index" * 100)
            with self.assertRaises(nlsh.DataError) as caught:
                nlsh.open(path_of("a.nlsh"))
            self.assertIsInstance(caught.exception, ValueError)

    def test_names_that_are_no_utf8(self):
        with self.assertRaises(nlsh.NoInputError) as caught:
            nlsh.open(b"/no/\xff.nlsh")
        self.assertIn("/no/", caught.exception.message)

    def test_of_the_memory_asked_for(self):
        with self.assertRaises(nlsh.ArgumentError):
            nlsh.open("a.nlsh", "much")


class Copies(unittest.TestCase):
    def test_copy_shares_what_is_open(self):
        for make in (copy.copy, copy.deepcopy):
            first = pickle.loads(pickle.dumps(index()))
            second = make(first)
            self.assertIsInstance(second, nlsh.Index)
            first.close()
            same_answers(second, index())

    def test_pickle_carries_the_content(self):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            again = pickle.loads(pickle.dumps(index(), protocol))
            self.assertIsInstance(again, nlsh.Index)
            self.assertEqual(again.info, index().info)
            self.assertEqual(again.report, index().report)
            same_answers(again, index())

    def test_info_and_words(self):
        info = index().info
        self.assertEqual((info.n_rows, info.dim, info.dtype, info.metric, info.n_buckets),
                         (1000, 16, "float32", "l2", 8))
        self.assertEqual(info.settings["partitioner"], "kmeans")
        self.assertEqual(len(index()), 1000)
        self.assertIn("1000 vectors of 16 x float32", repr(index()))


class Closing(unittest.TestCase):
    def test_a_closed_index_answers_nothing(self):
        with pickle.loads(pickle.dumps(index())) as opened:
            self.assertFalse(opened.closed)
        self.assertTrue(opened.closed)
        opened.close()
        for call in (lambda: opened.search(queries()), lambda: opened.info, lambda: len(opened),
                     lambda: opened.route(queries()), lambda: opened.search_range(queries()[0], 1.0),
                     lambda: copy.copy(opened), lambda: pickle.dumps(opened)):
            with self.assertRaisesRegex(ValueError, "closed"):
                call()
        self.assertIn("closed", repr(opened))

    def test_closing_waits_for_no_search_and_breaks_none(self):
        many = np.tile(queries(), (400, 1))
        for _ in range(5):
            opened = pickle.loads(pickle.dumps(index()))
            answers = []
            threads = [threading.Thread(target=lambda: answers.append(
                opened.search(many, 20, probes=8, threads=1)[0])) for _ in range(2)]
            for t in threads:
                t.start()
            opened.close()
            for t in threads:
                t.join()  # those that came too late raised; the others are right
            for ids in answers:
                np.testing.assert_array_equal(ids[:25], index().search(queries(), 20, probes=8)[0])

    def setUp(self):
        self.hook, threading.excepthook = threading.excepthook, lambda args: None

    def tearDown(self):
        threading.excepthook = self.hook


def search_in_child(out):
    out.put(index().search(np.tile(queries(), (4, 1)), 5, threads=2)[0])


class Processes(unittest.TestCase):
    def test_a_forked_child_searches_too(self):
        want = index().search(np.tile(queries(), (4, 1)), 5, threads=2)[0]  # the parent has a pool now
        context = multiprocessing.get_context("fork")
        out = context.Queue()
        child = context.Process(target=search_in_child, args=(out,))
        child.start()
        got = out.get(timeout=60)
        child.join(60)
        np.testing.assert_array_equal(got, want)


class Memory(unittest.TestCase):
    """NLSH_TEST_CALLS is how many calls are made; a leak of 16 bytes a call is found."""

    CALLS = int(os.environ.get("NLSH_TEST_CALLS", "1000000"))

    def leaks(self, call, n):
        for _ in range(n // 10):
            call()
        gc.collect()
        before = resident()
        for _ in range(n):
            call()
        gc.collect()
        return (resident() - before) / n

    def test_searches_leak_nothing(self):
        q, search = queries()[0], nlsh.build(
            np.eye(16, dtype="f4"), buckets=2, epochs=1, nodes=4, partitioner="kmeans", progress=False).search
        self.assertLess(self.leaks(lambda: search(q, 1, probes=1), self.CALLS), 16)

    def test_others_leak_nothing(self):
        mask, wrong = np.ones(1000, bool), queries()[:, :3]

        def refused():
            try:
                index().search(wrong)
            except nlsh.Error:
                pass
        f8, swapped = queries()[0].astype("f8"), queries()[0].astype(">f4")
        for call in (lambda: index().search(queries()[0], filter=mask),
                     lambda: index().search(queries()[0], filter=lambda key: True),
                     lambda: index().search_range(queries()[0], 3.0), lambda: index().route(f8),
                     lambda: index().search(swapped), lambda: index().search(f8.tolist()),
                     lambda: index().info, lambda: copy.copy(index()).close(), refused,
                     lambda: index().search(queries(), threads=1)):
            self.assertLess(self.leaks(call, self.CALLS // 200), 256)

    def test_opening_leaks_nothing(self):
        with Folder() as path_of:
            index().save(path_of("a.nlsh"))
            n_open = len(os.listdir("/proc/self/fd"))

            def call():
                opened = nlsh.open(path_of("a.nlsh"))
                opened.search(queries()[0])
                opened.search(queries(), threads=2)
            self.assertLess(self.leaks(call, self.CALLS // 2000), 2048)
            self.assertEqual(len(os.listdir("/proc/self/fd")), n_open)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    unittest.main()
