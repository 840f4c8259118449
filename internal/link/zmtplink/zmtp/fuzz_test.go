package zmtp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
)

var fuzzLimits = Limits{FrameBytesMax: 9000, FramesMax: 20, MessageBytesMax: 20_000}

// naive is what a stream means, read as a whole and without any cleverness.
func naive(b []byte, l Limits) (messages []string, failed bool) {
	var frames [][]byte
	var size int64
	for len(b) > 0 {
		flags := b[0]
		if flags > 7 || flags&5 == 5 {
			return messages, true
		}
		head := 2
		if flags&2 != 0 {
			head = 9
		}
		if len(b) < head {
			return messages, false
		}
		n := uint64(b[1])
		if head == 9 {
			n = binary.BigEndian.Uint64(b[1:])
		}
		if flags&4 != 0 {
			if n > commandBytesMax {
				return messages, true
			}
		} else if n > uint64(l.FrameBytesMax) || len(frames) == l.FramesMax || size+int64(n) > l.MessageBytesMax {
			return messages, true
		}
		if uint64(len(b)-head) < n {
			return messages, false
		}
		body := b[head : head+int(n)]
		b = b[head+int(n):]
		if flags&4 != 0 {
			name, data, ok := splitCommand(body)
			if !ok || name == "ERROR" || name == "PING" && (len(data) < 2 || len(data) > 18) {
				return messages, true
			}
			continue
		}
		frames, size = append(frames, body), size+int64(n)
		if flags&1 == 0 {
			messages, frames, size = append(messages, text(frames)), nil, 0
		}
	}
	return messages, false
}

// FuzzReader: whatever comes, and however it is cut into reads, the messages
// are those that stand in it, and nothing is kept or given back twice.
func FuzzReader(f *testing.F) {
	for _, c := range streams() {
		f.Add(c.bytes, []byte{1, 200}, byte(1))
	}
	f.Add(slices.Concat(message(string(bytes.Repeat([]byte("x"), 5000)), "y"), AppendCommand(nil, "PING", []byte{0, 1, 2})), []byte{7}, byte(3))
	f.Add(bytes.Repeat(message("a", "b"), 900), []byte{255, 3}, byte(200))
	f.Fuzz(func(t *testing.T, stream, at []byte, hold byte) {
		want, failed := naive(stream, fuzzLimits)
		got := read(t, stream, fuzzLimits, nil, large, splits{at: at}, int(hold))
		if !slices.Equal(got.messages, want) || (got.err != "") != failed {
			t.Fatalf("read as %q and error %q, want %q and an error: %v", got.messages, got.err, want, failed)
		}
	})
}

// shake feeds a handshake, and tells what came of it.
func shake(t *testing.T, c Config, stream []byte, s splits) (result string, rest []byte) {
	h := NewHandshake(c)
	out := h.Output()
	var err error
	for len(stream) > 0 && err == nil && !h.Done() {
		n := s.next(len(stream))
		rest, err = h.Feed(stream[:n])
		stream = stream[n:]
		out = append(out, h.Output()...)
		if len(h.in) > greetingBytes+commandBytesMax+HeaderBytesMax+n {
			t.Fatalf("%d bytes are kept", len(h.in))
		}
	}
	out = append(out, h.Output()...)
	if err != nil { // its text may show what else was there
		var fault *Error
		if !errors.As(err, &fault) {
			t.Fatalf("an error of another kind: %v", err)
		}
		return fmt.Sprintf("%v at %d", fault.Kind, fault.At), nil
	}
	return fmt.Sprintf("%v %+v %x", h.Done(), h.Peer(), out), append(rest, stream...)
}

// FuzzHandshake: whatever comes, and however it is cut into reads, the answer is
// the same, and what follows the handshake is left whole.
func FuzzHandshake(f *testing.F) {
	for _, c := range greetings() {
		f.Add(c.bytes, []byte{1}, byte(c.ours))
		f.Add(append(c.bytes, "rest"...), []byte{60, 5}, byte(c.ours)|0x80)
	}
	f.Fuzz(func(t *testing.T, stream, at []byte, how byte) {
		c := Config{Type: SocketType(how & 0x0f), Connects: how&0x80 != 0, Identity: []byte("me"), Mechanism: Null{}}
		whole, rest := shake(t, c, stream, splits{})
		cut, restCut := shake(t, c, stream, splits{at: at})
		if whole != cut || !bytes.Equal(rest, restCut) {
			t.Fatalf("read at once: %s, rest %q; cut by %v: %s, rest %q", whole, rest, at, cut, restCut)
		}
		if len(rest) > 0 && !bytes.HasSuffix(stream, rest) {
			t.Fatalf("the rest %q is no end of what came", rest)
		}
	})
}

// meet is a whole connection: a handshake, and what is read after it.
func meet(t *testing.T, c Config, stream []byte, x Transform, s splits, hold int) (shaken string, got result) {
	shaken, rest := shake(t, c, stream, s)
	s.cut = max(s.cut-(len(stream)-len(rest)), 0)
	return shaken, read(t, rest, fuzzLimits, x, large, s, hold)
}

// sameHoweverCut checks that a connection's bytes mean the same at once and cut.
func sameHoweverCut(t *testing.T, c Config, stream []byte, x Transform, s splits, hold int) {
	t.Helper()
	shaken, whole := meet(t, c, stream, x, splits{}, 0)
	shakenCut, cut := meet(t, c, stream, x, s, hold)
	if shaken != shakenCut || !slices.Equal(whole.messages, cut.messages) || whole.err != cut.err {
		t.Fatalf("read at once: %s, %q and error %q; cut by %v: %s, %q and error %q",
			shaken, whole.messages, whole.err, s, shakenCut, cut.messages, cut.err)
	}
	// Of too many answers to PING in one read some are left out.
	if !bytes.Equal(whole.pongs, cut.pongs) && len(cut.pongs) < pongsMax {
		t.Fatalf("read at once, the answers are %q; cut by %v: %q", whole.pongs, s, cut.pongs)
	}
}

// connections are streams from the first byte on: each handshake that is done,
// with a message after it, and each well-formed or damaged stream behind the first.
func connections() (list [][]byte) {
	ping := AppendCommand(nil, "PING", []byte{0, 1, 'c'})
	var first []byte
	for _, g := range greetings() {
		if g.ours == Router && g.err == "" {
			list = append(list, slices.Concat(g.bytes, ping, message("a", "b")))
			if first == nil {
				first = g.bytes
			}
		}
	}
	for _, s := range streams() {
		list = append(list, slices.Concat(first, ping, s.bytes))
	}
	return list
}

// Wherever a connection's bytes are cut in two, they mean the same: within the
// greeting, READY, a header, a body or a command, and between them.
func TestEverySplit(t *testing.T) {
	c := Config{Type: Router, Mechanism: Null{}}
	for _, stream := range connections() {
		near := min(len(stream), 600) // beyond that only bodies are cut
		for n := 1; n < near; n++ {
			sameHoweverCut(t, c, stream, nil, splits{cut: n}, 0)
		}
	}
}

// FuzzConnection: whatever a connection says from its first byte on, and however
// that is cut into reads, it means the same, in the clear and sealed.
func FuzzConnection(f *testing.F) {
	for i, stream := range connections() {
		f.Add(stream, []byte{1, 200}, byte(Router), byte(i))
	}
	f.Fuzz(func(t *testing.T, stream, at []byte, how, hold byte) {
		c := Config{Type: SocketType(how & 0x0f), Connects: how&0x80 != 0, Identity: []byte("me"), Mechanism: Null{}}
		var x Transform
		if how&0x40 != 0 {
			x = mask{}
		}
		sameHoweverCut(t, c, stream, x, splits{at: at}, int(hold))
	})
}
