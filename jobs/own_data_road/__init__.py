"""A user's own files on the daily road: landed, evaluated leave-last-out, split by time, published, joined, summarised."""
