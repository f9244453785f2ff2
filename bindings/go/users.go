// SPDX-License-Identifier: Apache-2.0

package marlinmoe

import (
	"runtime/cgo"
	"sync/atomic"
)

// users counts the objects through which the library may still call a context's log function:
// the context and all that was made with it. The last one frees the function's handle.
type users struct {
	count int32
	log   cgo.Handle
}

func newUsers(log cgo.Handle) *users { return &users{count: 1, log: log} }

func (u *users) retain() *users {
	atomic.AddInt32(&u.count, 1)
	return u
}

func (u *users) release() {
	if atomic.AddInt32(&u.count, -1) == 0 && u.log != 0 {
		u.log.Delete()
	}
}
