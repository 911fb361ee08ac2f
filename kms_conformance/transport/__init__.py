"""The one client stack: HTTP client, deadlines, TLS, tokens, rate limit, retries, pipelined requests."""
