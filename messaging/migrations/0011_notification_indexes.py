import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from messaging.orm.online_index import DropIndexOfKey


class Migration(migrations.Migration):

    dependencies = [
        ('messaging', '0010_blocks'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        DropIndexOfKey(
            model_name='notification',
            name='actor',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        DropIndexOfKey(
            model_name='notification',
            name='message',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='notifications', to='messaging.message'),
        ),
        DropIndexOfKey(
            model_name='notification',
            name='user',
            field=models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
    ]
