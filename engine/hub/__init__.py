"""The hub: finding models there, pulling them into the cache that all Hugging Face programs share, tidying that up.

reference   what people write for a model             access      endpoint, token, cache folder
addresses   which hosts are asked, who sees the token  client      requests and redirects
refusals    what the hub's refusals mean               listing     search, details, file trees
choice      which files are the right ones             plan        what a pull would fetch
partial     a file on its way, and its journal         source      ranges of one file
transfer    pieces, connections, checksums             layout      the cache as others read it
pull        one pull                                   pulls       the queue of them
service     the thread that all of this runs on
"""
