# SPDX-License-Identifier: Apache-2.0
# cmake -DOUT=FILE.cc -P embed.cmake FILE=/path=type[+utf8] ..: writes the files as constants that find_asset() serves.
set(code "// Made by cmake/embed.cmake.\n#include \"dashboard/assets.h\"\n\n#include <algorithm>\n#include <array>\n\n")
string(APPEND code "namespace culvert::dashboard {\n\nnamespace {\n\n")
set(table "")
set(count 0)
math(EXPR last "${CMAKE_ARGC} - 1")
set(inputs OFF)
foreach(index RANGE ${last})
  set(argument "${CMAKE_ARGV${index}}")
  if(argument MATCHES "^-D" OR NOT argument MATCHES "^(.+)=(/[^=]*)=(.+)$")
    continue()
  endif()
  set(file "${CMAKE_MATCH_1}")
  set(path "${CMAKE_MATCH_2}")
  string(REPLACE "+utf8" "; charset=utf-8" type "${CMAKE_MATCH_3}")
  file(READ "${file}" hex HEX)
  file(SHA256 "${file}" sum)
  string(SUBSTRING "${sum}" 0 16 tag)
  string(LENGTH "${hex}" digits)
  math(EXPR bytes "${digits} / 2")
  string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," hex "${hex}")
  string(APPEND code "constexpr std::array<unsigned char, ${bytes}> kFile${count}{{\n${hex}}};\n\n")
  string(APPEND table "    Asset{\"${path}\", \"${type}\", {reinterpret_cast<const char*>(kFile${count}.data()), "
    "kFile${count}.size()}, \"\\\"${tag}\\\"\"},\n")
  math(EXPR count "${count} + 1")
endforeach()
string(APPEND code "const std::array<Asset, ${count}> kAssets{\n${table}};\n\n}  // namespace\n\n")
string(APPEND code "std::span<const Asset> assets() { return kAssets; }\n\n"
  "const Asset* find_asset(std::string_view path) {\n"
  "  const auto at = std::find_if(kAssets.begin(), kAssets.end(), [&](const Asset& asset) { return asset.path == path; });\n"
  "  return at == kAssets.end() ? nullptr : &*at;\n}\n\n}  // namespace culvert::dashboard\n")
file(WRITE "${OUT}" "${code}")
