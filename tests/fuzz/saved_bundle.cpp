// SPDX-License-Identifier: Apache-2.0
// Input: a flag, a SavedHeader, and what follows it. With the flag the sizes and checksums are
// made to fit, so that the fuzzer spends its time behind them. What opens must run, and nothing
// may be allocated out of proportion to the file.
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "bytes.h"
#include "exec/executor.h"
#include "support/measured_memory.h"
#include "support/saved_file.h"
#include "target.h"

using namespace mmoe;

namespace {

constexpr size_t kTableBytes = size_t{1} << 16;  // what a small bundle takes beside its file

// A file in memory that has a path.
class MemoryFile {
  public:
    MemoryFile() : descriptor_(::memfd_create("bundle", MFD_CLOEXEC)) {
        fuzz::require(descriptor_ >= 0);
    }
    ~MemoryFile() { ::close(descriptor_); }
    void write(std::string_view bytes) const {
        fuzz::require(::ftruncate(descriptor_, 0) == 0);
        fuzz::require(::pwrite(descriptor_, bytes.data(), bytes.size(), 0) ==
                      static_cast<ssize_t>(bytes.size()));
    }
    [[nodiscard]] std::string path() const {
        return "/proc/self/fd/" + std::to_string(descriptor_);
    }

  private:
    int descriptor_;
};

std::string file_of(fuzz::Bytes input) {
    if (!input.flag()) return std::string(input.rest());
    auto header = input.take<SavedHeader>();
    const std::string_view payload = input.rest();
    if (header.expert_count != 0) header.expert_bytes = payload.size() / header.expert_count;
    const uint64_t used = header.expert_count * header.expert_bytes;
    return test::saved_file(header, payload.substr(0, used));
}

void run(const Bundle& bundle) {
    constexpr int64_t kTokens = 2;
    const int64_t hidden_size = bundle.layer().hidden_size;
    const ExecutorOptions options{kTokens, 1, cpu::Element::kF32, cpu::Element::kF32,
                                  Precision::kDefault};
    auto executor = Executor::create(bundle.context(), bundle, options);
    if (!executor.ok()) return fuzz::require_sentence(executor.status());
    const std::vector<float> hidden(static_cast<size_t>(kTokens * hidden_size), 1.0F);
    std::vector<float> output(hidden.size());
    const int32_t ids[kTokens] = {0, static_cast<int32_t>(bundle.layer().expert_count - 1)};
    const float weights[kTokens] = {1, 1};
    RunArgs args;
    args.tokens = kTokens;
    args.top_k = 1;
    args.hidden = hidden.data();
    args.hidden_stride = args.output_stride = hidden_size;
    args.expert_ids = ids;
    args.expert_weights = weights;
    args.output = output.data();
    fuzz::require(executor.value()->run(bundle, args, nullptr).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static const MemoryFile file;
    static test::MeasuredMemory memory;
    static const std::shared_ptr<const Context> context = memory.make_context(1);
    const std::string bytes = file_of(fuzz::Bytes(data, size));
    file.write(bytes);
    memory.allow(bytes.size());
    auto opened = Bundle::open(context, file.path(), true, {});
    fuzz::require(memory.largest_request_bytes() <= bytes.size());
    if (!opened.ok()) {
        fuzz::require_sentence(opened.status());
        return 0;
    }
    fuzz::require(opened.value()->sealed());
    const size_t most_bytes = 64 * bytes.size() + kTableBytes;  // the workspace of two tokens
    memory.allow(most_bytes);
    run(*opened.value());
    fuzz::require(memory.largest_request_bytes() <= most_bytes);
    return 0;
}
