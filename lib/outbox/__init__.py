"""What waits for its PUBACK. One sequence number addresses a record: acked <= sent <= written."""
