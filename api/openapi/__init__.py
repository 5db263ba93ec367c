"""What the server answers to, as an OpenAPI document at `/openapi.json`, and a page that shows it at `/docs`.

Both come from this machine alone. The routes themselves are the source: their paths, methods, first sentences and the
right that they need; `operations` says what each reads and answers.
"""
