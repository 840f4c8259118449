package zmqlink

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/pebbe/zmq4"
)

const wakeEndpoint = "inproc://wake"

// wake ends a poll from any goroutine: a pair of sockets that carries no data
// but "look". At most one message is under way, so that sending never blocks
// and any number of calls costs one.
type wake struct {
	receiver *zmq4.Socket // the owner's, in its poll set
	pending  atomic.Bool  // a message is under way

	mu     sync.Mutex // guards sender, the one socket that all goroutines share
	sender *zmq4.Socket
}

func newWake(context *zmq4.Context) (*wake, error) {
	receiver, err := context.NewSocket(zmq4.PAIR)
	if err != nil {
		return nil, err
	}
	sender, err := context.NewSocket(zmq4.PAIR)
	if err != nil {
		return nil, errors.Join(err, receiver.Close())
	}
	err = errors.Join(
		receiver.SetLinger(0),
		sender.SetLinger(0),
		again(func() error { return receiver.Bind(wakeEndpoint) }),
		again(func() error { return sender.Connect(wakeEndpoint) }),
	)
	if err != nil {
		return nil, errors.Join(err, sender.Close(), receiver.Close())
	}
	return &wake{receiver: receiver, sender: sender}, nil
}

// ring makes the receiver readable. Safe for any goroutine, also after close.
func (w *wake) ring() {
	if !w.pending.CompareAndSwap(false, true) {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sender == nil {
		return
	}
	err := again(func() error {
		_, err := w.sender.SendBytes([]byte{0}, zmq4.DONTWAIT)
		return err
	})
	if err != nil {
		w.pending.Store(false) // or no later ring would be heard
	}
}

// drain takes the message. Whoever rings from here on sends another; whoever
// rang before is served by the owner's return from Wait. It receives until
// there is nothing, or the receiver's descriptor would not speak again.
func (w *wake) drain() {
	for {
		if _, err := receive(w.receiver); err != nil {
			return
		}
		w.pending.Store(false)
	}
}

func (w *wake) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sender == nil {
		return nil
	}
	err := errors.Join(w.sender.Close(), w.receiver.Close())
	w.sender = nil
	return err
}

// again repeats a call that a signal interrupted.
func again(call func() error) error {
	for {
		if err := call(); err == nil || zmq4.AsErrno(err) != interrupted {
			return err
		}
	}
}
