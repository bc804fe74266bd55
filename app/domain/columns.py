"""The columns of table `tweet`: the 36 of the thesis by name and type, then ours. All others follow this list."""

from __future__ import annotations

# Of the event that the post was classified for.
EVENT_COLUMNS = {
    "id": "uuid",  # UUIDv5 of event and post
    "event_name": "text",  # the event's code
    "event_kw": "text",  # all keywords of the event, joined by ", "
}
# Of the post itself.
POST_COLUMNS = {
    "t_id": "text",
    "hashtags": "list<text>",
    "media_url": "text",
    "t_coordinates": "text",  # GeoJSON
    "t_created_at": "timestamp",
    "t_favorite_count": "int",
    "t_favorited": "boolean",
    "t_geo": "text",  # GeoJSON of the place's box, or v1.1's geo
    "t_is_a_retweet": "boolean",
    "t_lang": "text",
    "t_retweet_count": "int",
    "t_retweeted": "boolean",
    "t_text": "text",
    "u_created_at": "timestamp",
    "u_description": "text",
    "u_favourites_count": "int",
    "u_followers_count": "int",
    "u_friends_count": "int",
    "u_geo_enabled": "boolean",
    "u_id": "text",
    "u_lang": "text",
    "u_listed_count": "int",
    "u_location": "text",
    "u_name": "text",
    "u_screen_name": "text",
    "u_statuses_count": "int",
    "u_time_zone": "text",
    "u_url": "text",
    "u_utc_offset": "int",
    "um_id": "text",  # ids of all mentions, joined by ", "
    "um_name": "text",
    "um_screen_name": "text",
    "urls": "list<text>",
}
THESIS_COLUMNS = EVENT_COLUMNS | POST_COLUMNS
# Ours, of the post.
OUR_POST_COLUMNS = {
    "place": "text",  # full name of the place, as the source gives it
    "quoted_id": "text",
    "reply_to_id": "text",
    "retweeted_id": "text",
}
# Ours, of the way it came.
OUR_COLUMNS = {
    "bucket": "text",
    "matched": "frozen<map<text, text>>",  # keyword -> where it was found, joined by ","
    "event_version": "int",
    "origin": "text",  # live, replay, import, rematch or search
    "source": "text",
    "received_at": "timestamp",
    "retracted": "text",  # of a post that its source has taken back: what became of it here, and why
}
COLUMNS = THESIS_COLUMNS | OUR_POST_COLUMNS | OUR_COLUMNS
# What people have written to a post, in a table of its own under the same key; exports have it beside the row.
ANNOTATED = {
    "tags": "set<text>",
    "note": "text",
}
EXPORTED = COLUMNS | ANNOTATED
