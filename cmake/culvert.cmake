# SPDX-License-Identifier: Apache-2.0
# The three verbs every CMakeLists.txt of the project uses, so that a target is one line:
#
#   culvert_library(NAME SOURCES .. [DEPENDS ..])            static library culvert_NAME, alias culvert::NAME
#   culvert_test(NAME SOURCES .. DEPENDS .. [LABELS ..])     GoogleTest program NAME_test, registered with CTest
#   culvert_script_test(NAME COMMAND .. [LABELS ..] [TIMEOUT S] [RESOURCE R])
#   culvert_fuzz(NAME SOURCES .. DEPENDS ..)                 libFuzzer program with clang; always a corpus regression test
#   culvert_bench(NAME SOURCES .. DEPENDS ..)                google-benchmark program; runs once, tiny, as a test
#
# A test program has its labels and that of the part that it is about, CULVERT_PART: `core`, or `adapters`, which a folder
# sets for itself and those below.  The target tests_LABEL builds all programs of a label: a sanitizer need not build
# everything to run some.

set(CULVERT_PART core)

function(culvert_label test program)
  set_tests_properties(${test} PROPERTIES LABELS "${ARGN}")
  foreach(label IN LISTS ARGN)
    if(NOT TARGET tests_${label})
      add_custom_target(tests_${label})
    endif()
    add_dependencies(tests_${label} ${program})
  endforeach()
endfunction()

add_library(culvert_flags INTERFACE)
target_compile_features(culvert_flags INTERFACE cxx_std_20)
target_compile_options(culvert_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wshadow -Wnon-virtual-dtor -Wold-style-cast
  -Wcast-qual -Wundef -Werror -fno-omit-frame-pointer -fstack-protector-strong)
# g++ 12 reports overlapping copies inside std::string's operator+ that cannot happen (GCC bug 105651).
target_compile_options(culvert_flags INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
target_compile_definitions(culvert_flags INTERFACE _GLIBCXX_ASSERTIONS)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT CULVERT_SANITIZE)
  target_compile_options(culvert_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
endif()
if(CULVERT_SANITIZE)
  target_compile_options(culvert_flags INTERFACE -fsanitize=${CULVERT_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(culvert_flags INTERFACE -fsanitize=${CULVERT_SANITIZE})
  if(CULVERT_SANITIZE MATCHES thread)
    # ThreadSanitizer does not know fences, and g++ refuses them under it.  Asio's come on top of its mutexes.
    target_compile_definitions(culvert_flags INTERFACE BOOST_ASIO_DISABLE_FENCED_BLOCK)
  endif()
endif()
target_include_directories(culvert_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)

# For sources that use std::regex: under sanitizers g++ 12 takes parts of it for uninitialised (GCC bug 105562).
function(culvert_regex_sources)
  if(CULVERT_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS -Wno-maybe-uninitialized)
  endif()
endfunction()

function(culvert_library name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  add_library(culvert_${name} STATIC ${arg_SOURCES})
  add_library(culvert::${name} ALIAS culvert_${name})
  target_link_libraries(culvert_${name} PUBLIC culvert_flags ${arg_DEPENDS})
endfunction()

function(culvert_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;DEPENDS;LABELS" ${ARGN})
  if(NOT CULVERT_TESTS)
    return()
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(NOT arg_LABELS)
    set(arg_LABELS unit)
  endif()
  add_executable(${name}_test ${arg_SOURCES})
  target_link_libraries(${name}_test PRIVATE ${arg_DEPENDS} culvert_flags GTest::gtest GTest::gtest_main)
  add_test(NAME ${name} COMMAND ${name}_test)
  set_tests_properties(${name} PROPERTIES TIMEOUT ${arg_TIMEOUT})
  culvert_label(${name} ${name}_test ${arg_LABELS} ${CULVERT_PART})
endfunction()

function(culvert_script_test name)
  cmake_parse_arguments(arg "" "TIMEOUT;RESOURCE" "COMMAND;LABELS" ${ARGN})
  if(NOT CULVERT_TESTS)
    return()
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  add_test(NAME ${name} COMMAND ${arg_COMMAND} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT ${arg_TIMEOUT}
    ENVIRONMENT "CULVERT_BIN=$<TARGET_FILE:culvert>;CULVERT_BUILD=${PROJECT_BINARY_DIR};PYTHONPATH=${PROJECT_SOURCE_DIR}/tests/support")
  if(arg_RESOURCE)
    set_tests_properties(${name} PROPERTIES RESOURCE_LOCK ${arg_RESOURCE})
  endif()
endfunction()

# A fuzz target is a file with LLVMFuzzerTestOneInput. Two programs come of it: NAME_fuzz_replay (any compiler) runs the
# corpus once and is a test; NAME_fuzz (clang, preset `fuzz`) is the fuzzer itself.
function(culvert_fuzz name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  if(NOT CULVERT_TESTS)
    return()
  endif()
  if(CULVERT_FUZZ)
    add_executable(${name}_fuzz ${arg_SOURCES})
    target_link_libraries(${name}_fuzz PRIVATE ${arg_DEPENDS} culvert_flags)
    target_compile_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
    target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
  else()
    add_executable(${name}_fuzz_replay ${arg_SOURCES} ${PROJECT_SOURCE_DIR}/fuzz/replay_main.cc)
    target_link_libraries(${name}_fuzz_replay PRIVATE ${arg_DEPENDS} culvert_flags)
    add_test(NAME fuzz_${name} COMMAND ${name}_fuzz_replay ${PROJECT_SOURCE_DIR}/fuzz/corpus/${name})
    set_tests_properties(fuzz_${name} PROPERTIES TIMEOUT 120)
    culvert_label(fuzz_${name} ${name}_fuzz_replay unit fuzz ${CULVERT_PART})
  endif()
endfunction()

function(culvert_bench name)
  cmake_parse_arguments(arg "" "" "SOURCES;DEPENDS" ${ARGN})
  if(NOT CULVERT_TESTS OR NOT CULVERT_BENCH)
    return()
  endif()
  add_executable(${name}_bench ${arg_SOURCES})
  target_link_libraries(${name}_bench PRIVATE ${arg_DEPENDS} culvert_flags benchmark::benchmark benchmark::benchmark_main)
  add_test(NAME bench_${name} COMMAND ${name}_bench --benchmark_min_time=0.001)
  set_tests_properties(bench_${name} PROPERTIES LABELS "unit;bench" TIMEOUT 120)
endfunction()
