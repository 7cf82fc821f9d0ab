"""HTTP: authentication, policies, parsing, problems, paging, idempotency and documentation."""
