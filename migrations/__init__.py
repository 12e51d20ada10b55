"""The schema of both databases: two trees of revisions, the roles they grant to, and how they are applied."""
