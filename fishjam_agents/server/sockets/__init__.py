"""WebSockets of agents, browser peers and backends: connections, admission, throttling."""
