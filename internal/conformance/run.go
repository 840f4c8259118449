package conformance

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/protocol"
)

// A run is one run of the kit. One goroutine does all of it.
type run struct {
	ctx     context.Context
	cfg     Config
	host    link.Host
	began   time.Time
	end     time.Time // of the whole run
	sockets []*socket
	report  *Report
	fatal   error // the kit's own sockets fail
}

// A socket is a link, and who takes what it reads.
type socket struct {
	link.Link
	take func(link.Message)
	due  func(now time.Duration) // what its owner does by time; may be nil
	over bool
}

func (r *run) now() time.Duration { return time.Since(r.began) }

// stamp is the sent_ms of a message that leaves now.
func (r *run) stamp() uint32 { return uint32(r.now() / time.Millisecond) }

func (r *run) open(o link.Options, take func(link.Message)) (*socket, error) {
	l, err := r.host.Open(o)
	if err != nil {
		return nil, err
	}
	s := &socket{Link: l, take: take}
	r.sockets = append(r.sockets, s)
	return s, nil
}

// shut closes a socket.
func (r *run) shut(s *socket) {
	if s == nil || s.over {
		return
	}
	s.over = true
	for i := range r.sockets {
		if r.sockets[i] == s {
			r.sockets = append(r.sockets[:i:i], r.sockets[i+1:]...)
			break
		}
	}
	r.note(s.Close())
}

// note keeps the first error of the kit's own.
func (r *run) note(err error) {
	if r.fatal == nil {
		r.fatal = err
	}
}

// over reports whether no more can be checked.
func (r *run) over() bool {
	return r.fatal != nil || r.ctx.Err() != nil || !time.Now().Before(r.end)
}

// waitSlice bounds one wait: so often heartbeats are looked after.
const waitSlice = 10 * time.Millisecond

// wait reads and does what is due until done says true, for d at most. It
// reports whether done did.
func (r *run) wait(d time.Duration, done func() bool) bool {
	until := time.Now().Add(d)
	for {
		r.step()
		if done() {
			return true
		}
		left := time.Until(until)
		if left <= 0 || r.over() {
			return false
		}
		r.note(r.host.Wait(min(left, waitSlice)))
	}
}

// pass lets d go by.
func (r *run) pass(d time.Duration) { r.wait(d, func() bool { return false }) }

// batch bounds what is read from one socket at a time.
const batch = 64

// step reads what has come and does what is due.
func (r *run) step() {
	for _, s := range append([]*socket(nil), r.sockets...) { // the list may change meanwhile
		for more := true; more && !s.over; {
			in, err := s.Recv(nil, batch)
			r.note(err)
			more = len(in) == batch
			for _, m := range in {
				if m.Kind == link.Data {
					s.take(m)
				}
			}
		}
		if s.due != nil && !s.over {
			s.due(r.now())
		}
	}
}

// A step of a script: one check of a kit K.
type step[K any] struct {
	name, rule, want string
	do               func(K) error
}

// A skip says why a check does not apply.
type skip struct{ why string }

func (s *skip) Error() string { return s.why }

func skipped(format string, args ...any) error { return &skip{fmt.Sprintf(format, args...)} }

// came says what came instead of what was expected.
func came(format string, args ...any) error { return fmt.Errorf(format, args...) }

// check makes one check. It reports whether it passed.
func (r *run) check(name, rule, want string, do func() error) bool {
	c := Check{Name: name, Rule: rule, Want: want, Result: Pass}
	err := errors.New("nothing: the time for the whole run was over")
	if !r.over() {
		err = do()
	}
	var na *skip
	switch {
	case errors.As(err, &na):
		c.Result, c.Came = NotApplicable, err.Error()
	case err != nil:
		c.Result, c.Came = Fail, err.Error()
	}
	r.report.Checks = append(r.report.Checks, c)
	return c.Result == Pass
}

// random is never 0.
func random() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:]) | 1
}

func newID() (id protocol.ID) {
	rand.Read(id[:]) // never fails
	return id
}

func routingID() []byte {
	id := newID()
	id[0] |= 1 // libzmq's own begin with 0
	return id[:]
}

// encode makes the frames of a message.
func encode(d protocol.Direction, m *protocol.Message) [][]byte {
	frames, _ := protocol.AppendFrames(nil, nil, d, m)
	return frames
}

// insert puts a hop-by-hop field before all others of a header.
func insert(header []byte, typ byte, value string) []byte {
	at := protocol.HeaderBytesMin + int(header[protocol.HeaderBytesMin-1])
	field := append([]byte{typ, byte(len(value) >> 8), byte(len(value))}, value...)
	return append(append(append([]byte(nil), header[:at]...), field...), header[at:]...)
}

// Where a header has its version, its command, and the low flags.
const (
	versionByte   = 3
	commandByte   = 4
	maybeSentByte = 7
)

// poke returns the frames with one byte of the header changed.
func poke(frames [][]byte, at int, to byte) [][]byte {
	frames[0] = append([]byte(nil), frames[0]...)
	frames[0][at] = to
	return frames
}

// joined is a body as one text.
func joined(body [][]byte) string {
	var all []byte
	for _, f := range body {
		all = append(all, f...)
	}
	return string(all)
}

// sameFrames reports whether two bodies are the same, boundaries included.
func sameFrames(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if string(a[i]) != string(b[i]) {
			return false
		}
	}
	return true
}

// frames makes a body.
func frames(texts ...string) (body [][]byte) {
	for _, t := range texts {
		body = append(body, []byte(t))
	}
	return body
}

// described is a message in a few words.
func described(m *protocol.Message) string {
	text := m.Command.String()
	switch m.Command {
	case protocol.Reply, protocol.Cancel, protocol.Disconnect:
		text += " " + protocol.CodeName(m.Command, m.Code)
	}
	if k := m.Flags.Certainty(); m.Command == protocol.Reply && k != protocol.CertaintyNone {
		text += ", " + k.String()
	}
	if said := m.Meta.Get(protocol.MetaErrorText); said != "" {
		text += fmt.Sprintf(" (%q)", said)
	}
	return text
}
