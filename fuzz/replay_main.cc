// SPDX-License-Identifier: Apache-2.0
// Runs a fuzz target once over every file of a folder: what a fuzzer found stays found, with any compiler.
//
// Flow    fuzz/corpus/NAME -> LLVMFuzzerTestOneInput.
// Owner   culvert_fuzz() in cmake/culvert.cmake links it.
// Time    none.
// Bounds  one file in memory at a time.
// See     fuzz/CMakeLists.txt.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

bool replay(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(in), {}};
  if (!in && !in.eof()) {
    std::fprintf(stderr, "%s: cannot be read\n", path.c_str());
    return false;
  }
  // Named before it runs: a target that fails ends the process.
  std::fprintf(stderr, "%s\n", path.filename().c_str());
  // Of exactly its size, so that a sanitizer sees a read beyond it.
  const auto bytes = std::make_unique<std::uint8_t[]>(content.size());
  std::transform(content.begin(), content.end(), bytes.get(), [](char c) { return static_cast<std::uint8_t>(c); });
  LLVMFuzzerTestOneInput(bytes.get(), content.size());
  return true;
}

int replay_folder(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  if (files.empty()) {
    std::fprintf(stderr, "%s: no files\n", folder.c_str());
    return 1;
  }
  std::sort(files.begin(), files.end());
  if (!std::all_of(files.begin(), files.end(), replay)) return 1;
  std::printf("%zu inputs\n", files.size());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argc > 0 ? argv[0] : "replay");
    return 2;
  }
  try {
    return replay_folder(argv[1]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", argv[1], e.what());
    return 1;
  }
}
