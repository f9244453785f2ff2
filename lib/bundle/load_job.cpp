// SPDX-License-Identifier: Apache-2.0
#include "bundle/load_job.h"

#include <system_error>
#include <utility>

#include "base/guard.h"

namespace mmoe {

Result<std::shared_ptr<LoadJob>> LoadJob::start(std::shared_ptr<const Context> context,
                                                std::shared_ptr<const Checkpoint> checkpoint,
                                                const LayerEntry& entry, const Split& split,
                                                int64_t slot_count, Progress progress) {
    std::shared_ptr<LoadJob> job(new LoadJob);
    LoadJob* self = job.get();  // the destructor joins the thread, so it outlives it
    const auto report = [self, progress = std::move(progress)](uint64_t done, uint64_t total) {
        self->done_bytes_.store(done, std::memory_order_relaxed);
        self->total_bytes_.store(total, std::memory_order_relaxed);
        if (self->cancelled_.load(std::memory_order_relaxed)) return false;
        return !progress || progress(done, total);
    };
    const auto work = [self, context = std::move(context), checkpoint = std::move(checkpoint),
                       entry, split, slot_count, report]() noexcept {
        self->status_ = guarded([&]() -> Status {
            TRY(self->bundle_,
                Bundle::load(context, *checkpoint, entry, split, slot_count, report));
            return {};
        });
        self->finished_.store(true, std::memory_order_release);
    };
    try {
        job->thread_ = Thread(work);
    } catch (const std::system_error& refused) {
        return Status::error(Code::kOutOfMemory, "cannot start a loading thread: %s",
                             refused.what());
    }
    return job;
}

LoadJob::~LoadJob() {
    cancel();
    if (thread_.joinable()) thread_.join();
}

LoadJob::Snapshot LoadJob::poll() const noexcept {
    return {finished_.load(std::memory_order_acquire), done_bytes_.load(std::memory_order_relaxed),
            total_bytes_.load(std::memory_order_relaxed)};
}

Result<std::shared_ptr<Bundle>> LoadJob::wait() {
    const std::lock_guard lock(wait_mutex_);
    if (thread_.joinable()) thread_.join();
    if (!finished_.load(std::memory_order_acquire)) {
        return Status::error(Code::kState, "load: its thread stayed in the process that forked");
    }
    if (!status_.ok()) return status_;
    if (std::exchange(given_, true)) {
        return Status::error(Code::kState, "load: its bundle was given already");
    }
    return std::move(bundle_);
}

}  // namespace mmoe
