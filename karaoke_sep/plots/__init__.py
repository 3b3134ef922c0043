"""Pictures of a separation."""
