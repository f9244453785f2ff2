// SPDX-License-Identifier: Apache-2.0
// Saved bundles of both devices, layer by layer of every checkpoint: what is opened is what was
// saved, and a file of one device opened on the other is what a load there would have made.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "cuda_device.h"
#include "parity/handles.h"
#include "support/fixture_models.h"

namespace fs = std::filesystem;

namespace {

using namespace mmoe::parity;

Handle<mmoe_context> make_context(mmoe_device_kind kind) {
    auto options = sized<mmoe_context_options>();
    options.device_kind = kind;
    mmoe_context* context = nullptr;
    Error error{"context"};
    error.expect_ok(mmoe_context_create(&options, &context, &error.value), "create");
    return Handle<mmoe_context>(context);
}

// One layer's bundles go through files here.
class Shelf {
  public:
    explicit Shelf(std::string name)
        : name_(std::move(name)), path_(fs::temp_directory_path() / "mmoe_cuda_bundle_test") {}
    ~Shelf() { fs::remove(path_); }

    [[nodiscard]] Handle<mmoe_bundle> load(mmoe_context* context, uint32_t layer,
                                           const mmoe_checkpoint* checkpoint) const {
        mmoe_bundle* bundle = nullptr;
        Error error{name_};
        error.expect_ok(
            mmoe_bundle_load(context, checkpoint, layer, nullptr, &bundle, &error.value), "load");
        return Handle<mmoe_bundle>(bundle);
    }
    [[nodiscard]] std::vector<char> save(const mmoe_bundle* bundle) const {
        Error error{name_};
        error.expect_ok(mmoe_bundle_save(bundle, path_.c_str(), &error.value), "save");
        std::ifstream file(path_, std::ios::binary);
        return {std::istreambuf_iterator<char>(file), {}};
    }
    // What save() would write of the bundle that `bytes` open as on a device.
    [[nodiscard]] std::vector<char> reopen(mmoe_context* context,
                                           const std::vector<char>& bytes) const {
        std::ofstream(path_, std::ios::binary)
            .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        mmoe_bundle* bundle = nullptr;
        Error error{name_};
        error.expect_ok(mmoe_bundle_open(context, path_.c_str(), nullptr, &bundle, &error.value),
                        "open");
        const Handle<mmoe_bundle> owned(bundle);
        return save(bundle);
    }

  private:
    std::string name_;
    fs::path path_;
};

void check_layer(const std::string& name, const mmoe_checkpoint* checkpoint, uint32_t layer) {
    const auto cpu = make_context(MMOE_DEVICE_CPU);
    const auto cuda = make_context(MMOE_DEVICE_CUDA);
    const Shelf shelf(name);
    const std::vector<char> records = shelf.save(shelf.load(cpu.get(), layer, checkpoint).get());
    const std::vector<char> tiles = shelf.save(shelf.load(cuda.get(), layer, checkpoint).get());
    if (shelf.reopen(cuda.get(), tiles) != tiles) fail_msg("%s: CUDA to CUDA", name.c_str());
    if (shelf.reopen(cuda.get(), records) != tiles) fail_msg("%s: CPU to CUDA", name.c_str());
    if (shelf.reopen(cpu.get(), tiles) != records) fail_msg("%s: CUDA to CPU", name.c_str());
}

void saved_bundles_open_on_both_devices(void** /*state*/) {
    const std::vector<fs::path> models = mmoe::fixture_models(MMOE_TEST_DATA);
    if (models.empty()) {
        print_message("no fixtures here: set MMOE_FIXTURES\n");
        skip();
    }
    const auto context = make_context(MMOE_DEVICE_CPU);
    for (const fs::path& path : models) {
        mmoe_checkpoint* checkpoint = nullptr;
        Error error{path.filename().string()};
        error.expect_ok(
            mmoe_checkpoint_open(context.get(), path.c_str(), nullptr, &checkpoint, &error.value),
            "checkpoint");
        const Handle<mmoe_checkpoint> owned(checkpoint);
        for (uint32_t i = 0; i < mmoe_checkpoint_layer_count(checkpoint); ++i) {
            check_layer(error.name, checkpoint, i);
        }
    }
    print_message("%zu checkpoints\n", models.size());
}

}  // namespace

int main() {
    if (const int skip = mmoe::test::skip_without_device()) return skip;
    const CMUnitTest tests[] = {cmocka_unit_test(saved_bundles_open_on_both_devices)};
    return cmocka_run_group_tests_name("cuda_bundle", tests, nullptr, nullptr);
}
