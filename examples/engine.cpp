// SPDX-License-Identifier: Apache-2.0
// Experts inside a program that has a frame to finish: a game, an editor, a robot. The engine owns
// the threads and the memory budget; the layer is loaded in the background while frames go on, the
// player may leave before it is there, and then every frame runs a token.
//
// Order: the engine's job system, the layer as one of its components, the frame loop. Ends with 1
// unless a load was cancelled, one came to its end while frames went by, and every answer is
// finite.
//
//     c++ -std=c++20 engine.cpp -lmarlin_moe -pthread;  ./a.out path/to/model
#include <marlin_moe.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;

constexpr auto kFrameTime = 4ms;
constexpr int kThinkingFrames = 20;  // after the load
constexpr int kMaxFrames = 5000;     // a load that takes longer is stuck
constexpr uint32_t kTopK = 2;

// ---- What an engine has already: workers that take jobs from a queue ------------------------

class JobSystem {
  public:
    explicit JobSystem(unsigned worker_count) {
        for (unsigned i = 0; i < worker_count; ++i) workers_.emplace_back([this] { work(); });
    }
    ~JobSystem() {
        {
            const std::lock_guard lock(mutex_);
            leaving_ = true;
        }
        has_job_.notify_all();
        for (std::thread& worker : workers_) worker.join();
    }
    JobSystem(const JobSystem&) = delete;
    JobSystem& operator=(const JobSystem&) = delete;

    [[nodiscard]] uint32_t thread_count() const {
        return static_cast<uint32_t>(workers_.size()) + 1;  // whoever waits works too
    }

    // Runs body(i) for every i below count; the caller takes its share. Any thread may call it.
    void parallel_for(uint32_t count, const std::function<void(uint32_t)>& body) {
        // Helpers that come late must find this alive: they share it.
        struct Batch {
            std::atomic<uint32_t> next = 0;
            std::atomic<uint32_t> finished = 0;
        };
        const auto batch = std::make_shared<Batch>();
        const auto take = [batch, count, &body] {
            for (uint32_t i; (i = batch->next.fetch_add(1)) < count;) {
                body(i);
                batch->finished.fetch_add(1);
                batch->finished.notify_all();
            }
        };
        for (size_t i = 0; i < workers_.size() && i + 1 < count; ++i) push(take);
        take();
        for (uint32_t done; (done = batch->finished.load()) < count;) batch->finished.wait(done);
    }

  private:
    void push(std::function<void()> job) {
        {
            const std::lock_guard lock(mutex_);
            jobs_.push_back(std::move(job));
        }
        has_job_.notify_one();
    }

    void work() {
        std::unique_lock lock(mutex_);
        while (true) {
            has_job_.wait(lock, [this] { return leaving_ || !jobs_.empty(); });
            if (leaving_) return;
            const std::function<void()> job = std::move(jobs_.front());
            jobs_.pop_front();
            lock.unlock();
            job();
            lock.lock();
        }
    }

    std::mutex mutex_;
    std::condition_variable has_job_;
    std::deque<std::function<void()>> jobs_;
    bool leaving_ = false;
    std::vector<std::thread> workers_;
};

// ---- The layer as a component of the engine ---------------------------------------------------

void check(mmoe_status status, const mmoe_error& error) {
    if (status != MMOE_OK) throw std::runtime_error(error.message);
}

template <class Structure>
Structure sized() {
    Structure structure{};
    structure.struct_size = sizeof structure;
    return structure;
}

// [job system]
// The library's work becomes jobs of the engine.
void run_as_jobs(void* user, uint32_t task_count, mmoe_task_fn task, void* task_data) {
    static_cast<JobSystem*>(user)->parallel_for(task_count,
                                                [&](uint32_t index) { task(task_data, index); });
}

mmoe_context* make_context(JobSystem& jobs, uint64_t budget_bytes) {
    auto options = sized<mmoe_context_options>();
    options.device_kind = MMOE_DEVICE_CPU;
    options.thread_count = jobs.thread_count();
    options.parallel_for = &run_as_jobs;
    options.parallel_for_user = &jobs;
    options.memory_budget_bytes = budget_bytes;  // bundles and workspaces beyond it are refused
    mmoe_error error{};
    mmoe_context* context = nullptr;
    check(mmoe_context_create(&options, &context, &error), error);
    return context;
}
// [job system]

mmoe_executor_options executor_limits() {
    auto limits = sized<mmoe_executor_options>();
    limits.max_tokens = 1;
    limits.max_top_k = kTopK;
    limits.hidden_dtype = MMOE_DTYPE_F32;
    return limits;
}

class Mind {
  public:
    Mind(mmoe_context* context, mmoe_checkpoint* model) : context_(context), model_(model) {}
    ~Mind() {
        mmoe_load_destroy(load_);  // cancels a load that still runs
        mmoe_executor_destroy(executor_);
        mmoe_bundle_destroy(bundle_);
    }
    Mind(const Mind&) = delete;
    Mind& operator=(const Mind&) = delete;

    // [background load]
    // Starts the load and returns at once.
    void start() {
        mmoe_error error{};
        check(mmoe_load_start(context_, model_, 0, nullptr, &load_, &error), error);
    }

    // Called once a frame: percent loaded, without waiting. At 100 the layer is ready to run.
    int update() {
        if (executor_ != nullptr) return 100;
        mmoe_error error{};
        auto progress = sized<mmoe_load_progress>();
        check(mmoe_load_poll(load_, &progress, &error), error);
        if (progress.finished != 0) {
            check(mmoe_load_wait(load_, &bundle_, &error), error);  // does not wait any more
            const mmoe_executor_options limits = executor_limits();
            check(mmoe_executor_create(context_, bundle_, &limits, &executor_, &error), error);
            return 100;
        }
        const uint64_t total = progress.total_bytes;  // 0 until the load has begun
        return total == 0 ? 0 : static_cast<int>(progress.done_bytes * 99 / total);
    }

    // The player leaves: true if the load stopped, false if it had been quicker.
    bool cancel() {
        mmoe_load_cancel(load_);
        mmoe_error error{};
        const mmoe_status status = mmoe_load_wait(load_, &bundle_, &error);
        if (status != MMOE_ERR_CANCELLED) check(status, error);
        return status == MMOE_ERR_CANCELLED;
    }
    // [background load]

    // One token through the layer; state [H] is read and replaced.
    void think(std::vector<float>& state) {
        const int32_t ids[kTopK] = {0, 1};
        const float weights[kTopK] = {0.6F, 0.4F};
        std::vector<float> output(state.size());
        auto args = sized<mmoe_run_args>();
        args.hidden = row(state.data(), MMOE_DTYPE_F32, state.size());
        args.expert_ids = row(ids, MMOE_DTYPE_I32, kTopK);
        args.expert_weights = row(weights, MMOE_DTYPE_F32, kTopK);
        args.output = row(output.data(), MMOE_DTYPE_F32, output.size());
        mmoe_error error{};
        check(mmoe_executor_run(executor_, bundle_, &args, nullptr, &error), error);
        for (size_t i = 0; i < state.size(); ++i) state[i] = std::tanh(state[i] + output[i]);
    }

  private:
    static mmoe_tensor row(const void* data, mmoe_dtype dtype, size_t columns) {
        mmoe_tensor tensor{};
        tensor.data = const_cast<void*>(data);  // inputs are not written to
        tensor.dtype = dtype;
        tensor.rank = 2;
        tensor.shape[0] = 1;
        tensor.shape[1] = static_cast<int64_t>(columns);
        return tensor;
    }

    mmoe_context* context_;
    mmoe_checkpoint* model_;
    mmoe_load* load_ = nullptr;
    mmoe_bundle* bundle_ = nullptr;
    mmoe_executor* executor_ = nullptr;
};

// [budget]
// What the layer will take of the engine's memory, from headers alone.
uint64_t needed_bytes(const mmoe_context* context, const mmoe_checkpoint* model) {
    auto layer = sized<mmoe_layer>();
    auto weights = sized<mmoe_memory_plan>();
    auto workspace = sized<mmoe_memory_plan>();
    const mmoe_executor_options limits = executor_limits();
    mmoe_quant_config* config = nullptr;
    mmoe_error error{};
    check(mmoe_checkpoint_layer_info(model, 0, &layer, nullptr, &config, &error), error);
    mmoe_status status = mmoe_bundle_plan(context, config, &layer, nullptr, &weights, &error);
    if (status == MMOE_OK)
        status = mmoe_executor_plan(context, config, &layer, &limits, &workspace, &error);
    mmoe_quant_config_destroy(config);
    check(status, error);
    return weights.resident_bytes + workspace.resident_bytes;
}
// [budget]

// ---- The game -----------------------------------------------------------------------------------

// The rest of the frame: enough for the workers to have something else to do.
void simulate(JobSystem& jobs, std::vector<float>& world) {
    jobs.parallel_for(static_cast<uint32_t>(world.size()), [&](uint32_t i) {
        world[i] = std::sin(world[i] + 0.01F * static_cast<float>(i));
    });
}

// Frames until the layer has been loaded and has run; false if something did not come true.
bool play(JobSystem& jobs, Mind& mind, size_t hidden_size) {
    std::vector<float> world(64), state(hidden_size, 0.25F);
    int thoughts = 0;
    int shown = -1;
    auto next_frame = std::chrono::steady_clock::now();
    for (int frame = 0; frame < kMaxFrames && thoughts < kThinkingFrames; ++frame) {
        simulate(jobs, world);
        const int percent = mind.update();
        if (percent != shown) std::printf("frame %d: %d %% loaded\n", frame, percent);
        shown = percent;
        if (percent == 100) {
            mind.think(state);
            ++thoughts;
        }
        next_frame += kFrameTime;
        std::this_thread::sleep_until(next_frame);
    }
    double sum = 0;
    for (const float value : state) sum += value;
    std::printf("%d thoughts; mean state %.4f\n", thoughts, sum / static_cast<double>(hidden_size));
    return thoughts == kThinkingFrames && std::isfinite(sum);
}

bool run(const char* path) {
    JobSystem jobs(2);
    mmoe_error error{};
    mmoe_context* unlimited = make_context(jobs, 0);
    mmoe_checkpoint* model = nullptr;
    check(mmoe_checkpoint_open(unlimited, path, nullptr, &model, &error), error);
    const uint64_t budget_bytes = needed_bytes(unlimited, model);
    mmoe_context* context = make_context(jobs, budget_bytes);
    std::printf("budget: %llu bytes\n", static_cast<unsigned long long>(budget_bytes));
    auto layer = sized<mmoe_layer>();
    check(mmoe_checkpoint_layer_info(model, 0, &layer, nullptr, nullptr, &error), error);

    bool ok = true;
    {
        Mind left_behind(context, model);
        left_behind.start();
        std::printf("left the level: the load %s\n",
                    left_behind.cancel() ? "stopped" : "had been quicker");
    }  // its memory is back in the budget
    {
        Mind mind(context, model);
        mind.start();
        ok = play(jobs, mind, layer.hidden_size);
    }
    mmoe_checkpoint_destroy(model);
    mmoe_context_destroy(context);
    mmoe_context_destroy(unlimited);
    return ok;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s MODEL_DIRECTORY\n", argv[0]);
        return 2;
    }
    try {
        return run(argv[1]) ? 0 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
