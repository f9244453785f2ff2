// SPDX-License-Identifier: Apache-2.0
// Files that were cut or changed before they are opened: at every byte of their headers, around
// every tensor and expert, in every bit of a header, and anywhere in the data.
#include <fcntl.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "fault/nightly.h"
#include "fault/small_world.h"

using namespace mmoe;
using namespace mmoe::fault;
namespace fs = std::filesystem;

namespace {

std::string bytes_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// A file that is changed in place and put right again.
class Victim {
  public:
    explicit Victim(const std::string& path)
        : bytes_(bytes_of(path)), descriptor_(::open(path.c_str(), O_RDWR | O_CLOEXEC)) {
        assert_true(descriptor_ >= 0);
    }
    Victim(const Victim&) = delete;
    Victim& operator=(const Victim&) = delete;
    ~Victim() { ::close(descriptor_); }

    [[nodiscard]] size_t size() const { return bytes_.size(); }
    [[nodiscard]] const std::string& bytes() const { return bytes_; }
    void cut(size_t size_bytes) const {
        assert_int_equal(::ftruncate(descriptor_, static_cast<off_t>(size_bytes)), 0);
    }
    void flip(size_t bit) const {
        put(bit / 8, static_cast<char>(bytes_[bit / 8] ^ (1 << bit % 8)));
    }
    void mend(size_t from) const {
        const size_t rest = bytes_.size() - from;
        assert_int_equal(
            ::pwrite(descriptor_, bytes_.data() + from, rest, static_cast<off_t>(from)), rest);
    }
    void mend_byte(size_t at) const { put(at, bytes_[at]); }

  private:
    void put(size_t at, char byte) const {
        assert_int_equal(::pwrite(descriptor_, &byte, 1, static_cast<off_t>(at)), 1);
    }

    std::string bytes_;
    int descriptor_;
};

struct World {
    World() : folder("damage") {
        write_model(folder, false);
        path = folder.path();
        saved = folder.file("saved.mmoe");
        auto options = sized<mmoe_context_options>();
        options.device_kind = MMOE_DEVICE_CPU;
        options.thread_count = 1;
        context = make_context(options);
        const auto checkpoint = open_checkpoint(context.get(), path);
        const auto bundle = load_bundle(context.get(), checkpoint.get());
        Error error{"world"};
        error.expect_ok(mmoe_bundle_save(bundle.get(), saved.c_str(), &error.value), "save");
    }

    test::ScratchFolder folder;
    std::string path, saved;
    Handle<mmoe_context> context;

    mmoe_status open_saved(mmoe_error* error) {
        mmoe_bundle* bundle = nullptr;
        const mmoe_status status =
            mmoe_bundle_open(context.get(), saved.c_str(), nullptr, &bundle, error);
        mmoe_bundle_destroy(bundle);
        return status;
    }
    mmoe_status load(mmoe_error* error) {
        mmoe_checkpoint* checkpoint = nullptr;
        mmoe_bundle* bundle = nullptr;
        mmoe_status status =
            mmoe_checkpoint_open(context.get(), path.c_str(), nullptr, &checkpoint, error);
        if (status == MMOE_OK) {
            status = mmoe_bundle_load(context.get(), checkpoint, 0, nullptr, &bundle, error);
        }
        mmoe_bundle_destroy(bundle);
        mmoe_checkpoint_destroy(checkpoint);
        return status;
    }
};

uint64_t header_bytes_of(const std::string& safetensors) {
    uint64_t length = 0;
    std::memcpy(&length, safetensors.data(), sizeof length);
    return 8 + length;
}

// Where tensors begin and end, from the file's own header.
std::set<size_t> tensor_edges(const std::string& safetensors) {
    const uint64_t header_bytes = header_bytes_of(safetensors);
    const std::string key = "\"data_offsets\":[";
    std::set<size_t> edges;
    for (size_t at = safetensors.find(key); at < header_bytes; at = safetensors.find(key, at + 1)) {
        char* rest = nullptr;
        edges.insert(header_bytes + std::strtoull(&safetensors[at + key.size()], &rest, 10));
        edges.insert(header_bytes + std::strtoull(rest + 1, nullptr, 10));
    }
    return edges;
}

// Every byte of a header, and one to either side of every edge.
std::set<size_t> cuts_of(size_t header_bytes, const std::set<size_t>& edges, size_t file_bytes) {
    std::set<size_t> cuts;
    for (size_t at = 0; at <= header_bytes; ++at) cuts.insert(at);
    for (const size_t edge : edges) cuts.insert({edge - 1, edge, edge + 1});
    cuts.erase(cuts.lower_bound(file_bytes), cuts.end());
    return cuts;
}

template <class Open>
void expect_cuts_noticed(const char* name, const Victim& file, const std::set<size_t>& cuts,
                         Open&& open) {
    for (const size_t cut : cuts) {
        mmoe_error error = {};
        file.cut(cut);
        const mmoe_status status = open(&error);
        file.mend(cut);
        const bool noticed = status == MMOE_ERR_TRUNCATED || status == MMOE_ERR_BAD_DATA;
        if (!noticed) fail_msg("cut at %zu: %d: %s", cut, status, error.message);
    }
    print_message("cuts of a %s: %zu, all noticed\n", name, cuts.size());
    mmoe_error error = {};
    if (open(&error) != MMOE_OK) fail_msg("mended: %s", error.message);
}

void a_shard_may_be_cut_anywhere(void** /*state*/) {
    World world;
    const Victim file(world.folder.file("model-1.safetensors"));
    const std::set<size_t> edges = tensor_edges(file.bytes());
    assert_true(edges.size() > 10);
    expect_cuts_noticed("shard", file, cuts_of(header_bytes_of(file.bytes()), edges, file.size()),
                        [&](mmoe_error* error) { return world.load(error); });
}

void a_saved_bundle_may_be_cut_anywhere(void** /*state*/) {
    World world;
    const Victim file(world.saved);
    constexpr size_t kPayloadOffset = 4096;
    const size_t expert_bytes = (file.size() - kPayloadOffset) / test::kExperts;
    std::set<size_t> edges;
    for (size_t i = 0; i <= test::kExperts; ++i) edges.insert(kPayloadOffset + i * expert_bytes);
    expect_cuts_noticed("saved bundle", file, cuts_of(kPayloadOffset, edges, file.size()),
                        [&](mmoe_error* error) { return world.open_saved(error); });
}

// A changed header of a shard may still be one: whatever it means then is data or an answer.
void every_bit_of_a_shards_header_may_flip(void** /*state*/) {
    World world;
    const Victim file(world.folder.file("model-1.safetensors"));
    const size_t bits = 8 * header_bytes_of(file.bytes());

    size_t refused = 0;
    for (size_t bit = 0; bit < bits; ++bit) {
        mmoe_error error = {};
        file.flip(bit);
        const mmoe_status status = world.load(&error);
        file.mend_byte(bit / 8);
        if (status == MMOE_OK) continue;
        const mmoe_status category = status / 1000;
        if (category < 3 || category > 5) fail_msg("bit %zu: %d: %s", bit, status, error.message);
        ++refused;
    }
    print_message("header bits flipped: %zu, %zu refused\n", bits, refused);
    assert_true(refused > bits * 9 / 10);
}

void random_flips_of_a_saved_bundle_are_noticed(void** /*state*/) {
    World world;
    const Victim file(world.saved);
    std::mt19937_64 random(2);
    const int flips = nightly_or(1000000, 50000);
    for (int i = 0; i < flips; ++i) {
        const size_t bit = random() % (8 * file.size());
        mmoe_error error = {};
        file.flip(bit);
        const mmoe_status status = world.open_saved(&error);
        file.mend_byte(bit / 8);
        if (status / 1000 != 4 && status != MMOE_ERR_UNSUPPORTED) {
            fail_msg("bit %zu: %d: %s", bit, status, error.message);
        }
    }
    print_message("random bits of a saved bundle flipped: %d, all noticed\n", flips);
}

}  // namespace

int main() {
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_shard_may_be_cut_anywhere),
        cmocka_unit_test(a_saved_bundle_may_be_cut_anywhere),
        cmocka_unit_test(every_bit_of_a_shards_header_may_flip),
        cmocka_unit_test(random_flips_of_a_saved_bundle_are_noticed),
    };
    return cmocka_run_group_tests_name("fault_damage", tests, nullptr, nullptr);
}
