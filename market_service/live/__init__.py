"""What the exchange tells by itself: one socket, local books, and the streams that readers follow."""
