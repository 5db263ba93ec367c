"""What the machine is and does: one source a kind of reading, a `Machine` of them all, and a `Watch` that samples it.

Nothing here is imported before somebody looks. psutil is always there; what else a reading needs (nvidia-ml-py,
amdsmi, macmon) may be missing, and is then named in `Hardware.notes` where it would find something.
"""
