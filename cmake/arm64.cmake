# SPDX-License-Identifier: Apache-2.0
# Toolchain of the function for arm64: Debian's cross compiler, and OpenSSL as scripts/build-lambda unpacked it.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc-12)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++-12)
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES CULVERT_ARM64_PREFIX)

set(includes "-isystem ${CULVERT_ARM64_PREFIX}/include -isystem ${CULVERT_ARM64_PREFIX}/include/aarch64-linux-gnu")
set(CMAKE_C_FLAGS_INIT "${includes}")
set(CMAKE_CXX_FLAGS_INIT "${includes}")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-L${CULVERT_ARM64_PREFIX}/lib/aarch64-linux-gnu")
set(Boost_NO_BOOST_CMAKE ON)
set(Boost_INCLUDE_DIR ${CULVERT_ARM64_PREFIX}/include)
