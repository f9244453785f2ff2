// SPDX-License-Identifier: Apache-2.0
// The checkpoints that tests walk, each with the answers of other libraries beside it.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <vector>

namespace mmoe {

// Of MMOE_FIXTURES, or `data`, the tests' own, or ../shared/fixtures: the first that has any.
inline std::vector<std::filesystem::path> fixture_models(const std::filesystem::path& data) {
    namespace fs = std::filesystem;
    std::vector<fs::path> roots;
    if (const char* variable = std::getenv("MMOE_FIXTURES")) roots.emplace_back(variable);
    roots.push_back(data);
    roots.push_back(data.parent_path().parent_path().parent_path() / "shared" / "fixtures");
    std::vector<fs::path> models;
    for (const fs::path& root : roots) {
        for (const char* group : {"ct", "awq_gptq"}) {
            if (!fs::is_directory(root / group)) continue;
            for (const auto& entry : fs::directory_iterator(root / group)) {
                if (fs::exists(entry.path() / "moe_io.safetensors")) models.push_back(entry.path());
            }
        }
        if (!models.empty()) break;
    }
    std::sort(models.begin(), models.end());
    return models;
}

}  // namespace mmoe
