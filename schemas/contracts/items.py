"""items: versions of items, append-only."""

from schemas import names
from schemas.contract import Contract, optional, required

ITEMS = Contract(
    table=names.ITEMS,
    key=("item_id", "valid_from"),
    columns=(
        required("item_id", "string", "which item"),
        required("valid_from", "timestamp", "from when this version holds, inclusive (us, UTC)"),
        required("ds", "date", "arrival day of this version; a day D sees versions with ds <= D alone"),
        optional("title", "string", "the title as the source wrote it"),
        optional("category", "string", "category or categories as the source wrote them"),
        optional("price", "double", "in the source's currency; never in content_hash"),
        optional("image_ref", "string", "the source's name of the image"),
        optional("image_sha256", "string", "hex digest of the image's bytes; null where there is no image"),
        required("content_hash", "string", "hex digest of exactly what the item tower reads (karma.text.content_hash)"),
    ),
)
