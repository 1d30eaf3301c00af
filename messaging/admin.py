"""The domain in Django's admin. What is done here goes through the domain's writers, so every open tab hears of it."""

from collections.abc import Iterator
from typing import Any, get_args

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Count, IntegerField, Model, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.http import urlencode

from . import notification_types, notifications, profiles, tokens
from .models import ApiToken, Inbox, Message, Notification, UserProfile

NAME = get_user_model().USERNAME_FIELD
NOTHING = "-"
PREVIEW = 60
# So many users are offered to filter by. Everybody else is found by the search, or by a link on their profile.
USERS_OFFERED = 30
LISTED_TO_CONFIRM = 50


def link(thing: Model | None, text: str | None = None) -> str:
    """Link to a row's own page, if it has one."""
    if thing is None:
        return NOTHING
    options = thing._meta
    try:
        url = reverse(f"admin:{options.app_label}_{options.model_name}_change", args=[thing.pk])
    except NoReverseMatch:
        return text or str(thing)
    return format_html('<a href="{}">{}</a>', url, text or thing)


def link_to_list(model: type[Model], text: Any, **filters: Any) -> str:
    """Link to the rows of a model that these filters leave."""
    url = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    return format_html('<a href="{}?{}">{}</a>', url, urlencode(filters), text)


def shortened(text: str, length: int = PREVIEW) -> str:
    return (text[:length] + ("…" if len(text) > length else "")).strip() or NOTHING


def number_of(rows: QuerySet[Any], column: str, outer: str = "pk") -> Coalesce:
    """Count the rows whose `column` is the `outer` one, in a subquery: only those of the page shown are counted."""
    own = rows.filter(**{column: OuterRef(outer)}).order_by()
    number = own.values(column).annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(number, output_field=IntegerField()), 0)


def counted(count: int, name: str) -> str:
    return f"{count} {name}" if count == 1 else f"{count} {name}s"


class UserFilter(admin.RelatedFieldListFilter):
    """A filter by user that offers the first few, and whoever is chosen: there may be a hundred thousand."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[Any, Any]]:
        users = get_user_model().objects.order_by(NAME).values_list("pk", NAME)
        offered = list(users[:USERS_OFFERED])
        # The filter's value, of which Django has made a list.
        chosen = [pk for value in self.lookup_val or () if (pk := str(value)).isdecimal() and len(pk) < 19]
        if chosen and not {str(pk) for pk, _ in offered} & set(chosen):
            offered += users.filter(pk__in=chosen)
        return offered


class TypeFilter(admin.SimpleListFilter):
    """A filter by type that knows the declared ones, instead of looking through all rows for them."""

    title = "type"
    parameter_name = "notification_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterator[tuple[str, str]]:
        for declared in notification_types.all_types():
            yield declared.name, declared.label

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(notification_type=self.value()) if self.value() else queryset


class LevelFilter(admin.SimpleListFilter):
    """A filter by level, which doesn't look through all rows either."""

    title = "level"
    parameter_name = "level"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(level, level) for level in get_args(notification_types.Level)]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(level=self.value()) if self.value() else queryset


class GoesWithItsUser(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that are neither added nor deleted by hand: they come and go with their users."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Django asks this too when a user is to be deleted, and then the answer is that of the user's rights.
        match, options = request.resolver_match, self.model._meta
        if match is not None and str(match.url_name).startswith(f"{options.app_label}_{options.model_name}_"):
            return False
        return super().has_delete_permission(request, obj)


class ReadOnly(GoesWithItsUser):
    """Rows to look at."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MessageForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        if cleaned.get("sender") is not None and cleaned.get("sender") == cleaned.get("receiver"):
            raise ValidationError("A message to oneself can't be sent.")
        return cleaned


@admin.register(Message)
class MessageAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = MessageForm
    list_display = (
        "preview",
        "sender_link",
        "receiver_link",
        "timestamp",
        "read",
        "number_of_notifications",
    )
    list_select_related = ("sender", "receiver")
    list_filter = ("is_read", "timestamp", ("sender", UserFilter), ("receiver", UserFilter))
    search_fields = ("content", f"sender__{NAME}", f"receiver__{NAME}")
    search_help_text = "Words of the content, or of a name"
    autocomplete_fields = ("sender", "receiver")
    actions = ("mark_read", "mark_unread")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        rows: QuerySet[Message] = super().get_queryset(request).select_related("sender", "receiver")
        return rows.annotate(notification_count=number_of(Notification.objects.all(), "message"))

    def get_fields(self, request: HttpRequest, obj: Message | None = None) -> Any:
        if obj is None:
            return "sender", "receiver", "content"
        return "sender_link", "receiver_link", "content", "timestamp", "is_read", "number_of_notifications"

    def get_readonly_fields(self, request: HttpRequest, obj: Message | None = None) -> Any:
        # A message that has been sent stays what it is.
        if obj is None:
            return ()
        return "sender_link", "receiver_link", "content", "timestamp", "number_of_notifications"

    def save_model(self, request: HttpRequest, obj: Message, form: Any, change: bool) -> None:
        if not change:
            obj.save()
        elif "is_read" in form.changed_data:
            rows = Message.objects.filter(pk=obj.pk)
            _ = rows.mark_read() if obj.is_read else rows.mark_unread()

    @admin.display(description="message")
    def preview(self, message: Message) -> str:
        return shortened(message.content)

    @admin.display(description="sender", ordering=f"sender__{NAME}")
    def sender_link(self, message: Message) -> str:
        return link(message.sender)

    @admin.display(description="receiver", ordering=f"receiver__{NAME}")
    def receiver_link(self, message: Message) -> str:
        return link(message.receiver)

    @admin.display(description="read", boolean=True, ordering="is_read")
    def read(self, message: Message) -> bool:
        return message.is_read

    @admin.display(description="notifications")
    def number_of_notifications(self, message: Message) -> str:
        count: int = message.notification_count  # type: ignore[attr-defined]
        return link_to_list(Notification, count, message__id__exact=message.pk) if count else "0"

    @admin.action(description="Mark selected messages read", permissions=["change"])
    def mark_read(self, request: HttpRequest, queryset: Any) -> None:
        self.message_user(request, f"{counted(queryset.mark_read(), 'message')} marked read.")

    @admin.action(description="Mark selected messages unread", permissions=["change"])
    def mark_unread(self, request: HttpRequest, queryset: Any) -> None:
        self.message_user(request, f"{counted(queryset.mark_unread(), 'message')} marked unread.")


SHOWN_OF_A_NOTIFICATION = (
    "user_link",
    "type_label",
    "title",
    "description",
    "level",
    "url",
    "is_read",
    "actor_link",
    "message_link",
    "created_at",
    "revision",
    "pending_since",
)


@admin.register(Notification)
class NotificationAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = (
        "title",
        "user_link",
        "type_label",
        "read",
        "actor_link",
        "message_link",
        "created_at",
    )
    list_select_related = ("user", "actor", "message")
    list_filter = ("is_read", TypeFilter, LevelFilter, "created_at", ("user", UserFilter))
    search_fields = ("title", "description", f"user__{NAME}")
    search_help_text = "Words of the title or the description, or of the user's name"
    fields = SHOWN_OF_A_NOTIFICATION
    # Clients keep the texts that they were told: a changed one would reach nobody.
    readonly_fields = tuple({*SHOWN_OF_A_NOTIFICATION} - {"is_read"})
    actions = ("mark_read", "mark_unread")
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notification]:
        return super().get_queryset(request).select_related("user", "actor", "message")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions = super().get_actions(request)
        if (known := actions.get("delete_selected")) is not None:
            function, name, _ = known
            actions[name] = (function, name, "Remove selected notifications from every device")
        return actions

    def save_model(self, request: HttpRequest, obj: Notification, form: Any, change: bool) -> None:
        if "is_read" in form.changed_data:
            mark = notifications.mark_read if obj.is_read else notifications.mark_unread
            mark(obj.user_id, [obj.pk])

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        # Nothing hangs on a notification; and Django's own would list every one of a hundred thousand.
        listed, number = objs[:LISTED_TO_CONFIRM], len(objs) if isinstance(objs, list) else objs.count()
        lines = [link(row) for row in listed]
        if number > len(lines):
            lines.append(f"and {number - len(lines)} more")
        return lines, {"notifications": number}, set(), []

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        notifications.remove_rows(queryset)

    @admin.display(description="user", ordering=f"user__{NAME}")
    def user_link(self, notification: Notification) -> str:
        return link(notification.user)

    @admin.display(description="type", ordering="notification_type")
    def type_label(self, notification: Notification) -> str:
        declared = {known.name: known.label for known in notification_types.all_types()}
        return declared.get(notification.notification_type, notification.notification_type)

    @admin.display(description="read", boolean=True, ordering="is_read")
    def read(self, notification: Notification) -> bool:
        return notification.is_read

    @admin.display(description="from", ordering=f"actor__{NAME}")
    def actor_link(self, notification: Notification) -> str:
        return link(notification.actor)

    @admin.display(description="message")
    def message_link(self, notification: Notification) -> str:
        message = notification.message
        return link(message, shortened(message.content, 25) if message else None)

    @admin.action(description="Mark selected notifications read", permissions=["change"])
    def mark_read(self, request: HttpRequest, queryset: Any) -> None:
        changed = notifications.mark_rows_read(queryset)
        self.message_user(request, f"{counted(changed, 'notification')} marked read.")

    @admin.action(description="Mark selected notifications unread", permissions=["change"])
    def mark_unread(self, request: HttpRequest, queryset: Any) -> None:
        changed = notifications.mark_rows_unread(queryset)
        self.message_user(request, f"{counted(changed, 'notification')} marked unread.")


@admin.register(UserProfile)
class UserProfileAdmin(GoesWithItsUser):
    list_display = ("user", "online", "hidden", "last_seen", "sent", "received", "notifications")
    list_select_related = ("user",)
    list_filter = ("is_online", "is_hidden", "last_seen")
    search_fields = (f"user__{NAME}",)
    search_help_text = "A user's name"
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
    actions = ("set_online", "set_offline")

    def get_queryset(self, request: HttpRequest) -> QuerySet[UserProfile]:
        rows: QuerySet[UserProfile] = super().get_queryset(request).select_related("user")
        return rows.annotate(
            sent_count=number_of(Message.objects.all(), "sender", "user"),
            received_count=number_of(Message.objects.all(), "receiver", "user"),
            notification_count=number_of(Notification.objects.all(), "user", "user"),
        )

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        texts = {
            "is_online": "Set by hand, it lasts until the user's next connect or disconnect;"
            " online without a connection, five minutes at most.",
            "is_hidden": "To their contacts a hidden user is offline and was never seen, and nobody is notified.",
        }
        return super().get_form(request, obj, change=change, help_texts=texts, **kwargs)

    @admin.display(description="online", boolean=True, ordering="is_online")
    def online(self, profile: UserProfile) -> bool:
        return profile.is_online

    @admin.display(description="hidden", boolean=True, ordering="is_hidden")
    def hidden(self, profile: UserProfile) -> bool:
        return profile.is_hidden

    @admin.display(description="account")
    def user_link(self, profile: UserProfile) -> str:
        return link(profile.user)

    @admin.display(description="sent")
    def sent(self, profile: Any) -> str:
        return link_to_list(Message, profile.sent_count, sender__id__exact=profile.user_id)

    @admin.display(description="received")
    def received(self, profile: Any) -> str:
        return link_to_list(Message, profile.received_count, receiver__id__exact=profile.user_id)

    @admin.display(description="notifications")
    def notifications(self, profile: Any) -> str:
        return link_to_list(Notification, profile.notification_count, user__id__exact=profile.user_id)

    @admin.action(description="Set selected users online, for five minutes", permissions=["change"])
    def set_online(self, request: HttpRequest, queryset: QuerySet[UserProfile]) -> None:
        self._set(request, queryset, is_online=True)

    @admin.action(description="Set selected users offline", permissions=["change"])
    def set_offline(self, request: HttpRequest, queryset: QuerySet[UserProfile]) -> None:
        self._set(request, queryset, is_online=False)

    def _set(self, request: HttpRequest, queryset: QuerySet[UserProfile], *, is_online: bool) -> None:
        user_ids = list(queryset.order_by().values_list("user_id", flat=True))
        changed = len(profiles.set_many_by_hand(user_ids, is_online=is_online))
        self.message_user(request, f"{counted(changed, 'user')} set {'online' if is_online else 'offline'}.")


@admin.register(Inbox)
class InboxAdmin(ReadOnly):
    list_display = ("user", "revision", "unread_count", "floor", "epoch")
    list_select_related = ("user",)
    search_fields = (f"user__{NAME}",)
    search_help_text = "A user's name"
    ordering = (f"user__{NAME}",)
    fields = ("user", "epoch", "revision", "unread_count", "floor")


class ApiTokenForm(forms.ModelForm):  # type: ignore[type-arg]
    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        if self.instance._state.adding and not (cleaned.get("user") or cleaned.get("can_publish")):
            raise ValidationError("Give the token a user in whose name it acts, or the right to publish.")
        return cleaned


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = ApiTokenForm
    list_display = ("name", "user", "can_publish", "created_at", "revoked_at", "valid")
    list_select_related = ("user",)
    list_filter = (("revoked_at", admin.EmptyFieldListFilter), "can_publish")
    search_fields = ("name", f"user__{NAME}")
    ordering = ("-pk",)
    autocomplete_fields = ("user",)
    actions = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        return super().get_queryset(request).select_related("user")

    def get_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        return (
            ("name", "user", "can_publish")
            if obj is None
            else ("name", *self.get_readonly_fields(request, obj))
        )

    def get_readonly_fields(self, request: HttpRequest, obj: ApiToken | None = None) -> Any:
        # What a token may do is settled when it is made.
        return () if obj is None else ("user", "can_publish", "created_at", "revoked_at")

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        if change:
            obj.save(update_fields=["name"])
            return
        secret = tokens.issue(obj)
        text = "The secret of {}: {} Copy it now: nobody can ever read it again."
        self.message_user(
            request, format_html(text, obj.name, format_html("<code>{}</code>", secret)), messages.WARNING
        )

    @admin.display(description="valid", boolean=True)
    def valid(self, token: ApiToken) -> bool:
        return token.revoked_at is None and (token.user is None or token.user.is_active)

    @admin.action(description="Revoke selected tokens", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        valid = list(queryset.filter(revoked_at=None))
        for token in valid:
            tokens.revoke(token)
            self.log_change(request, token, "Revoked.")
        self.message_user(request, f"{counted(len(valid), 'token')} revoked.")
