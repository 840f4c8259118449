package worker

import (
	"sync"

	"github.com/privateer-mq/privateer/internal/workercore"
)

// A notice is what a run tells the loop: that it gets on, has made a part of its
// reply, or has returned.
type notice struct {
	run       *run
	part      bool // of its reply, in result
	returned  bool
	completed bool // ... and not by a panic or runtime.Goexit
	result    workercore.Result
	panicked  string
	stack     []byte
}

// An inbox brings notices from the handlers' goroutines to the loop. Each run
// has at most three in it, so it is bounded by the concurrency.
type inbox struct {
	mu     sync.Mutex
	list   []notice
	wake   func() // lets a turn look
	always bool   // with each notice: nobody waits
	asleep bool   // the loop waits: who puts something in wakes it
}

func (b *inbox) put(n notice) {
	b.mu.Lock()
	b.list = append(b.list, n)
	wake := b.wake
	if !b.always && !b.asleep {
		wake = nil
	}
	b.asleep = false
	b.mu.Unlock()
	if wake != nil {
		wake()
	}
}

// ring lets a turn look whether there is something.
func (b *inbox) ring() {
	b.mu.Lock()
	wake := b.wake
	b.mu.Unlock()
	wake()
}

// wakes says how a turn is made to look.
func (b *inbox) wakes(wake func(), always bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake, b.always = wake, always
}

// sleep says that the loop is going to wait. It reports false if there is
// something to take first.
func (b *inbox) sleep() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asleep = len(b.list) == 0
	return b.asleep
}

// take returns what has come in since, and keeps spare for what comes next.
func (b *inbox) take(spare []notice) []notice {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asleep = false
	list := b.list
	b.list = spare[:0]
	return list
}
