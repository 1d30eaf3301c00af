"""A client of the admin: changelists, change pages, forms and actions."""

from django.test import Client
from django.urls import reverse


class AdminClient:
    """A browser at /admin/, signed in."""

    def __init__(self, user):
        self.client = Client()
        self.client.force_login(user)

    def list(self, name, **query):
        """Return the text of a changelist, which must be answered with 200."""
        return self._shown(self.client.get(reverse(f"admin:{name}_changelist"), query))

    def page(self, thing):
        return self._shown(self.client.get(admin_url(thing, "change")))

    def _shown(self, response):
        assert response.status_code == 200
        return response.content.decode()

    def post(self, url, /, **fields):
        """Post a form, and return the page that follows."""
        response = self.client.post(url, fields, follow=True)
        assert response.status_code == 200
        return response.content.decode()

    def run_action(self, action, /, *things, **fields):
        name = f"{things[0]._meta.app_label}_{things[0]._meta.model_name}"
        chosen = [thing.pk for thing in things]
        return self.post(
            reverse(f"admin:{name}_changelist"), action=action, _selected_action=chosen, **fields
        )

    def actions(self, name):
        response = self.client.get(reverse(f"admin:{name}_changelist"))
        form = response.context["action_form"]
        return [choice for choice, _ in form.fields["action"].choices if choice] if form else []


def admin_url(thing, what):
    return reverse(f"admin:{thing._meta.app_label}_{thing._meta.model_name}_{what}", args=[thing.pk])
