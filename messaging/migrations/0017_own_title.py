"""The title that a notification had before it got its group's."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("messaging", "0016_broadcast_jobs")]

    operations = [
        migrations.AddField(
            model_name='notification',
            name='own_title',
            field=models.CharField(editable=False, max_length=200, null=True),
        ),
    ]
