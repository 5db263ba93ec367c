"""llama.cpp behind the step seam: GGUF models over the low-level ctypes API of llama-cpp-python."""
