package zmqlink

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/pebbe/zmq4"

	"github.com/privateer-mq/privateer/internal/link"
)

const (
	handshakeFailed = zmq4.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq4.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq4.EVENT_HANDSHAKE_FAILED_AUTH
	monitorEvents   = zmq4.EVENT_HANDSHAKE_SUCCEEDED | zmq4.EVENT_DISCONNECTED | handshakeFailed
)

// startMonitor lets libzmq report what becomes of the link's connections.
func (s *socket) startMonitor() error {
	h := s.host
	h.monitored++
	endpoint := fmt.Sprintf("inproc://monitor-%d", h.monitored)
	if err := s.socket.Monitor(endpoint, monitorEvents); err != nil {
		return fmt.Errorf("monitor %s: %w", s.options.Endpoints[0], err)
	}
	receiver, err := h.context.NewSocket(zmq4.PAIR)
	if err != nil {
		return errors.Join(fmt.Errorf("monitor %s: %w", s.options.Endpoints[0], err), s.socket.Monitor("", 0))
	}
	err = errors.Join(
		receiver.SetLinger(0),
		// Unbounded: libzmq's I/O thread, and with it every connection of the
		// host, would stand still until a full queue is read.
		receiver.SetRcvhwm(0),
		again(func() error { return receiver.Connect(endpoint) }),
	)
	if err != nil {
		return errors.Join(fmt.Errorf("monitor %s: %w", s.options.Endpoints[0], err), s.socket.Monitor("", 0), receiver.Close())
	}
	s.monitor = receiver
	h.monitors[receiver] = s
	return nil
}

// readEvents takes every event that libzmq has reported.
func (s *socket) readEvents() error {
	s.monitorReady = false
	for {
		frames, err := receive(s.monitor)
		if err != nil {
			if zmq4.AsErrno(err) == wouldBlock {
				return nil
			}
			return fmt.Errorf("read events of %s: %w", s.addr, err)
		}
		// The first frame is a 16-bit event and a 32-bit value, in the
		// machine's byte order; the second names the endpoint.
		if len(frames[0]) >= 2 {
			s.observe(zmq4.Event(binary.NativeEndian.Uint16(frames[0])))
		}
	}
}

// observe turns libzmq's event into ours. A connection whose handshake failed
// was never reported as Connected; its end, which follows, is not either.
func (s *socket) observe(event zmq4.Event) {
	switch {
	case event == zmq4.EVENT_HANDSHAKE_SUCCEEDED:
		s.connections++
		s.events = append(s.events, link.Connected)
	case event&handshakeFailed != 0:
		s.failing = true
	case event == zmq4.EVENT_DISCONNECTED && s.failing:
		s.failing = false
	case event == zmq4.EVENT_DISCONNECTED:
		s.connections--
		s.events = append(s.events, link.Disconnected)
	}
}

// knownDisconnected reports whether events tell that there is no connection.
func (s *socket) knownDisconnected() bool {
	if s.monitor == nil {
		return false
	}
	if err := s.readEvents(); err != nil {
		return false
	}
	return s.connections <= 0
}

// receive takes one whole message, or fails with EAGAIN. libzmq hands a
// message over only when all of its frames are there.
func receive(from *zmq4.Socket) ([][]byte, error) {
	frames := make([][]byte, 0, 2)
	for {
		frame, err := from.RecvBytes(zmq4.DONTWAIT)
		if err != nil {
			if zmq4.AsErrno(err) == interrupted {
				continue
			}
			return nil, err
		}
		frames = append(frames, frame)
		more, err := from.GetRcvmore()
		if err != nil {
			return nil, err
		}
		if !more {
			return frames, nil
		}
	}
}
