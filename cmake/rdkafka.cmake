# SPDX-License-Identifier: Apache-2.0
# Imported target culvert::rdkafka: the librdkafka under CULVERT_RDKAFKA. Empty: scripts/build-librdkafka finds or
# builds one (cached), so that a plain `cmake --preset dev` works on a machine that only has the Debian packages.
set(CULVERT_RDKAFKA_LEAST 2.6.1)  # earlier ones cannot log in by SCRAM to Kafka 4.x

set(culvert_rdkafka_prefix ${CULVERT_RDKAFKA})
if(NOT culvert_rdkafka_prefix)
  execute_process(
    COMMAND ${PROJECT_SOURCE_DIR}/scripts/build-librdkafka
    OUTPUT_VARIABLE culvert_rdkafka_output OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE culvert_rdkafka_failed)
  if(culvert_rdkafka_failed)
    message(FATAL_ERROR "scripts/build-librdkafka failed (${culvert_rdkafka_failed}): see its message above, or name a "
                        "librdkafka >= ${CULVERT_RDKAFKA_LEAST} with -DCULVERT_RDKAFKA=PREFIX")
  endif()
  string(REGEX REPLACE ".*\n" "" culvert_rdkafka_prefix "${culvert_rdkafka_output}")
endif()

# A packaged librdkafka brings a shared library, which carries its own dependencies; our own build is static only.
find_path(culvert_rdkafka_include librdkafka/rdkafka.h PATHS ${culvert_rdkafka_prefix}/include NO_DEFAULT_PATH NO_CACHE)
find_library(culvert_rdkafka_library NAMES librdkafka.so librdkafka.a PATHS ${culvert_rdkafka_prefix}/lib
  ${culvert_rdkafka_prefix}/lib/${CMAKE_LIBRARY_ARCHITECTURE} NO_DEFAULT_PATH NO_CACHE)
if(NOT culvert_rdkafka_include OR NOT culvert_rdkafka_library)
  message(FATAL_ERROR "no librdkafka under '${culvert_rdkafka_prefix}': run scripts/build-librdkafka and pass the "
                      "prefix that it prints as -DCULVERT_RDKAFKA=PREFIX")
endif()

# RD_KAFKA_VERSION is 0xMMmmrrxx.
file(STRINGS ${culvert_rdkafka_include}/librdkafka/rdkafka.h culvert_rdkafka_line REGEX "^#define RD_KAFKA_VERSION ")
string(REGEX MATCH "0x([0-9a-f][0-9a-f])([0-9a-f][0-9a-f])([0-9a-f][0-9a-f])" culvert_rdkafka_hex
  "${culvert_rdkafka_line}")
math(EXPR culvert_rdkafka_major "0x${CMAKE_MATCH_1}")
math(EXPR culvert_rdkafka_minor "0x${CMAKE_MATCH_2}")
math(EXPR culvert_rdkafka_patch "0x${CMAKE_MATCH_3}")
set(culvert_rdkafka_version ${culvert_rdkafka_major}.${culvert_rdkafka_minor}.${culvert_rdkafka_patch})
if(culvert_rdkafka_version VERSION_LESS CULVERT_RDKAFKA_LEAST)
  message(FATAL_ERROR "librdkafka ${culvert_rdkafka_version} under '${culvert_rdkafka_prefix}' is too old: culvert "
                      "needs >= ${CULVERT_RDKAFKA_LEAST} (SCRAM logins to Kafka 4.x). Run scripts/build-librdkafka and pass "
                      "the prefix that it prints as -DCULVERT_RDKAFKA=PREFIX")
endif()
message(STATUS "librdkafka ${culvert_rdkafka_version}: ${culvert_rdkafka_library}")

find_package(OpenSSL 3.0 REQUIRED)
find_package(ZLIB REQUIRED)
find_package(Threads REQUIRED)
find_library(culvert_zstd_library zstd REQUIRED NO_CACHE)
find_library(culvert_lz4_library lz4 REQUIRED NO_CACHE)

add_library(culvert_rdkafka UNKNOWN IMPORTED GLOBAL)
add_library(culvert::rdkafka ALIAS culvert_rdkafka)
set_target_properties(culvert_rdkafka PROPERTIES
  IMPORTED_LOCATION ${culvert_rdkafka_library}
  INTERFACE_INCLUDE_DIRECTORIES ${culvert_rdkafka_include})
# As needed: a static librdkafka may have LZ4 built in.
target_link_libraries(culvert_rdkafka INTERFACE -Wl,--push-state,--as-needed OpenSSL::SSL OpenSSL::Crypto ZLIB::ZLIB
  ${culvert_zstd_library} ${culvert_lz4_library} -Wl,--pop-state Threads::Threads ${CMAKE_DL_LIBS} m)
if(CULVERT_SANITIZE MATCHES thread)
  add_library(culvert_c11_threads OBJECT ${PROJECT_SOURCE_DIR}/tests/support/c11_threads.cc)
  target_link_libraries(culvert_c11_threads PRIVATE culvert_flags)
  target_link_libraries(culvert_rdkafka INTERFACE $<TARGET_OBJECTS:culvert_c11_threads>)
endif()
