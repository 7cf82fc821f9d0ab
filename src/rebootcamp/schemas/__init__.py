"""What requests may say and what answers look like: one marshmallow schema per purpose."""
