"""Model folders as every library takes them: tokenizer, template and facts, without weights."""
