from messaging import exceptions
from messaging.exceptions import MessagingError


def every_error():
    found, todo = [], [MessagingError]
    while todo:
        found.append(error := todo.pop())
        todo += error.__subclasses__()
    return found


def test_every_error_explains_itself():
    for error in every_error():
        assert error.__doc__
        assert error.__doc__.strip().endswith(".")


def test_every_error_has_a_code_of_its_own():
    codes = [error.code for error in every_error() if error.__module__ == exceptions.__name__]
    assert len(codes) == len(set(codes))


def test_the_message_is_the_docstring_unless_given():
    assert str(exceptions.UnknownUser()) == "There is no such user."
    assert str(exceptions.UnknownUser("Nobody is called mallory.")) == "Nobody is called mallory."
