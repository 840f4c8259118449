//go:build !linux || netpoller

package zmtplink

import (
	"sync/atomic"
	"time"
)

// A poller is not there: each connection has a goroutine.
type poller struct {
	pending atomic.Bool
	looks   uint64
	unread  bool
}

type polled struct {
	on, joined bool
	fd         int
}

func newPoller() *poller { return nil }

func (*poller) ring()              {}
func (*poller) close()             {}
func (*poller) join(*conn)         {}
func (*poller) call(*conn)         {}
func (*poller) watch(*conn)        {}
func (*poller) look(time.Duration) {}
func (*polled) close()             {}
func (*conn) change([]byte) bool   { return false }
func (*conn) changeBack()          {}
