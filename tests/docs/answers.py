"""What the model on loopback answers to the questions of the pages, as long as a model would."""

_MONAD = """A monad is a way to chain steps that each return a value in a wrapper: a list, an optional value, the result of
a computation that may fail, or one that has yet to run. Two operations make it. The first puts a plain value into the wrapper. The
second takes a wrapped value and a function from a plain value to a wrapped one, and gives the function's result. """

_FUNCTOR = """A functor is a wrapper whose values can be changed without taking them out: a list, an optional value, a function.
It has one operation, which takes a function from a plain value to another and applies it inside the wrapper. """

ANSWERS = {
    "What is a monad?": _MONAD * 3,
    "Summarize: the boat comes on Tuesday.": "A boat comes on Tuesday.",
    "What is a functor?": _FUNCTOR * 3,
    "What is a monad, in short?": _MONAD * 3,
}
