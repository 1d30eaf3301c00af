"""What texts are made of: data, a language, and groups. Rows of before have none of it."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [("messaging", "0013_verbose_names")]

    operations = [
        migrations.AddField(
            model_name='notification',
            name='data',
            field=models.JSONField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='notification',
            name='language',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=16),
        ),
        migrations.AddField(
            model_name='notification',
            name='group_key',
            field=models.CharField(blank=True, editable=False, max_length=200, null=True),
        ),
        migrations.AddField(
            model_name='notification',
            name='group_count',
            field=models.IntegerField(db_default=1, default=1, editable=False),
        ),
        migrations.AddField(
            model_name='notification',
            name='collapsed_into_id',
            field=models.BigIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='userprofile',
            name='language',
            field=models.CharField(blank=True, db_default='', default='', max_length=16),
        ),
        migrations.AddField(
            model_name='userprofile',
            name='timezone',
            field=models.CharField(blank=True, db_default='', default='', max_length=64, verbose_name='time zone'),
        ),
    ]
