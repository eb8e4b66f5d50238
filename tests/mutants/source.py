"""source.py - what can be changed in a C file, and the file with all changes in it.

A reader of tokens and statements, enough for text that clang-format has laid out: a function's body
opens with a brace in the first column. Macros, static initialisers, labels of cases and preprocessor
lines are left alone.

All changes of a file stand in one text and are chosen at run time ("mutant schemata": Untch, Offutt and
Harrold, "Mutation analysis using mutant schemata", ISSTA 1993). An expression E with changes A and B
becomes (nlsh__on(1) ? (A) : nlsh__on(2) ? (B) : (E)), a statement S that may be dropped becomes
{ if (!nlsh__on(3)) S }.
"""

import re

TOKEN = re.compile(
    r"""(?P<skip>\s+|/\*.*?\*/|//[^\n]*|\#(?:[^\n\\]|\\.)*)
      | (?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<number>\.?\d(?:[eE][+-]|[\w.])*)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<op><<=|>>=|\.\.\.|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)""",
    re.S | re.X,
)

# An operator, and what becomes of it. Bounds move by one; equality is turned round.
OPERATORS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==",
    "+": "-", "-": "+", "*": "/", "/": "*", "&&": "||", "||": "&&",
    "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "<<": ">>", ">>": "<<",
}
NAMES = {"fminf": "fmaxf", "fmaxf": "fminf", "fmin": "fmax", "fmax": "fmin"}
OPPOSITE = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}

TYPES = re.compile(r"^(const|static|struct|enum|unsigned|int|char|float|double|void|\w+_t)$")

# Calls that no answer depends on: a leak is for LeakSanitizer to find, a prefetch for a clock.
SILENT = re.compile(r"^(nlsh__free|nlsh_\w*_(free|close)|\w+_(free|close)|nlsh__prefetch\w*|prefetch_row|assert|lists_free)$")
# Calls whose arguments are words for people.
WORDS = {"nlsh__fail", "damaged"}


class Token:
    __slots__ = ("kind", "text", "at", "end")

    def __init__(self, kind, text, at):
        self.kind, self.text, self.at, self.end = kind, text, at, at + len(text)


class Change:
    """One mutant: file, the text of its line, and what is done to it, which are its name together."""

    def __init__(self, path, line, number, what, function):
        self.path, self.line, self.number, self.what = path, line, number, what
        self.function = function
        self.id = 0

    @property
    def key(self):
        return (self.path, self.line, self.what)


def tokens_of(text):
    found = []
    for m in TOKEN.finditer(text):
        if m.lastgroup != "skip":
            found.append(Token(m.lastgroup, m.group(), m.start()))
    return found


class Source:
    """A file's text, its changes, and where in the text they go.

    places: [(at, end, [(change, text)])] of expressions; dropped: [(at, end, change)] of statements.
    """

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.tokens = tokens_of(text)
        self.places, self.dropped = [], []
        self.seen = {}
        self.function = ""
        self.match_brackets()
        self.read_functions()

    # ---- the text ------------------------------------------------------------------------------

    def match_brackets(self):
        self.match, stack = {}, []
        for i, t in enumerate(self.tokens):
            if t.kind != "op":
                continue
            if t.text in "([{":
                stack.append(i)
            elif t.text in ")]}":
                self.match[stack.pop()] = i

    def is_(self, i, text):
        return i < len(self.tokens) and self.tokens[i].text == text

    def slice(self, first, end, changed=None):
        """The tokens' text on one line; changed: {token: text}."""
        parts = []
        for i in range(first, end):
            if i > first and self.tokens[i - 1].end < self.tokens[i].at:
                parts.append(" ")
            parts.append(self.tokens[i].text if changed is None else changed.get(i, self.tokens[i].text))
        return "".join(parts)

    def new_change(self, i, what):
        at = self.tokens[i].at
        start = self.text.rfind("\n", 0, at) + 1
        line = self.text[start : self.text.find("\n", at)].strip()
        times = self.seen[(line, what)] = self.seen.get((line, what), 0) + 1
        if times > 1:
            what += f" ({times})"
        return Change(self.path, line, self.text.count("\n", 0, at) + 1, what, self.function)

    # ---- statements ----------------------------------------------------------------------------

    def read_functions(self):
        name = ""
        i = 0
        while i < len(self.tokens):
            t = self.tokens[i]
            if t.text == "{" and t.at > 0 and self.text[t.at - 1] == "\n":
                self.function = name
                self.read_block(i, top=True)
                i = self.match[i]
            elif t.text == "{":
                i = self.match[i]
            elif t.text == "(" and self.tokens[i - 1].kind == "name":
                name = self.tokens[i - 1].text
                i = self.match[i]
            i += 1

    def read_block(self, i, top=False):
        end = self.match[i]
        i += 1
        while i < end:
            i = self.read_statement(i, top)
        return end + 1

    def semicolon(self, i):
        while not self.is_(i, ";"):
            i = self.match.get(i, i) + 1
        return i

    def read_statement(self, i, top=False):
        """Returns where the next statement begins. top: directly in the function's body."""
        word = self.tokens[i].text
        if word == "{":
            return self.read_block(i)
        if word == ";":
            return i + 1
        if word in ("if", "while", "switch"):
            close = self.match[i + 1]
            if word != "switch":
                self.read_expression(i + 2, close, condition=i)
            i = self.read_statement(close + 1)
            if self.is_(i, "else"):
                i = self.read_statement(i + 1)
            return i
        if word == "for":
            close = self.match[i + 1]
            first = self.semicolon(i + 2)
            if first > i + 2:
                self.read_plain(i + 2, first)
            second = self.semicolon(first + 1)
            self.read_expression(first + 1, second)
            return self.read_statement(close + 1)
        if word == "do":
            i = self.read_statement(i + 1)
            return self.semicolon(i) + 1
        if word in ("case", "default"):
            while not self.is_(i, ":"):
                i += 1
            return i + 1
        if self.is_(i + 1, ":") and self.tokens[i].kind == "name":
            return i + 2
        end = self.semicolon(i)
        self.read_simple(i, end, top)
        return end + 1

    def read_simple(self, i, end, top):
        word = self.tokens[i].text
        if word == "goto" or word == "_Static_assert" or SILENT.match(word):
            return
        if word == "return":
            if end > i + 1:
                self.read_expression(i + 1, end)
            droppable = not top
        elif word in ("break", "continue"):
            droppable = True
        elif word == "NLSH_TRY":
            self.read_expression(i + 2, self.match[i + 1])
            droppable = True
        else:
            droppable = not self.read_plain(i, end) and not self.is_(i, "(")
        if droppable:
            self.dropped.append((self.tokens[i].at, self.tokens[end].end, self.new_change(i, "dropped")))

    def read_plain(self, i, end):
        """A declaration or an expression; returns whether it declares."""
        if not TYPES.match(self.tokens[i].text):
            self.read_expression(i, end)
            return False
        if self.is_(i, "static"):
            return True
        while i < end:
            if self.is_(i, "="):
                stop = i + 1
                while stop < end and not self.is_(stop, ","):
                    stop = self.match.get(stop, stop) + 1
                self.read_initialiser(i + 1, stop)
                i = stop
            i = self.match.get(i, i) + 1
        return True

    def read_initialiser(self, i, end):
        if not self.is_(i, "{"):
            self.read_expression(i, end)
            return
        close = self.match[i]
        i += 1
        if close == i + 1:
            return  # {0}
        while i < close:
            stop = i
            while stop < close and not self.is_(stop, ","):
                stop = self.match.get(stop, stop) + 1
            while self.is_(i, ".") or self.is_(i, "["):
                i = self.match[i] + 1 if self.is_(i, "[") else i + 2
            if self.is_(i, "="):
                i += 1
            if not (stop == close and self.slice(i, stop) in ("0", "NULL", "")):
                self.read_initialiser(i, stop)
            i = stop + 1

    # ---- expressions ---------------------------------------------------------------------------

    def is_binary(self, i, first, end):
        """clang-format sets blanks on both sides of a binary operator, and of no other."""
        if i == first or i + 1 >= end:
            return False
        before, t, after = self.tokens[i - 1 : i + 2]
        return before.end < t.at and t.end < after.at

    def operand(self, i, step, first, end):
        """The tokens beside an operator up to the next weaker one."""
        stops = {",", ";", "=", "?", ":", "&&", "||", "return", "+=", "-="} | set(OPPOSITE) | {"==", "!="}
        opens = self.match if step > 0 else {v: k for k, v in self.match.items()}
        j = i + step
        while first <= j < end and self.tokens[j].text not in stops:
            if self.tokens[j].text in ("([{" if step < 0 else ")]}"):
                break
            j = opens.get(j, j) + step
        return (i + 1, j) if step > 0 else (j + 1, i)

    def chooses_least(self, i, first, end):
        """a < b ? a : b: at equality both are the same, so that no bound matters there."""
        left, right = self.operand(i, -1, first, end), self.operand(i, 1, first, end)
        if right[1] >= end or not self.is_(right[1], "?"):
            return False
        yes = self.operand(right[1], 1, first, end)
        if yes[1] >= end or not self.is_(yes[1], ":"):
            return False
        no = self.operand(yes[1], 1, first, end)
        return {self.slice(*left), self.slice(*right)} == {self.slice(*yes), self.slice(*no)}

    def term(self, i, end):
        """The end of the term behind a + or -."""
        j = i + 1
        while j < end and self.tokens[j].text not in (
            ",", ";", "?", ":", ")", "]", "}", "+", "-", "<<", ">>", "&", "|", "&&", "||",
            "==", "!=", "<", ">", "<=", ">=",
        ):
            j = self.match.get(j, j) + 1
        return j

    def number_changes(self, text):
        if not re.fullmatch(r"\d+[uUlL]*", text):
            return [f"({text} * 2)"]
        n = int(re.match(r"\d+", text).group())
        return ["1"] if n == 0 else ["0"] if n == 1 else [str(n + 1)]

    def token_changes(self, i, first, end):
        """[(what is said of it, {token: text})] of the changes at one token."""
        t = self.tokens[i]
        around = (max(first, i - 1), min(end, i + 2))

        def replaced(text):
            changed = {i: text}
            return (f"{self.slice(*around)} to {self.slice(*around, changed)}", changed)

        if t.kind == "number":
            return [replaced(n) for n in self.number_changes(t.text)]
        if t.kind == "name" and t.text in NAMES:
            return [replaced(NAMES[t.text])]
        if t.kind != "op" or t.text not in OPERATORS or not self.is_binary(i, first, end):
            return []
        if t.text in OPPOSITE and self.chooses_least(i, first, end):
            return [replaced(OPPOSITE[t.text])]
        found = [replaced(OPERATORS[t.text])]
        if t.text in ("+", "-"):
            stop = self.term(i, end)
            gone = {i: t.text + " 0 * (", **{j: self.tokens[j].text for j in range(i + 1, stop)}}
            gone[stop - 1] += ")"
            found.append((f"without {self.slice(i, stop)}", gone))
        return found

    def read_expression(self, first, end, condition=None):
        changes, i = [], first
        if condition is not None:
            changes.append((self.new_change(condition, "condition negated"),
                            f"!({self.slice(first, end)})"))
        while i < end:
            t = self.tokens[i]
            if t.text in WORDS and self.is_(i + 1, "("):
                i = self.match[i + 1]
            elif t.text == "sizeof":
                i = self.match[i + 1] if self.is_(i + 1, "(") else i + 1
            else:
                for what, changed in self.token_changes(i, first, end):
                    changes.append((self.new_change(i, what), self.slice(first, end, changed)))
            i += 1
        if changes:
            self.places.append((self.tokens[first].at, self.tokens[end - 1].end, changes,
                                self.slice(first, end)))

    # ---- all of it -----------------------------------------------------------------------------

    def changes(self):
        found = [c for _, _, changes, _ in self.places for c, _ in changes]
        return found + [c for _, _, c in self.dropped]

    def rewritten(self, wanted):
        """The text with the wanted changes (those in a set) in it, each on a line of its own, and of
        each such line the change."""
        edits = []
        for at, end, changes, plain in self.places:
            parts = [(c, text) for c, text in changes if c in wanted]
            if parts:
                lines = [f"\n nlsh__on({c.id}) ? ({text}) :" for c, text in parts]
                edits.append((at, end, "(" + "".join(lines) + f"\n ({plain}))"))
        for at, end, c in self.dropped:
            if c in wanted:
                edits.append((at, at, f"\n{{ if (!nlsh__on({c.id})) "))
                edits.append((end, end, " }\n"))
        text, last = ['#include "base/switch.h"\n'], 0
        for at, end, new in sorted(edits, key=lambda e: (e[0], e[1])):
            text += [self.text[last:at], new]
            last = end
        return "".join(text) + self.text[last:]
