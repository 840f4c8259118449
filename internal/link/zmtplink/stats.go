package zmtplink

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/link/zmtplink/zmtp"
)

// counters are what a link counts.
type counters struct {
	accepted, badShakes, lateShakes, manyShakes atomic.Uint64
	malformed, largeFrames, longMessages        atomic.Uint64
	unfinished, slow, taken, silent, full       atomic.Uint64
	pauses, readPauses, dialsFailed             atomic.Uint64
	pausing                                     atomic.Bool
	trouble                                     struct {
		sync.Mutex
		text string
		at   time.Time
	}
}

func (s *socket) setTrouble(text string) {
	t := &s.stats.trouble
	t.Lock()
	defer t.Unlock()
	t.text, t.at = text, time.Now()
}

// note counts why a connection has ended.
func (s *socket) note(c *conn, reason error) {
	if errors.Is(reason, link.ErrClosed) {
		return
	}
	s.setTrouble(c.where() + ": " + plain(reason).Error())
	n := &s.stats
	var fault *zmtp.Error
	switch {
	case errors.Is(reason, errLate):
		n.lateShakes.Add(1)
	case errors.Is(reason, errManyShakes):
		n.manyShakes.Add(1)
	case errors.Is(reason, errUnfinished):
		n.unfinished.Add(1)
	case errors.Is(reason, errSlow):
		n.slow.Add(1)
	case errors.Is(reason, errTaken):
		n.taken.Add(1)
	case errors.Is(reason, errSilent):
		n.silent.Add(1)
	case !c.up:
		n.badShakes.Add(1)
	case !errors.As(reason, &fault):
	case fault.Kind == zmtp.FrameTooLarge:
		n.largeFrames.Add(1)
	case fault.Kind == zmtp.MessageTooLong:
		n.longMessages.Add(1)
	default:
		n.malformed.Add(1)
	}
}

// where names the other side for people.
func (c *conn) where() string {
	if a := c.remote; a != nil && a.String() != "" && a.String() != "@" {
		return a.String()
	}
	return c.socket.options.Endpoints[0]
}

// Stats implements link.Observed.
func (s *socket) Stats() link.Stats {
	n := &s.stats
	s.mu.Lock()
	st := link.Stats{Handshakes: s.shaking.count, Unfinished: s.notWhole}
	for c := range s.conns {
		if c.up {
			st.Connections++
		}
	}
	s.mu.Unlock()
	st.BytesToRead, st.BytesToSend, st.AcceptingPause = s.toRead.Load(), s.toSend.Load(), n.pausing.Load()
	st.Accepted, st.BadHandshakes, st.LateHandshakes, st.ManyHandshakes = n.accepted.Load(), n.badShakes.Load(), n.lateShakes.Load(), n.manyShakes.Load()
	st.Malformed, st.LargeFrames, st.LongMessages = n.malformed.Load(), n.largeFrames.Load(), n.longMessages.Load()
	st.UnfinishedCut, st.SlowCut, st.Full = n.unfinished.Load(), n.slow.Load(), n.full.Load()
	st.TakenIDs, st.SilentCut, st.ReadPauses = n.taken.Load(), n.silent.Load(), n.readPauses.Load()
	st.AcceptingPauses, st.DialsFailed = n.pauses.Load(), n.dialsFailed.Load()
	n.trouble.Lock()
	st.LastTrouble, st.LastTroubleSince = n.trouble.text, n.trouble.at
	n.trouble.Unlock()
	return st
}

// Peers implements link.Observed.
func (s *socket) Peers(dst []link.PeerStats) []link.PeerStats {
	s.mu.Lock()
	first := len(dst)
	conns := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		if c.up {
			conns = append(conns, c)
			dst = append(dst, link.PeerStats{
				Peer: slices.Clone(c.id), SocketType: c.peer.Type.String(), Revision: c.peer.Revision.String(), Mechanism: c.peer.Mechanism,
				Since: c.since, MessagesIn: c.messagesIn, BytesIn: c.bytesIn, ToRead: c.held.Load(),
			})
		}
	}
	s.mu.Unlock()
	for i, c := range conns {
		p := &dst[first+i]
		c.out.mu.Lock()
		p.MessagesOut, p.BytesOut, p.ToSend = c.out.sentMessages, c.out.sentBytes, c.out.cost
		c.out.mu.Unlock()
		if a := c.remote; a != nil && a.Network() == "tcp" {
			p.Address = a.String()
		}
	}
	return dst
}
