"""What Voz's services agree on: messages (package `voz.v1`), topics, ids, label words and CloudEvents headers."""
