// SPDX-License-Identifier: Apache-2.0

package marlinmoe

// #include "helpers.h"
import "C"

import (
	"context"
	"runtime"
	"sync"
)

// LoadJob is a load on a thread of the library. Goroutines may share it.
type LoadJob struct {
	handle  *C.mmoe_load
	context *Context
	users   *users        // the log function of the context, which may be closed before the load ends
	ended   chan struct{} // closed once bundle and err are there
	bundle  *Bundle
	err     error
	take    sync.Once
	close   sync.Once
}

// LoadProgress says how far a LoadJob is.
type LoadProgress struct {
	Finished              bool
	DoneBytes, TotalBytes uint64 // TotalBytes is 0 until the load has begun
}

// StartLoad starts to load one layer of a checkpoint and returns at once. End it with Close.
func StartLoad(context *Context, checkpoint *Checkpoint, layer uint32, options BundleOptions) (*LoadJob, error) {
	raw := options.raw()
	load := &LoadJob{context: context, users: context.users.retain(), ended: make(chan struct{})}
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_load_start(context.handle, checkpoint.handle, C.uint32_t(layer), &raw,
			&load.handle, failure)
	})
	runtime.KeepAlive(checkpoint)
	if err != nil {
		load.users.release()
		return nil, err
	}
	runtime.SetFinalizer(load, func(l *LoadJob) { l.Close() })
	go load.waitForEnd()
	return load, nil
}

func (l *LoadJob) waitForEnd() {
	var handle *C.mmoe_bundle
	l.err = check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_load_wait(l.handle, &handle, failure)
	})
	if l.err == nil {
		l.bundle = bundleOf(l.context, handle)
	}
	close(l.ended)
}

// Done is closed when the load has ended, well or not.
func (l *LoadJob) Done() <-chan struct{} { return l.ended }

// Progress says how far the load is, without waiting. It is not to be called after Close.
func (l *LoadJob) Progress() (LoadProgress, error) {
	raw := C.mmoe_load_progress{struct_size: C.sizeof_mmoe_load_progress}
	err := check(func(failure *C.mmoe_error) C.mmoe_status {
		return C.go_mmoe_load_poll(l.handle, &raw, failure)
	})
	return LoadProgress{
		Finished: raw.finished != 0, DoneBytes: uint64(raw.done_bytes),
		TotalBytes: uint64(raw.total_bytes),
	}, err
}

// Cancel asks the load to stop soon and returns at once; Wait then answers an error whose Status is
// StatusCancelled, unless the load was complete. It is not to be called after Close.
func (l *LoadJob) Cancel() { C.go_mmoe_load_cancel(l.handle) }

// Wait waits for the end of the load and takes its bundle; only the first call gets it. If ctx ends
// first, the load is cancelled and the error is that of ctx.
func (l *LoadJob) Wait(ctx context.Context) (*Bundle, error) {
	select {
	case <-l.ended:
	case <-ctx.Done():
		l.Cancel()
		<-l.ended
		if l.err != nil {
			return nil, ctx.Err()
		}
	}
	if l.err != nil {
		return nil, l.err
	}
	var bundle *Bundle
	l.take.Do(func() { bundle, l.bundle = l.bundle, nil })
	if bundle == nil {
		return nil, &Error{Status: C.MMOE_ERR_STATE, Message: "load: the bundle was taken already",
			FileOffset: ^uint64(0)}
	}
	return bundle, nil
}

// Close cancels a load that still runs, waits for its end, and frees it, with its bundle if nobody
// took it.
func (l *LoadJob) Close() error {
	l.close.Do(func() {
		l.Cancel()
		<-l.ended
		l.take.Do(func() {
			if l.bundle != nil {
				l.bundle.Close()
			}
		})
		C.go_mmoe_load_destroy(l.handle)
		l.handle = nil
		l.users.release()
		runtime.SetFinalizer(l, nil)
	})
	return nil
}

// LoadBundleContext loads, repacks and seals one layer of a checkpoint. If ctx ends first, the load
// stops and the error is that of ctx.
func LoadBundleContext(ctx context.Context, context *Context, checkpoint *Checkpoint, layer uint32,
	options BundleOptions) (*Bundle, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	load, err := StartLoad(context, checkpoint, layer, options)
	if err != nil {
		return nil, err
	}
	defer load.Close()
	return load.Wait(ctx)
}
