package client

import "sync"

// A command is what others ask of the loop.
type command struct {
	kind  commandKind
	call  *Call
	stats chan<- Stats // has room for one
}

type commandKind uint8

const (
	startCall commandKind = iota
	withdrawCall
	partUsed // its caller has taken a part
	tellStats
)

// A mailbox carries commands to the loop. The loop cannot wait for a channel
// and for its links at once, so it is woken and then looks in here.
type mailbox struct {
	sync.Mutex
	list   []command
	shut   bool
	asleep bool // the loop waits: who posts something wakes it
}

// sleep says that the loop is going to wait. It reports false if something has
// been posted.
func (m *mailbox) sleep() bool {
	m.Lock()
	defer m.Unlock()
	m.asleep = len(m.list) == 0
	return m.asleep
}

// take returns what has been posted, and keeps spare for what comes next.
func (m *mailbox) take(spare []command) (list []command, shut bool) {
	m.Lock()
	defer m.Unlock()
	list, m.list = m.list, spare[:0]
	m.asleep = false
	return list, m.shut
}

// post gives c to the loop; false: it has been told to end.
func (l *loop) post(c command) bool {
	l.mail.Lock()
	shut, wake := l.mail.shut, l.mail.asleep
	if !shut {
		l.mail.list = append(l.mail.list, c)
		l.mail.asleep = false
	}
	l.mail.Unlock()
	if (wake || l.arrivals != nil) && !shut {
		l.wake()
	}
	return !shut
}
