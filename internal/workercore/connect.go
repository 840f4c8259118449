package workercore

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// Opened says that the socket asked for is there. It may not be connected yet:
// READY is tried at once, and again when Connected says so.
func (s *Session) Opened(now time.Duration, out []Output) []Output {
	if s.phase != opening {
		return out
	}
	s.connects = 0
	s.heardAt = now
	return s.ready(now, out)
}

// OpenFailed says that the socket asked for could not be opened.
func (s *Session) OpenFailed(now time.Duration, why string, out []Output) []Output {
	if s.phase != opening {
		return out
	}
	return s.backOff(now, s.jitter(), why, out)
}

// Connected says that the socket has a connection, the first or a new one.
// What was sent over an earlier connection may be lost without a trace: a
// heartbeat at once shows the broker the gap, and a READY is said again.
func (s *Session) Connected(now time.Duration, out []Output) []Output {
	s.connects++
	switch {
	case s.phase == joining && (s.readyLeft || s.connects > 1):
		return s.ready(now, out)
	case s.phase == joined && s.connects > 1:
		return s.beat(now, out)
	}
	return out
}

// reconnect gives up the socket: a fresh one, with a fresh routing id, finds
// the broker again also where the old connection is dead without knowing it.
func (s *Session) reconnect(now time.Duration, why string, out []Output) []Output {
	out = append(out, Output{Kind: Close})
	return s.backOff(now, s.jitter(), why, out)
}

func (s *Session) backOff(now, wait time.Duration, why string, out []Output) []Output {
	s.phase = closed
	s.counters.broken = true
	s.readyLeft = false
	s.failures++
	s.openAt = now + wait
	return append(out, Output{Kind: Report, Event: Reconnecting, Text: why, For: wait})
}

// jitter is the next wait: anything between a moment and a bound that doubles
// with each socket given up, so that the workers of a broker that comes back
// do not all come at once.
func (s *Session) jitter() time.Duration {
	bound := s.reconnectMax
	if s.failures < 16 {
		bound = min(bound, reconnectFirst<<s.failures)
	}
	return max(time.Duration(s.random%uint64(bound+1)), reconnectMin)
}

// disconnected takes a DISCONNECT. It stands outside the count of messages.
func (s *Session) disconnected(now time.Duration, m *protocol.Message, out []Output) []Output {
	// Link 0 is the present one: a broker that could not read what we said cannot
	// name it.
	if m.Link != 0 && m.Link != s.counters.number {
		return append(out, drop(DropOtherLink))
	}
	if s.phase == leaving {
		return s.done(out)
	}
	switch m.Code {
	case protocol.ReasonUnknown, protocol.ReasonReset:
		return s.restart(now, protocol.CodeName(protocol.Disconnect, m.Code), out)
	case protocol.ReasonShutdown:
		return s.reconnect(now, "broker is shutting down", out)
	}
	text := m.Meta.Get(protocol.MetaErrorText)
	out = append(out,
		Output{Kind: Report, Event: Refused, Code: m.Code, Text: text},
		Output{Kind: Close})
	return s.backOff(now, s.reconnectMax, protocol.CodeName(protocol.Disconnect, m.Code), out)
}

// done ends the session.
func (s *Session) done(out []Output) []Output {
	if s.phase >= joining {
		out = append(out, Output{Kind: Close})
	}
	s.phase = ended
	s.counters.broken = true
	return append(out, Output{Kind: Done, Count: s.finished.n})
}
