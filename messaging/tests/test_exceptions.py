from django.utils import translation
from django.utils.translation import gettext_lazy, pgettext_lazy

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


def test_the_text_is_english_and_a_page_shows_its_translation():
    with translation.override("de"):
        error = exceptions.TooManyAttempts(60)
        assert str(error) == "Too many failed sign-ins: wait a few minutes."
        assert error.translated() == "Zu viele fehlgeschlagene Anmeldungen: Bitte warten Sie einige Minuten."
    assert error.translated() == str(error)


def test_values_are_translated_with_the_text():
    with translation.override("de"):
        text, fault = (
            gettext_lazy("The %(name)s %(fault)s."),
            gettext_lazy("must not contain control characters"),
        )
        error = exceptions.Invalid(text, name=pgettext_lazy("doorbell", "title"), fault=fault)
        assert str(error) == "The title must not contain control characters."
        assert error.translated() == "„Titel“ darf keine Steuerzeichen enthalten."


def test_a_text_of_a_program_is_never_filled():
    assert str(exceptions.Invalid("100 % of %(name)s")) == "100 % of %(name)s"
    assert exceptions.Invalid("100 % of %(name)s").translated() == "100 % of %(name)s"
