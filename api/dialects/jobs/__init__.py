"""Jobs as tools such as n8n use them: submit, look until it is done, or be told. `jobs.base_path` says where."""
