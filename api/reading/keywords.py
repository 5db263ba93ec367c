"""Fields that clients of the three families send and that have no meaning on one's own machine: let pass in silence."""

from __future__ import annotations

from typing import Final

OPENAI: Final = frozenset(
    """
    user metadata service_tier store safety_identifier prompt_cache_key prompt_cache_options prompt_cache_retention
    verbosity prediction modalities moderation web_search_options audio model stream stream_options id_slot
    timings_per_token return_progress add_generation_prompt
    """.split()
)
ANTHROPIC: Final = frozenset(
    """
    metadata service_tier container inference_geo speed user_profile_id workspace_id cache_control diagnostics model
    stream context_management mcp_servers betas anthropic_beta
    """.split()
)
OLLAMA: Final = frozenset("model stream name _debug_render_only".split())
OLLAMA_OPTIONS: Final = frozenset(
    """
    numa low_vram f16_kv logits_all vocab_only use_mlock embedding_only tfs_z penalize_newline main_gpu num_keep
    num_predict stop progress
    """.split()
)
