"""Two indexes of their own migration, since they are built while others write. A database may have them already."""

from django.db import migrations, models

from messaging.orm.online_index import AddIndexOnline


class Migration(migrations.Migration):

    atomic = False

    dependencies = [("messaging", "0011_notification_indexes")]

    operations = [
        AddIndexOnline(
            model_name='notification',
            index=models.Index(condition=models.Q(('message__isnull', False)), fields=['message'], name='messaging_by_message'),
        ),
        AddIndexOnline(
            model_name='notification',
            index=models.Index(condition=models.Q(('actor__isnull', False)), fields=['actor'], name='messaging_by_actor'),
        ),
    ]
