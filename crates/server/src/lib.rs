//! Avowal's HTTP edge: the webhook listener.
