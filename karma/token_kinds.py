"""What a place of a history holds. A module of its own: drivers and packing need the numbers, not torch."""

PADDING, ITEM, UNKNOWN_ITEM, QUERY_ONLY = 0, 1, 2, 3
KINDS = 4
