"""The indexes of groups, in their own migration, since they are built while others write."""

from django.db import migrations, models

from messaging.orm.online_index import AddIndexOnline


class Migration(migrations.Migration):

    atomic = False

    dependencies = [("messaging", "0014_texts")]

    operations = [
        AddIndexOnline(
            model_name='notification',
            index=models.Index(condition=models.Q(('group_key__isnull', False), ('is_read', False), ('removed_at', None)), fields=['user', 'group_key'], name='messaging_group'),
        ),
        AddIndexOnline(
            model_name='notification',
            index=models.Index(condition=models.Q(('collapsed_into_id__isnull', False)), fields=['collapsed_into_id', 'id'], name='messaging_members'),
        ),
    ]
