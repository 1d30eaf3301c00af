"""The order of texts in which Python and both databases agree."""

from typing import Any

from django.db.models import Func


class CodePoints(Func):
    """A column that, if it is a text, is compared by code points, as in Python and SQLite, and not by a collation.

    So two users' keys are in the same order for all, whatever the database's collation is, or becomes.
    """

    arity = 1
    template = "%(expressions)s"

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> tuple[str, Any]:
        [column] = self.get_source_expressions()
        is_text = column.output_field.db_parameters(connection)["type"].startswith(
            ("varchar", "text", "char")
        )
        return self.as_sql(
            compiler,
            connection,
            template='%(expressions)s COLLATE "C"' if is_text else self.template,
            **context,
        )
