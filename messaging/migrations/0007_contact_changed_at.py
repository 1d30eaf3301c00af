"""Contact.met_at is called changed_at. Nothing changes in the database, so both versions of the server can run at once."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("messaging", "0006_pruning_indexes")]

    operations = [
        migrations.SeparateDatabaseAndState(
            state_operations=[
                migrations.RemoveIndex(model_name="contact", name="messaging_contact_met"),
                migrations.AlterField(
                    model_name="contact",
                    name="met_at",
                    field=models.DateTimeField(
                        db_column="met_at",
                        db_default=django.db.models.functions.datetime.Now(),
                        editable=False,
                    ),
                ),
                migrations.RenameField(model_name="contact", old_name="met_at", new_name="changed_at"),
                migrations.AddIndex(
                    model_name="contact", index=models.Index(fields=["changed_at"], name="messaging_contact_met")
                ),
            ]
        )
    ]
