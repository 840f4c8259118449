package core

import "github.com/privateer-mq/privateer/protocol"

// Replies that cannot be taken. The request that such a one names is over: told
// to say READY its worker would offer the same again, for ever, and what else it
// holds would suffer for it.

// namesAttempt reports whether m, which Parse has refused, is the REPLY to an
// attempt that can be read, and its place on its link as well.
func namesAttempt(from Peer, m *protocol.Message) bool {
	return !from.legacy() && m.Command == protocol.Reply && !m.ID.IsZero() && m.Number != 0 && m.Epoch != 0 &&
		m.Link != 0 && m.Seq != 0
}

// refuseReply makes m what is left of it: FAILED, for it ran. Codes that say
// something else, and have no content, still say it.
func refuseReply(m *protocol.Message, why string) {
	switch m.Code {
	case protocol.HandedBack, protocol.Expired, protocol.Gone:
	default:
		m.Code = protocol.Failed
	}
	m.Flags &= protocol.CtxCancelled | protocol.Started | protocol.FromKept
	m.Stream, m.Meta, m.Body = protocol.Stream{}, protocol.ErrorMeta(why), nil
}

// withinLimits refuses m, a worker's REPLY, if its body is more than this broker
// takes. A PRV1 worker knows the limit, and others do not.
func (c *Core) withinLimits(m *protocol.Message) {
	if size := bodyBytes(m.Body); size > c.cfg.MaxMessage {
		c.spend(m.Body)
		refuseReply(m, "the reply of its worker is "+sizeText(size)+", over this broker's limit of "+sizeText(c.cfg.MaxMessage))
	}
}
