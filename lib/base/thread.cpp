// SPDX-License-Identifier: Apache-2.0
#include "base/thread.h"

#include <utility>

#if !defined(_WIN32)
    #include <pthread.h>
    #include <signal.h>
    #include <unistd.h>
#endif

namespace mmoe {
namespace {

#if defined(_WIN32)

class SignalsBlocked {  // there are none
  public:
    SignalsBlocked() noexcept {}
};
int64_t this_process() noexcept {
    return 0;  // never forks
}

#else

// A thread inherits the mask of the one that starts it.
class SignalsBlocked {
  public:
    SignalsBlocked() noexcept {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  private:
    sigset_t before_;
};
int64_t this_process() noexcept {
    return ::getpid();
}

#endif

}  // namespace

Thread::Thread(std::function<void()> work) : process_(this_process()) {
    [[maybe_unused]] const SignalsBlocked blocked;
    thread_ = std::make_unique<std::thread>(std::move(work));
}

void Thread::join() {
    // What a forked child has is the memory of a handle; to touch the thread behind it is an error.
    std::thread* const thread = thread_.release();
    if (process_ != this_process()) return;
    thread->join();
    delete thread;
}

}  // namespace mmoe
