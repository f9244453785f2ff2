// SPDX-License-Identifier: Apache-2.0
// How fast an expert is unpacked and repacked on one core: packed bytes of every file format in,
// CPU records or Marlin matrices out, beside memcpy of the same bytes in the same run. Prints;
// judges nothing.
//
//     repack_bench [commit [part of a case's name]]     lines for docs/benchmarks/repack.csv
//
// Experts have the shape of DeepSeek-V3's: gate and up [2048, 7168], down [7168, 2048], group 128,
// zero points. Sources and results rotate over 512 MB each. A round times memcpy of an expert,
// then every case on the same bytes; a number is the median of the rounds, a ratio that of the
// rounds' ratios, so that a busy machine slows both sides.
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "repack/cpu_records.h"
#include "support/marlin_matrix.h"

using namespace mmoe;
using namespace mmoe::test;

namespace {

constexpr int64_t kHidden = 7168;
constexpr int64_t kIntermediate = 2048;
constexpr int64_t kGroupSize = 128;
constexpr size_t kRotationBytes = size_t{512} << 20;
constexpr int64_t kStripRows = 128;
constexpr int kRounds = 31;

double thread_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double median(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

// One linear layer of an expert.
struct Linear {
    int64_t outputs, inputs;
    bool up;  // second of the gated pair

    [[nodiscard]] int64_t groups() const { return inputs / kGroupSize; }
};
constexpr Linear kLinears[] = {{kIntermediate, kHidden, false},
                               {kIntermediate, kHidden, true},
                               {kHidden, kIntermediate, false}};

struct Case {
    const char* name;
    Format format;
    int bits;
    std::optional<layout::MarlinTile> tile;  // absent: CPU records
};
constexpr auto kA16 = layout::MarlinTile::kK16N64;
constexpr auto kA8 = layout::MarlinTile::kK32N32;
constexpr Case kCases[] = {
    {"compressed-tensors to records", Format::kCompressedTensors, 4, std::nullopt},
    {"compressed-tensors to marlin", Format::kCompressedTensors, 4, kA16},
    {"gptq to records", Format::kGptq, 4, std::nullopt},
    {"gptq to marlin", Format::kGptq, 4, kA16},
    {"awq to records", Format::kAwq, 4, std::nullopt},
    {"awq to marlin", Format::kAwq, 4, kA16},
    {"compressed-tensors to marlin a8", Format::kCompressedTensors, 4, kA8},
    {"w8 compressed-tensors to records", Format::kCompressedTensors, 8, std::nullopt},
    {"w8 compressed-tensors to marlin", Format::kCompressedTensors, 8, kA16},
    {"w8 compressed-tensors to marlin a8", Format::kCompressedTensors, 8, kA8},
    {"w8 gptq to records", Format::kGptq, 8, std::nullopt},
    {"w8 gptq to marlin", Format::kGptq, 8, kA16},
};

Buffer allocate(size_t bytes, const char* what) {
    auto buffer = Buffer::create(std::make_shared<const Allocator>(), bytes, what);
    if (!buffer.ok()) throw std::bad_alloc();
    return std::move(buffer).value();
}

// Room for the packed tensors of one expert after another, the same bytes whatever the format.
struct ExpertBytes {
    size_t weight[3], scale[3], zero_point[3];
    size_t total = 0;

    explicit ExpertBytes(int bits) {
        const auto take = [this](int64_t bytes) {
            const size_t at = total;
            total += static_cast<size_t>(round_up(bytes, int64_t{64}));
            return at;
        };
        for (int i = 0; i < 3; ++i) {
            const Linear& linear = kLinears[i];
            weight[i] = take(linear.outputs * linear.inputs * bits / 8);
            scale[i] = take(linear.outputs * linear.groups() * 2);
            zero_point[i] = take(linear.outputs * linear.groups() * bits / 8);
        }
    }
};

class Bench {
  public:
    Bench()
        : source_(allocate(kRotationBytes, "packed experts")),
          target_(allocate(kRotationBytes, "repacked experts")) {
        // Every byte is a code, and every pair of bytes a finite scale.
        const std::span<uint32_t> words = source_.as<uint32_t>();
        for (size_t i = 0; i < words.size(); ++i) {
            words[i] = static_cast<uint32_t>(i) * 2654435761u & 0xBFFFBFFFu;
        }
        std::memset(target_.data(), 0, target_.size_bytes());
    }

    // Seconds of one expert. `turn` chooses which.
    double copy(int bits, int turn) const {
        const size_t bytes = ExpertBytes(bits).total;
        const size_t at = place(bytes, turn);
        return timed([&] { std::memcpy(target_.data() + at, source_.data() + at, bytes); });
    }

    double convert(const Case& c, int turn) const {
        const ExpertBytes bytes(c.bits);
        const uint8_t* source = source_.data() + place(bytes.total, turn);
        std::vector<std::unique_ptr<Unpacker>> unpackers;
        for (int i = 0; i < 3; ++i) unpackers.push_back(unpacker(c, i, bytes, source));
        return timed([&] {
            if (c.tile) {
                to_marlin(c, unpackers, turn);
            } else {
                to_records(c, unpackers, turn);
            }
        });
    }

  private:
    static double timed(const std::function<void()>& work) {
        const double start = thread_seconds();
        work();
        return thread_seconds() - start;
    }

    // Where the turn-th expert of a size stands in the rotation.
    static size_t place(size_t bytes, int turn) {
        return static_cast<size_t>(turn) % (kRotationBytes / bytes) * bytes;
    }

    static std::unique_ptr<Unpacker> unpacker(const Case& c, int index, const ExpertBytes& bytes,
                                              const uint8_t* source) {
        const Linear& linear = kLinears[index];
        QuantConfig config;
        config.format = c.format;
        config.bits = c.bits;
        config.group_size = static_cast<int32_t>(kGroupSize);
        config.symmetry = Symmetry::kAsymmetric;
        const auto view = [&](Role role, DType dtype, size_t at) {
            const ExpectedTensor e = expected_tensor(config, linear.outputs, linear.inputs, role);
            return TensorView{dtype, e.rank, {e.shape[0], e.shape[1]}, source + at};
        };
        ProjectionTensors tensors;
        tensors.weight = view(Role::kWeight, DType::kI32, bytes.weight[index]);
        tensors.scale = view(Role::kScale, DType::kF16, bytes.scale[index]);
        tensors.zero_point = view(Role::kZeroPoint, DType::kI32, bytes.zero_point[index]);
        return value_or_throw(Unpacker::create(config, linear.outputs, linear.inputs, tensors,
                                               kStripRows, std::make_shared<const Allocator>(),
                                               CodeForm::kAny));
    }

    // Calls use(strip, first_row) for all strips of a projection.
    template <class Use>
    static void each_strip(const Linear& linear, Unpacker& unpacker, const Use& use) {
        const int64_t rows = std::max(kStripRows, unpacker.wide_rows());
        for (int64_t row = 0; row < linear.outputs; row += rows) {
            use(unpacker.strip(row, std::min(rows, linear.outputs - row)), row);
        }
    }

    void to_records(const Case& c, const std::vector<std::unique_ptr<Unpacker>>& unpackers,
                    int turn) const {
        const auto plan = [&](const Linear& linear, bool pair) {
            return layout::CpuRecordPlan{.outputs = linear.outputs,
                                         .inputs = linear.inputs,
                                         .group_size = kGroupSize,
                                         .bits = c.bits,
                                         .asymmetric = true,
                                         .gated_pair = pair,
                                         .scale_type = layout::ScaleType::kF16};
        };
        const layout::CpuRecordPlan pair = plan(kLinears[0], true);
        const layout::CpuRecordPlan down = plan(kLinears[2], false);
        const auto pair_bytes = static_cast<size_t>(pair.matrix_bytes());
        const auto down_bytes = static_cast<size_t>(down.matrix_bytes());
        uint8_t* to = target_.data() + place(pair_bytes + down_bytes, turn);
        for (size_t i = 0; i < 3; ++i) {
            const Linear& linear = kLinears[i];
            const auto& of = i == 2 ? down : pair;
            const std::span<uint8_t> records =
                i == 2 ? std::span(to + pair_bytes, down_bytes) : std::span(to, pair_bytes);
            each_strip(linear, *unpackers[i], [&](const Canonical& strip, int64_t row) {
                pack_cpu_records(of, strip, row, linear.up, records);
            });
        }
    }

    void to_marlin(const Case& c, const std::vector<std::unique_ptr<Unpacker>>& unpackers,
                   int turn) const {
        const auto shape = [&](int64_t outputs, int64_t inputs) {
            return MarlinShape{.inputs = inputs,
                               .outputs = outputs,
                               .groups = inputs / kGroupSize,
                               .bits = c.bits,
                               .asymmetric = true,
                               .tile = *c.tile,
                               .scale_type = layout::ScaleType::kF16};
        };
        uint8_t* to = target_.data() + place(ExpertBytes(c.bits).total, turn);
        const auto take = [&to](int64_t bytes) {
            uint8_t* at = to;
            to += bytes;
            return at;
        };
        const auto tensors = [&](const MarlinShape& s) {
            auto* weight = reinterpret_cast<uint32_t*>(take(s.weight_words() * 4));
            auto* scale = take(s.scale_bytes());
            auto* zero_point = reinterpret_cast<uint32_t*>(take(s.zero_point_words() * 4));
            return MarlinTensors{{weight, static_cast<size_t>(s.weight_words())},
                                 {scale, static_cast<size_t>(s.scale_bytes())},
                                 {zero_point, static_cast<size_t>(s.zero_point_words())}};
        };
        const MarlinShape w13 = shape(2 * kIntermediate, kHidden);
        const MarlinShape w2 = shape(kHidden, kIntermediate);
        const MarlinTensors of[] = {tensors(w13), tensors(w2)};
        for (size_t i = 0; i < 3; ++i) {
            const Linear& linear = kLinears[i];
            const int64_t first = linear.up ? kIntermediate : 0;
            each_strip(linear, *unpackers[i], [&](const Canonical& strip, int64_t row) {
                pack_marlin(i == 2 ? w2 : w13, strip, first + row, of[i / 2]);
            });
        }
    }

    Buffer source_;
    Buffer target_;
};

std::string processor_name() {
    std::string name = "unknown processor";
    if (std::FILE* file = std::fopen("/proc/cpuinfo", "r")) {
        char line[256];
        while (std::fgets(line, sizeof line, file) != nullptr) {
            if (std::strncmp(line, "model name", 10) != 0) continue;
            if (const char* colon = std::strchr(line, ':')) name = colon + 2;
            name.erase(name.find_last_not_of(" \n") + 1);
            break;
        }
        std::fclose(file);
    }
    return name;
}

void run(const char* commit, const char* part) {
    const Bench bench;
    constexpr size_t kCaseCount = std::size(kCases);
    std::vector<double> copies[kCaseCount], conversions[kCaseCount], ratios[kCaseCount];
    for (int round = 0; round < kRounds; ++round) {
        for (size_t i = 0; i < kCaseCount; ++i) {
            if (std::strstr(kCases[i].name, part) == nullptr) continue;
            // Far apart in the rotation, so that neither finds what the other left.
            const double copied = bench.copy(kCases[i].bits, round);
            const double converted = bench.convert(kCases[i], round + 8);
            copies[i].push_back(copied);
            conversions[i].push_back(converted);
            ratios[i].push_back(copied / converted);
        }
    }
    const std::string processor = processor_name();
    std::printf("processor,commit,case,gb_per_s,memcpy_gb_per_s,ratio\n");
    for (size_t i = 0; i < kCaseCount; ++i) {
        if (ratios[i].empty()) continue;
        const double bytes = static_cast<double>(ExpertBytes(kCases[i].bits).total) * 1e-9;
        std::printf("%s,%s,%s,%.2f,%.2f,%.2f\n", processor.c_str(), commit, kCases[i].name,
                    bytes / median(conversions[i]), bytes / median(copies[i]), median(ratios[i]));
    }
}

}  // namespace

int main(int argc, char** argv) {
    // Scratch of one expert serves the next, as in a process that loads many.
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    run(argc > 1 ? argv[1] : "unknown", argc > 2 ? argv[2] : "");
    return 0;
}
