# Included by CMake when llama.cpp's own project begins. Hearth needs its libraries (llama, ggml, mtmd);
# "common" serves llama.cpp's command-line programs alone and costs a good part of the compile.
set(LLAMA_BUILD_COMMON OFF)
