"""The registered versions: who is champion, who was, and whose turn it is."""
