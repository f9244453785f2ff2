// SPDX-License-Identifier: Apache-2.0
// Input: lines of "<tensor name> <type> <dimension> ..." up to an empty line, then a config.json.
// The tensors become a well-formed safetensors file, so that the fuzzer spends its time behind
// the header: names, schemes, dimensions and slices.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/checked.h"
#include "checkpoint/checkpoint.h"
#include "target.h"

using namespace mmoe;

namespace {

constexpr size_t kMaxFileBytes = 1 << 16;

// A folder of this process, removed at its end.
class Folder {
  public:
    Folder()
        : path_(std::filesystem::temp_directory_path() /
                ("mmoe-fuzz." + std::to_string(::getpid()))) {
        std::filesystem::create_directories(path_);
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    void write(const char* name, std::string_view bytes) const {
        std::ofstream(path_ / name, std::ios::binary)
            .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    [[nodiscard]] std::string path() const { return path_.string(); }

  private:
    std::filesystem::path path_;
};

std::string_view take_word(std::string_view* line) noexcept {
    const size_t end = std::min(line->find(' '), line->size());
    const std::string_view word = line->substr(0, end);
    line->remove_prefix(std::min(end + 1, line->size()));
    return word;
}

size_t type_bytes(std::string_view type) noexcept {
    if (type == "I64") return 8;
    if (type == "I32" || type == "F32") return 4;
    return type == "U8" || type == "I8" ? 1 : 2;
}

// One entry of the header, or nothing if the line is of no use. `end` grows by the data.
std::string entry_of(std::string_view line, size_t* end) {
    const std::string_view name = take_word(&line);
    const std::string_view type = take_word(&line);
    size_t size_bytes = type_bytes(type);
    std::string shape;
    while (!line.empty()) {
        const std::string_view word = take_word(&line);
        uint32_t size = 0;
        std::from_chars(word.data(), word.data() + word.size(), size);
        size_bytes *= std::min<size_t>(size, kMaxFileBytes);
        if (size_bytes > kMaxFileBytes) return {};
        shape += (shape.empty() ? "" : ",") + std::to_string(size);
    }
    const size_t begin = *end;
    *end += size_bytes;
    return "\"" + std::string(name) + R"(":{"dtype":")" + std::string(type) + R"(","shape":[)" +
           shape + R"(],"data_offsets":[)" + std::to_string(begin) + "," + std::to_string(*end) +
           "]}";
}

// Length, header and counting bytes of data; `text` is left with what follows the lines.
std::string take_file(std::string_view* text) {
    std::string header = "{";
    size_t data_bytes = 0;
    while (!text->empty()) {
        const size_t line_bytes = std::min(text->find('\n'), text->size());
        const std::string_view line = text->substr(0, line_bytes);
        text->remove_prefix(std::min(line_bytes + 1, text->size()));
        if (line.empty() || data_bytes > kMaxFileBytes) break;
        const std::string entry = entry_of(line, &data_bytes);
        if (!entry.empty()) header += (header.size() > 1 ? "," : "") + entry;
    }
    header += "}";
    std::string file(8, '\0');
    const uint64_t length = header.size();
    std::memcpy(file.data(), &length, sizeof length);
    file += header;
    for (size_t i = 0; i < data_bytes; ++i) file += static_cast<char>(i % 8 == 0 ? i / 8 : 0);
    return file;
}

// Packed weights have been held to the layer's dimensions; other roles are room unpack's.
void require_shape(const LayerEntry& layer, Projection projection, Role role,
                   const ExpertTensor& tensor) {
    if (role != Role::kWeight || layer.config.format != Format::kCompressedTensors) return;
    const int64_t per_word = 32 / layer.config.bits;
    fuzz::require(tensor.rank == 2 && tensor.shape[0] == layer.layer.outputs(projection));
    fuzz::require(tensor.shape[1] == ceil_div(layer.layer.inputs(projection), per_word));
}

// A layer without a problem keeps what its entry promises.
void require_layer(const Checkpoint& checkpoint, const LayerEntry& layer) {
    if (!layer.problem.ok()) return fuzz::require_sentence(layer.problem);
    fuzz::require(validate(layer.config).ok());
    fuzz::require(layer.layer.expert_count > 0 && layer.layer.hidden_size > 0);
    for (const int64_t expert : {int64_t{0}, layer.layer.expert_count - 1}) {
        for (const Projection projection :
             {Projection::kGate, Projection::kUp, Projection::kDown}) {
            for (int role = 1; role <= 5; ++role) {
                auto tensor = checkpoint.expert_tensor(layer, expert, projection, Role{role});
                if (!tensor.ok() || tensor.value().entry == nullptr) continue;
                require_shape(layer, projection, Role{role}, tensor.value());
                std::vector<uint8_t> bytes(tensor.value().byte_count);
                fuzz::require(checkpoint.read(tensor.value(), bytes).ok());
            }
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const Folder folder;
    std::string_view text = fuzz::as_text(data, size);
    folder.write("model.safetensors", take_file(&text));
    folder.write("config.json", text);
    auto opened = Checkpoint::open(folder.path(), {}, Log());
    if (!opened.ok()) {
        fuzz::require_sentence(opened.status());
        return 0;
    }
    for (const LayerEntry& layer : opened.value()->layers()) require_layer(*opened.value(), layer);
    return 0;
}
