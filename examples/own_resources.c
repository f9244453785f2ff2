/* SPDX-License-Identifier: Apache-2.0
 * A program that owns its memory and its threads: an allocator that counts, and a parallel_for on
 * threads of the program. Runs a layer with them and with the library's own; expects equal bits,
 * and every byte given back.
 *
 *     cc own_resources.c -lmarlin_moe -lm -pthread;  ./a.out path/to/model
 */
#include <marlin_moe.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kThreads = 3, kTokens = 4 /* T */, kTopK = 2 };

static void check(mmoe_status status, const mmoe_error* error) {
    if (status == MMOE_OK) return;
    fprintf(stderr, "%s: %s\n", mmoe_status_name(status), error->message);
    exit(1);
}

/* [own allocator] */
/* Called from any thread that uses the context: the numbers need a lock. */
struct Counter {
    pthread_mutex_t lock;
    size_t live_bytes, peak_bytes;
};

static void* allocate(void* user, size_t size_bytes, size_t alignment_bytes) {
    struct Counter* counter = user;
    void* memory = NULL;
    if (alignment_bytes < sizeof(void*)) alignment_bytes = sizeof(void*);
    if (posix_memalign(&memory, alignment_bytes, size_bytes) != 0) return NULL;
    pthread_mutex_lock(&counter->lock);
    counter->live_bytes += size_bytes;
    if (counter->live_bytes > counter->peak_bytes) counter->peak_bytes = counter->live_bytes;
    pthread_mutex_unlock(&counter->lock);
    return memory;
}

static void release(void* user, void* memory, size_t size_bytes) {
    struct Counter* counter = user;
    pthread_mutex_lock(&counter->lock);
    counter->live_bytes -= size_bytes;
    pthread_mutex_unlock(&counter->lock);
    free(memory);
}
/* [own allocator] */

/* [own threads] */
/* One piece of parallel work at a time; whoever has nothing to do takes the next index. */
struct Crew {
    pthread_t threads[kThreads];
    pthread_mutex_t turn; /* callers of parallel_for, one after another */
    pthread_mutex_t lock; /* everything below */
    pthread_cond_t has_work, all_done;
    mmoe_task_fn task;
    void* task_data;
    uint32_t next, count, finished;
    uint32_t tasks_run; /* in all, to show that the library came here */
    int leaving;
};

/* Runs indices until none is left. Called with the lock, returns with it. */
static void take_indices(struct Crew* crew) {
    while (crew->next < crew->count) {
        const uint32_t index = crew->next++;
        pthread_mutex_unlock(&crew->lock);
        crew->task(crew->task_data, index);
        pthread_mutex_lock(&crew->lock);
        ++crew->tasks_run;
        if (++crew->finished == crew->count) pthread_cond_signal(&crew->all_done);
    }
}

static void* work(void* user) {
    struct Crew* crew = user;
    pthread_mutex_lock(&crew->lock);
    while (!crew->leaving) {
        take_indices(crew);
        pthread_cond_wait(&crew->has_work, &crew->lock);
    }
    pthread_mutex_unlock(&crew->lock);
    return NULL;
}

static void parallel_for(void* user, uint32_t task_count, mmoe_task_fn task, void* task_data) {
    struct Crew* crew = user;
    pthread_mutex_lock(&crew->turn);
    pthread_mutex_lock(&crew->lock);
    crew->task = task;
    crew->task_data = task_data;
    crew->next = crew->finished = 0;
    crew->count = task_count;
    pthread_cond_broadcast(&crew->has_work);
    take_indices(crew); /* the caller works too */
    while (crew->finished < crew->count) pthread_cond_wait(&crew->all_done, &crew->lock);
    pthread_mutex_unlock(&crew->lock);
    pthread_mutex_unlock(&crew->turn);
}
/* [own threads] */

static void start(struct Crew* crew) {
    pthread_mutex_init(&crew->turn, NULL);
    pthread_mutex_init(&crew->lock, NULL);
    pthread_cond_init(&crew->has_work, NULL);
    pthread_cond_init(&crew->all_done, NULL);
    for (int i = 0; i < kThreads; ++i) {
        if (pthread_create(&crew->threads[i], NULL, &work, crew) != 0) exit(1);
    }
}

static void stop(struct Crew* crew) {
    pthread_mutex_lock(&crew->lock);
    crew->leaving = 1;
    pthread_cond_broadcast(&crew->has_work);
    pthread_mutex_unlock(&crew->lock);
    for (int i = 0; i < kThreads; ++i) pthread_join(crew->threads[i], NULL);
}

static mmoe_tensor matrix(void* data, mmoe_dtype dtype, uint32_t rows, uint32_t columns) {
    mmoe_tensor tensor = {.data = data, .dtype = dtype, .rank = 2, .shape = {rows, columns}};
    return tensor;
}

/* Loads the first layer and runs some tokens. Returns [T, H] numbers, to be freed. */
static float* run_layer(const mmoe_context_options* options, const char* path, size_t* count) {
    mmoe_error error = {0};
    mmoe_context* context;
    mmoe_checkpoint* model;
    mmoe_bundle* bundle;
    mmoe_executor* executor;
    mmoe_layer layer = {.struct_size = sizeof layer};
    check(mmoe_context_create(options, &context, &error), &error);
    check(mmoe_checkpoint_open(context, path, NULL, &model, &error), &error);
    check(mmoe_bundle_load(context, model, 0, NULL, &bundle, &error), &error);
    check(mmoe_bundle_info(bundle, &layer, NULL, &error), &error);
    const mmoe_executor_options limits = {.struct_size = sizeof limits,
                                          .max_tokens = kTokens,
                                          .max_top_k = kTopK,
                                          .hidden_dtype = MMOE_DTYPE_F32};
    check(mmoe_executor_create(context, bundle, &limits, &executor, &error), &error);

    *count = (size_t)kTokens * layer.hidden_size;
    float* hidden = malloc(*count * sizeof *hidden);
    float* output = malloc(*count * sizeof *output);
    if (hidden == NULL || output == NULL) exit(1);
    for (size_t i = 0; i < *count; ++i) hidden[i] = sinf(0.37f * (float)i);
    int32_t ids[kTokens * kTopK] = {0, 1, 1, 2, 2, 3, 3, 0};
    float weights[kTokens * kTopK] = {0.5f, 0.5f, 0.9f, 0.1f, 0.7f, 0.3f, 1, 0};
    const mmoe_run_args args = {
        .struct_size = sizeof args,
        .hidden = matrix(hidden, MMOE_DTYPE_F32, kTokens, layer.hidden_size),
        .expert_ids = matrix(ids, MMOE_DTYPE_I32, kTokens, kTopK),
        .expert_weights = matrix(weights, MMOE_DTYPE_F32, kTokens, kTopK),
        .output = matrix(output, MMOE_DTYPE_F32, kTokens, layer.hidden_size)};
    check(mmoe_executor_run(executor, bundle, &args, NULL, &error), &error);

    free(hidden);
    mmoe_executor_destroy(executor);
    mmoe_bundle_destroy(bundle);
    mmoe_checkpoint_destroy(model);
    mmoe_context_destroy(context);
    return output;
}

int main(int argc, char** argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s MODEL_DIRECTORY\n", argv[0]);
        return 2;
    }
    static struct Counter counter = {.lock = PTHREAD_MUTEX_INITIALIZER};
    static struct Crew crew;
    start(&crew);
    /* [own resources] */
    const mmoe_allocator counting = {.user = &counter, .allocate = &allocate, .release = &release};
    const mmoe_context_options own = {.struct_size = sizeof own,
                                      .device_kind = MMOE_DEVICE_CPU,
                                      .thread_count = kThreads + 1, /* the caller works too */
                                      .host_allocator = counting,
                                      .parallel_for = &parallel_for,
                                      .parallel_for_user = &crew};
    /* [own resources] */
    const mmoe_context_options plain = {.struct_size = sizeof plain,
                                        .device_kind = MMOE_DEVICE_CPU};
    size_t count = 0;
    float* with_own = run_layer(&own, argv[1], &count);
    float* without = run_layer(&plain, argv[1], &count);
    stop(&crew);

    const int equal = memcmp(with_own, without, count * sizeof *without) == 0;
    printf("own memory: %zu bytes at most, %zu left\n", counter.peak_bytes, counter.live_bytes);
    printf("own threads: %u tasks\n", crew.tasks_run);
    printf("outputs: %s\n", equal ? "equal to the last bit" : "DIFFERENT");
    free(with_own);
    free(without);
    return equal && counter.peak_bytes > 0 && counter.live_bytes == 0 && crew.tasks_run > 0 ? 0 : 1;
}
