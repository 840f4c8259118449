package conformance

import (
	"github.com/privateer-mq/privateer/protocol"
)

type fence struct {
	id      protocol.ID
	attempt uint32
	epoch   uint64
}

func fenceOf(m *protocol.Message) fence { return fence{m.ID, m.Number, m.Epoch} }

// stateless is a change that remembers nothing.
func stateless(front bool, edit func(up bool, m *protocol.Message)) func() func(bool, [][]byte) [][]byte {
	return func() func(bool, [][]byte) [][]byte { return changed(front, edit) }
}

// Workers whose handler takes slowMutant.
const slowMutant = slowMin + beat

var slowWorkerMutants = []mutant{
	{name: "as it is"},
	{"says nothing when it starts", stateless(false, func(up bool, m *protocol.Message) {
		if up && m.Command == protocol.Progress {
			*m = heartbeatOf(m, m.Epoch)
		}
	}), []string{"progress", "running-listed", "running-again", "cancel-running"}},
}

var workerMutants = []mutant{
	{name: "as it is"},
	{"acknowledges the highest seen, over a gap", overTheGap, []string{"gap"}},
	{"starts an id a second time", startsTwice, []string{"same-id-twice"}},
	{"drops its reply after sending it", dropsReplies, []string{"reply-again", "silent-keeps-replies", "broker-restart"}},
	{"forgets what it keeps", stateless(false, func(up bool, m *protocol.Message) {
		if up && m.Command == protocol.Ready {
			var list []protocol.Entry
			for _, e := range m.Entries {
				if e.State != protocol.Kept {
					list = append(list, e)
				}
			}
			m.Entries = list
		}
	}), []string{"kept-in-ready"}},
	{"starts after the deadline", stateless(false, func(up bool, m *protocol.Message) {
		if !up && m.Command == protocol.Request && m.RemainingMS == 0 {
			m.RemainingMS = 5000
		}
	}), []string{"expired"}},
	{"knows no delay", stateless(false, func(up bool, m *protocol.Message) {
		if !up && m.Command == protocol.Request && m.RemainingMS == 2000 {
			m.RemainingMS = 9000
		}
	}), []string{"delay"}},
	{"has another digest", stateless(false, func(up bool, m *protocol.Message) {
		for i := range m.Entries {
			m.Entries[i].Digest++
		}
	}), []string{"entry-fields"}},
	{"takes any ack for its own", stateless(false, func(up bool, m *protocol.Message) {
		for i := range m.Acks {
			m.Acks[i].Attempt = 1
		}
	}), []string{"ack-of-another-fence"}},
	{"runs what an old broker hands out", func() func(bool, [][]byte) [][]byte {
		epoch := uint64(0)
		return changed(false, func(up bool, m *protocol.Message) {
			switch {
			case up:
			case m.Command == protocol.Welcome:
				epoch = m.Epoch
			case m.Command == protocol.Request:
				m.Epoch = epoch
			}
		})
	}, []string{"other-epoch"}},
}

// overTheGap hides gaps from the worker, and acknowledges what was lost.
func overTheGap() func(bool, [][]byte) [][]byte {
	var number, seen, lost uint32
	return changed(false, func(up bool, m *protocol.Message) {
		switch {
		case up && m.Link == number && m.Ack > 0:
			m.Ack += lost
		case up || m.Command == protocol.Disconnect:
		case m.Command == protocol.Welcome:
			number, seen, lost = m.Link, 1, 0
		case m.Seq > seen:
			lost += m.Seq - seen - 1
			seen = m.Seq
			m.Seq -= lost
		default:
			m.Seq -= lost
		}
	})
}

// startsTwice makes the second of two hand-overs another request to the
// worker, unless the first has been answered.
func startsTwice() func(bool, [][]byte) [][]byte {
	answered, second := map[protocol.ID]bool{}, map[protocol.ID]bool{}
	return changed(false, func(up bool, m *protocol.Message) {
		switch {
		case !up && m.Command == protocol.Request && m.Number == 2 && !answered[m.ID]:
			second[flip(m.ID)] = true
			m.ID = flip(m.ID)
		case up && m.Command == protocol.Reply && !second[m.ID]:
			answered[m.ID] = true
		}
		if up && second[m.ID] {
			m.ID = flip(m.ID)
		}
		for i := range m.Acks {
			if id := flip(m.Acks[i].ID); m.Acks[i].Attempt == 2 && second[id] {
				m.Acks[i].ID = id
			}
		}
		for i := range m.Entries {
			if second[m.Entries[i].ID] {
				m.Entries[i].ID = flip(m.Entries[i].ID)
			}
		}
	})
}

// dropsReplies sends each reply once.
func dropsReplies() func(bool, [][]byte) [][]byte {
	sent := map[fence]bool{}
	return changed(false, func(up bool, m *protocol.Message) {
		if !up || m.Command != protocol.Reply {
			return
		}
		if sent[fenceOf(m)] {
			m.Command, m.Code, m.Flags, m.Body = protocol.Progress, 0, 0, nil
		}
		sent[fenceOf(m)] = true
	})
}

var clientMutants = []mutant{
	{name: "as it is"},
	{"changes its id on a retry", stateless(true, func(up bool, m *protocol.Message) {
		if m.Number > 1 {
			m.ID = flip(m.ID)
		}
	}), []string{"same-request"}},
	{"changes the body on a retry", stateless(true, func(up bool, m *protocol.Message) {
		if up && m.Number > 1 {
			m.Body = frames("another")
		}
	}), []string{"same-request"}},
	{"does not mark a retry", stateless(true, func(up bool, m *protocol.Message) {
		if up {
			m.Flags &^= protocol.MaybeSent
		}
	}), []string{"silence"}},
	{"marks a first try", stateless(true, func(up bool, m *protocol.Message) {
		if up {
			m.Flags |= protocol.MaybeSent
		}
	}), []string{"first-try"}},
	{"takes the reply to another request", func() func(bool, [][]byte) [][]byte {
		var open protocol.ID
		return changed(true, func(up bool, m *protocol.Message) {
			switch {
			case up:
				open = m.ID
			case m.Command == protocol.Reply:
				m.ID = open
			}
		})
	}, []string{"other-id"}},
	{"takes the reply to another client", func() func(bool, [][]byte) [][]byte {
		var own uint64
		return changed(true, func(up bool, m *protocol.Message) {
			if up {
				own = m.Instance
			}
			m.Instance = own
		})
	}, []string{"other-instance"}},
	{"does not wait", stateless(true, func(up bool, m *protocol.Message) {
		m.RetryAfterMS = min(m.RetryAfterMS, 1)
	}), []string{"overloaded"}},
	{"fills first_epoch in later", func() func(bool, [][]byte) [][]byte {
		var epoch uint64
		return changed(true, func(up bool, m *protocol.Message) {
			switch {
			case !up:
				epoch = m.Epoch
			case m.Command == protocol.Request:
				m.Epoch = epoch
			}
		})
	}, []string{"first-epoch-frozen"}},
	{"is another with each request", func() func(bool, [][]byte) [][]byte {
		own := map[protocol.ID]uint64{}
		other := func(id protocol.ID) uint64 { return own[id] + uint64(id[15]) + 1 }
		return changed(true, func(up bool, m *protocol.Message) {
			switch {
			case up:
				own[m.ID] = m.Instance
				m.Instance = other(m.ID)
			case m.Instance != 0 && m.Instance == other(m.ID):
				m.Instance = own[m.ID]
			}
		})
	}, []string{"instance"}},
}

var pipelineMutants = []mutant{
	{name: "as it is"},
	{"takes ACCEPTED for the outcome", stateless(true, func(up bool, m *protocol.Message) {
		if !up && m.Command == protocol.Accepted {
			m.Command, m.Code, m.Flags = protocol.Reply, protocol.OK, protocol.Flags(0).WithCertainty(protocol.Ran)
		}
	}), []string{"accepted"}},
	{"takes a reply of another version", func() func(bool, [][]byte) [][]byte {
		return func(up bool, all [][]byte) [][]byte {
			if _, content, ok := protocol.SplitEnvelope(all); !up && ok && protocol.Sniff(content[0]) {
				content[0] = append([]byte("PRV1"), content[0][4:]...)
			}
			return all
		}
	}, []string{"other-version"}},
}

var brokerMutants = []mutant{
	{name: "as it is"},
	{"does not say that an earlier attempt may have run", stateless(false, func(up bool, m *protocol.Message) {
		if !up && m.Command == protocol.Request {
			m.Flags &^= protocol.MaybeRerun
		}
	}), []string{"redelivery"}},
	{"acknowledges no reply", stateless(false, func(up bool, m *protocol.Message) {
		if !up {
			m.Acks = nil
		}
	}), []string{"ack", "ack-again", "fence", "claim"}},
	{"keeps CANCEL to itself", stateless(false, func(up bool, m *protocol.Message) {
		if !up && m.Command == protocol.Cancel {
			*m = heartbeatOf(m, m.Epoch)
			m.Credit = 0
		}
	}), []string{"cancel-running", "superseded"}},
	{"names no link", stateless(false, func(up bool, m *protocol.Message) {
		if !up && m.Command == protocol.Disconnect && m.Code == protocol.ReasonUnknown {
			m.Link = 0
		}
	}), []string{"unknown-link"}},
	{"keeps unknown fields to itself", stateless(false, func(up bool, m *protocol.Message) {
		if !up && m.Command == protocol.Request {
			m.Meta = nil
		}
	}), []string{"fields"}},
	{"gives every try number 1", stateless(true, func(up bool, m *protocol.Message) {
		if !up && m.Command == protocol.Reply && m.Code != protocol.Invalid {
			m.Number = 1
		}
	}), []string{"retry-finished", "retry-running", "claim", "kept-fetched", "id-only"}},
	{"loses the envelope", func() func(bool, [][]byte) [][]byte {
		return func(up bool, all [][]byte) [][]byte {
			if envelope, content, ok := protocol.SplitEnvelope(all); !up && ok && len(envelope) > 0 {
				return append([][]byte{nil}, content...)
			}
			return all
		}
	}, []string{"envelope"}},
	{"merges the frames of a body", stateless(false, func(up bool, m *protocol.Message) {
		if !up && m.Command == protocol.Request && len(m.Body) > 2 {
			m.Body = frames(joined(m.Body))
		}
	}), []string{"request"}},
}
