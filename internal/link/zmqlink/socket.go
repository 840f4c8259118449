package zmqlink

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/pebbe/zmq4"

	"github.com/privateer-mq/privateer/internal/link"
)

const wouldBlock = zmq4.Errno(syscall.EAGAIN)

// errSpoiled: the connection of a Req link ended between two frames of a
// request, after which libzmq's REQ socket would send malformed ones.
var errSpoiled = fmt.Errorf("%w: the connection ended in the middle of a request: close this link and open another", link.ErrUnreachable)

// socket implements link.Link.
type socket struct {
	host    *host
	options link.Options
	addr    string
	socket  *zmq4.Socket
	raw     *raw
	held    link.Failures // of what was Put
	pending int           // messages in raw, not sent yet
	monitor *zmq4.Socket  // nil unless Options.Monitor

	// unfinished: the last Recv ended at its limit. libzmq may already have
	// taken what remains off the file descriptor that it polls.
	unfinished   bool
	monitorReady bool        // Wait found events
	events       []link.Kind // read, but not yet returned by Recv
	connections  int         // up now, as far as events tell
	failing      bool        // a handshake failed; its connection's end is still to come
	spoiled      bool        // see errSpoiled
	closed       bool
}

// Recv implements link.Link. Events come first. A Req link that has sent
// nothing has nothing to read, which is no error.
func (s *socket) Recv(dst []link.Message, limit int) ([]link.Message, error) {
	if s.closed {
		return dst, link.ErrClosed
	}
	if s.monitorReady {
		if err := s.readEvents(); err != nil {
			return dst, err
		}
	}
	taken := min(len(s.events), max(limit, 0))
	for _, kind := range s.events[:taken] {
		dst = append(dst, link.Message{Kind: kind})
	}
	s.events = slices.Delete(s.events, 0, taken)
	return s.recvBatch(dst, limit-taken)
}

// recvBatch is Recv without the events.
func (s *socket) recvBatch(dst []link.Message, limit int) (_ []link.Message, err error) {
	first := len(dst)
	dst, s.unfinished, err = s.raw.receive(dst, limit)
	if s.options.Role == link.Router {
		for i := first; i < len(dst); i++ {
			dst[i].Peer, dst[i].Frames = dst[i].Frames[0], dst[i].Frames[1:]
		}
	}
	if err != nil {
		return dst, fmt.Errorf("receive on %s: %w", s.addr, err)
	}
	return dst, nil
}

// Send implements link.Link. Besides the interface's errors it returns
// ErrClosed, ErrNoFrames, and on a Req link ErrAwaitingReply.
//
// libzmq does not tell a Dealer or Req link without a connection from one
// whose queue is full. With Options.Monitor the link knows and returns
// ErrUnreachable; without, it returns ErrFull for both.
func (s *socket) Send(peer []byte, frames ...[]byte) error {
	switch {
	case s.closed:
		return link.ErrClosed
	case len(frames) == 0:
		return link.ErrNoFrames
	case s.spoiled:
		return errSpoiled
	}
	s.sendPending()
	if s.options.Role == link.Router {
		// With ROUTER_MANDATORY all that can fail fails here, before anything
		// of the message is taken.
		if err := s.sendFrame(peer, true); err != nil {
			return s.sendError(err)
		}
	}
	for i, frame := range frames {
		if err := s.sendFrame(frame, i < len(frames)-1); err != nil {
			if i > 0 {
				s.abandon(frames[i+1:])
			}
			return s.sendError(err)
		}
	}
	return nil
}

// abandon ends a message whose later frame could not be sent because its
// connection ended meanwhile. libzmq has dropped the frames before and drops
// the rest, but must see the last one to know where the next message starts.
func (s *socket) abandon(rest [][]byte) {
	for i, frame := range rest {
		_ = s.sendFrame(frame, i < len(rest)-1) // dropped whatever it returns
	}
	s.spoiled = s.options.Role == link.Req
}

// sendFrame sends one frame. A link that lends what it reads borrows large
// frames as well: libzmq sends them from where they are.
func (s *socket) sendFrame(frame []byte, more bool) error {
	if s.options.Lend && len(frame) >= link.LentMax {
		return s.host.loans.send(s.raw, frame, more)
	}
	return s.raw.send(frame, more)
}

// Put implements link.Link. Its errors are those of Send.
func (s *socket) Put(peer []byte, frames ...[]byte) {
	if s.options.Role != link.Router {
		peer = nil
	} else if peer == nil {
		peer = []byte{}
	}
	if s.closed || s.spoiled || len(frames) == 0 || !s.raw.put(peer, frames) {
		s.sendPending() // the numbers of its failures come first
		err := s.held.First()
		if err == nil || s.options.Role == link.Router {
			err = s.Send(peer, frames...)
		}
		s.held.Note(err)
		return
	}
	if s.pending++; s.raw.full() {
		s.sendPending()
	}
}

// Flush implements link.Link.
func (s *socket) Flush(failed func(number int, err error)) {
	s.sendPending()
	s.held.Report(failed)
}

// sendPending sends what was Put and not sent yet.
func (s *socket) sendPending() {
	if s.pending == 0 {
		return
	}
	ordered := s.options.Role != link.Router
	number, behind := 0, s.held.First()
	if ordered && behind != nil { // an earlier part of the batch has failed
		s.raw.forget()
	}
	for _, f := range s.raw.flush(ordered) {
		for ; number < int(f.message); number++ {
			s.held.Note(nil)
		}
		if f.frame > 0 {
			s.spoiled = s.options.Role == link.Req
		}
		behind = s.sendError(zmq4.Errno(f.error))
		s.held.Note(behind)
		number++
	}
	if !ordered {
		behind = nil
	}
	for ; number < s.pending; number++ {
		s.held.Note(behind)
	}
	s.pending = 0
}

// sendError puts libzmq's reason in the interface's terms.
func (s *socket) sendError(err error) error {
	switch zmq4.AsErrno(err) {
	case zmq4.EHOSTUNREACH:
		return link.ErrUnreachable
	case zmq4.EFSM:
		return link.ErrAwaitingReply
	case wouldBlock:
		if s.options.Role != link.Router && s.knownDisconnected() {
			return link.ErrUnreachable
		}
		return link.ErrFull
	}
	return fmt.Errorf("send on %s: %w", s.addr, err)
}

// Addr implements link.Link.
func (s *socket) Addr() string { return s.addr }

// Close implements link.Link. It does not block: libzmq keeps sending what is
// unsent for Linger, and the host's Close waits for that.
func (s *socket) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	h := s.host
	h.sockets = slices.DeleteFunc(h.sockets, func(other *socket) bool { return other == s })
	h.waiterStale = true
	var errs []error
	s.sendPending()
	s.raw.close()
	if s.monitor != nil {
		// libzmq's I/O thread blocks when it reports an event that nobody can
		// receive any more: first end the reports, last their receiver.
		delete(h.monitors, s.monitor)
		errs = append(errs, s.socket.Monitor("", 0), s.socket.Close(), s.monitor.Close())
	} else {
		errs = append(errs, s.socket.Close())
	}
	return errors.Join(errs...)
}
