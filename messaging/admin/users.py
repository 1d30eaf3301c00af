"""Users: their profiles and their accounts."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from messaging import profiles, users
from messaging.models import Message, Notification, UserProfile

from .common import KEY, NAME, OwnedByUserAdmin, figure, link, link_to_list, may_act_for, number_of
from .deletion import BoundedDeletionAdmin
from .sending import SendActionAdmin


@admin.register(UserProfile)
class UserProfileAdmin(OwnedByUserAdmin, SendActionAdmin):
    list_display = ("user", "online", "hidden", "last_seen", "sent", "received", "notifications")
    list_select_related = ("user",)
    list_filter = ("is_online", "is_hidden", "last_seen")
    search_fields = (f"user__{NAME}",)
    search_help_text = _("A user's name")
    ordering = (f"user__{NAME}",)
    readonly_fields = (
        "user_link",
        "last_seen",
        "offline_after",
        "version",
        "sent",
        "received",
        "notifications",
    )
    fields = ("user_link", "is_online", "is_hidden", *readonly_fields[1:])
    actions = ("set_online", "set_offline", "send_notification")

    def get_queryset(self, request: HttpRequest) -> QuerySet[UserProfile]:
        rows: QuerySet[UserProfile] = super().get_queryset(request).select_related("user")
        return rows.annotate(
            sent_count=number_of(Message.objects.all(), "sender", "user"),
            received_count=number_of(Message.objects.all(), "receiver", "user"),
            notification_count=number_of(Notification.objects.all(), "user", "user"),
        )

    def users_of(self, queryset: QuerySet[UserProfile]) -> QuerySet[Any]:
        return users.people().filter(pk__in=queryset.order_by().values("user_id"))

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        texts = {
            "is_online": _(
                "Set manually, it lasts until the user's next connect or disconnect;"
                " online without a connection lasts five minutes at most."
            ),
            "is_hidden": _(
                "Contacts see a hidden user as offline and never seen, and get no status notifications."
            ),
        }
        return super().get_form(request, obj, change=change, help_texts=texts, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: UserProfile | None = None) -> Any:
        fields = super().get_readonly_fields(request, obj)
        # Hiding is the user's own choice.
        return fields if obj is None or may_act_for(request.user, obj.user) else (*fields, "is_hidden")

    @admin.display(description=pgettext_lazy("doorbell", "online"), boolean=True, ordering="is_online")
    def online(self, profile: UserProfile) -> bool:
        return profile.is_online

    @admin.display(description=pgettext_lazy("doorbell", "hidden"), boolean=True, ordering="is_hidden")
    def hidden(self, profile: UserProfile) -> bool:
        return profile.is_hidden

    @admin.display(description=pgettext_lazy("doorbell", "account"))
    def user_link(self, profile: UserProfile) -> str:
        return link(profile.user)

    @admin.display(description=pgettext_lazy("doorbell", "sent"))
    def sent(self, profile: Any) -> str:
        return link_to_list(Message, profile.sent_count, **{f"sender__{KEY}__exact": profile.user_id})

    @admin.display(description=pgettext_lazy("doorbell", "received"))
    def received(self, profile: Any) -> str:
        return link_to_list(Message, profile.received_count, **{f"receiver__{KEY}__exact": profile.user_id})

    @admin.display(description=pgettext_lazy("doorbell", "notifications"))
    def notifications(self, profile: Any) -> str:
        return link_to_list(
            Notification, profile.notification_count, **{f"user__{KEY}__exact": profile.user_id}
        )

    @admin.action(description=_("Set selected users online for five minutes"), permissions=["change"])
    def set_online(self, request: HttpRequest, queryset: QuerySet[UserProfile]) -> None:
        self._set(request, queryset, is_online=True)

    @admin.action(description=_("Set selected users offline"), permissions=["change"])
    def set_offline(self, request: HttpRequest, queryset: QuerySet[UserProfile]) -> None:
        self._set(request, queryset, is_online=False)

    def _set(self, request: HttpRequest, queryset: QuerySet[UserProfile], *, is_online: bool) -> None:
        user_ids = list(queryset.order_by().values_list("user_id", flat=True))
        changed = len(profiles.set_many_manually(user_ids, is_online=is_online))
        text = (
            ngettext("%(count)s user set online.", "%(count)s users set online.", changed)
            if is_online
            else ngettext("%(count)s user set offline.", "%(count)s users set offline.", changed)
        )
        self.message_user(request, text % {"count": figure(changed)})


class AccountAdmin(BoundedDeletionAdmin, SendActionAdmin, UserAdmin):  # type: ignore[type-arg]
    """Django's user admin, for users with a hundred thousand notifications. Mix it into a project's own."""

    actions = ("send_notification", "delete_selected")


if admin.site.is_registered(users.model()):
    registered = admin.site.get_model_admin(users.model())
    # A project's own user admin stays.
    if type(registered) is UserAdmin:
        admin.site.unregister(users.model())
        admin.site.register(users.model(), AccountAdmin)
