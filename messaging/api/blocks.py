"""The calls by which a user blocks others. None of them, and nothing else, shows the blocked one that they are."""

from ninja import Path, Query, Router, Status

from messaging import blocks, names, schemas
from messaging.exceptions import SelfBlock, UnknownUser
from messaging.models import Block

from . import queries, requests
from .errors import answers
from .lookups import USER_ID, page, user_known_to
from .security import SignedIn

router = Router(tags=["blocks"])


@router.get("/blocks", response=answers({200: schemas.Blocks}))
def list_blocks(request: SignedIn, query: Query[queries.Page]) -> schemas.Blocks:
    """List the users whom the user has blocked."""
    rows = Block.objects.filter(blocker=request.user)
    found, following = page(rows, query, "blocked_id", "created_at", name=names.expression("blocked__"))
    names.put(found, blocked_id="name")
    items = [
        schemas.Block(
            user=schemas.User(id=row["blocked_id"], username=row["name"] or ""), created_at=row["created_at"]
        )
        for row in found
    ]
    return schemas.Blocks(items=items, next=following)


@router.post("/blocks", response=answers({200: schemas.Block}, 404))
def block(request: SignedIn, data: requests.NewBlock) -> schemas.Block:
    """Block a user. Nothing of theirs arrives any more, and they can't notice it. A second time changes nothing."""
    other = user_known_to(request.user, data.name, data.key)
    if other.pk == request.user.pk:
        raise SelfBlock
    row = blocks.block(request.user.pk, other.pk)
    return schemas.Block(user=schemas.User(id=other.pk, username=names.of(other)), created_at=row.created_at)


@router.delete(f"/blocks/{USER_ID}", response=answers({204: None}, 404))
def unblock(request: SignedIn, user_id: Path[requests.AnyUserId]) -> Status[None]:
    """Unblock a user. A second time changes nothing."""
    if user_id is None:
        raise UnknownUser
    if not blocks.unblock(request.user.pk, user_id):
        user_known_to(request.user, key=user_id)
    return Status(204, None)
