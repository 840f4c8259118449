//go:build unix

package zmtplink

import (
	"syscall"
	"testing"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

// meddled does something between the last write of what waited and its end.
type meddled struct {
	syscall.RawConn
	meddle func()
}

func (m *meddled) Write(f func(fd uintptr) bool) error {
	err := m.RawConn.Write(f)
	m.meddle()
	return err
}

// While one goroutine waits for room no other begins to: who has written all is
// not the one who speaks for what comes after.
func TestOneWaitsForRoom(t *testing.T) {
	_, c := lone(t, link.Options{Role: link.Router})
	c.out.append(false, [][]byte{[]byte("first")}, false)
	c.out.blocked = true
	c.raw = &meddled{c.raw, func() { // a flush finds no room, and another goroutine waits
		c.out.mu.Lock()
		defer c.out.mu.Unlock()
		if c.out.blocked || !c.out.empty() {
			t.Error("the first is not written, or still waited for")
		}
		c.out.append(false, [][]byte{[]byte("second")}, false)
		c.out.blocked = true
	}}
	if err := c.writeAll(); err != nil {
		t.Fatal(err)
	}
	if !c.out.blocked {
		t.Fatal("somebody waits for room, and a third may begin to")
	}
}

// Where all was said, PING is not answered: written to a side that is shut, the
// answer would end the connection, and with it what is under way.
func TestNoAnswerAfterTheEnd(t *testing.T) {
	_, c := lone(t, link.Options{Role: link.Router, Linger: patience})
	c.closeAfter(patience)
	c.answer(zmtp.AppendCommand(nil, "PONG"))
	if reason := c.reason.Load(); reason != nil {
		t.Fatal(*reason)
	}
	if c.out.sentBytes != 0 || !c.out.empty() {
		t.Fatalf("%d bytes were written", c.out.sentBytes)
	}
}
