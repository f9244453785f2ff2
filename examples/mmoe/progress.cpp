// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <unistd.h>

#include <cstdio>
#include <utility>

namespace mmoe_tool {
namespace {

constexpr int kBarWidth = 40;

}  // namespace

Progress::Progress(std::string what)
    : what_(std::move(what)), terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
    if (shown_percent_ >= 0) std::fputs("\r\033[K", stderr);
}

void Progress::show(uint64_t done, uint64_t total) {
    if (!terminal_ || total == 0) return;
    const int percent =
        static_cast<int>(100.0 * static_cast<double>(done) / static_cast<double>(total));
    if (percent == shown_percent_) return;
    shown_percent_ = percent;
    const int filled = percent * kBarWidth / 100;
    const std::string bar(static_cast<size_t>(filled), '#');
    std::fprintf(stderr, "\r%s [%-*s] %3d %%", what_.c_str(), kBarWidth, bar.c_str(), percent);
}

mmoe_bundle_options Progress::bundle_options() {
    auto options = sized<mmoe_bundle_options>();
    options.progress_user = this;
    options.progress = [](void* user, uint64_t done_bytes, uint64_t total_bytes) {
        static_cast<Progress*>(user)->show(done_bytes, total_bytes);
        return int32_t{0};
    };
    return options;
}

}  // namespace mmoe_tool
