"""The hub: finding models there, pulling them into the cache that all Hugging Face programs share, tidying that up.

reference   what people write for a model              access      endpoint, token, cache folder
addresses   which hosts are asked, who sees the token  client      requests and redirects
refusals    what the hub's refusals mean               listing     search, details, file trees
choice      which files are the right ones             judge       what each form would need, whether it fits
plan        what a pull would fetch                    source      ranges of one file
partial     a file on its way, and its journal         fetch       pieces, connections, checksums of one file
transfer    all files of a pull                        tally       what has come of them
layout      the cache as others read it                unfinished  pulls that were broken off
pull        one pull                                   pulls       their queue
stream      what a reader sees of one                  disk, tasks errors in words, ends of work
cache       what is in the cache, and what goes        in_use      what other programs have open
service     the thread that all of this runs on
"""
