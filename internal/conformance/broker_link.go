package conformance

import (
	"time"

	"github.com/privateer-mq/privateer/protocol"
)

// What a broker does about a worker's link.
var brokerLinkSteps = []step[*brokerKit]{
	{"welcome", "B1, 12.2", "WELCOME before all else: seq 1, ack 1, the link and the epoch of PONG", (*brokerKit).welcome},
	{"heartbeat", "B2", "HEARTBEAT every heartbeat_ms, as WELCOME says", (*brokerKit).rhythm},
	{"version-back", "17", "READY in PRV2: DISCONNECT unknown version, in version 1, naming its link", refusedBack(protocol.ReasonVersion, versionByte, '2')},
	{"unknown-command-back", "6, 17", "an unknown command: DISCONNECT invalid, naming its link", refusedBack(protocol.ReasonInvalid, commandByte, 20)},
	{"other-side-back", "6, 17", "a client's PING at the back: DISCONNECT invalid, naming its link", refusedBack(protocol.ReasonInvalid, commandByte, byte(protocol.Ping))},
	{"unknown-link", "12.8", "HEARTBEAT of a link that was never begun: DISCONNECT unknown, naming that link", (*brokerKit).unknownLink},
	{"gap", "12.5", "after a gap DISCONNECT link reset, and again to each HEARTBEAT", (*brokerKit).gap},
	{"gap-reply", "12.5, B6", "a REPLY after a gap is used", (*brokerKit).gapReply},
	{"ready-lacks", "12.9", "READY that does not list what was handed out: handed out again, without MAYBE_RERUN", (*brokerKit).readyLacks},
	{"lost-on-the-way", "12.9, B4", "a list that lacks an acknowledged hand-over: handed out again as the next attempt, without MAYBE_RERUN", (*brokerKit).lostOnTheWay},
	{"worker-leaves", "B18", "DISCONNECT shutting down is answered with the same", (*brokerKit).leaves},
}

func (k *brokerKit) welcome() error {
	w, err := k.newLabourer(1, k.service)
	if err != nil {
		return err
	}
	if err := w.ready(); err != nil {
		return err
	}
	g := w.await(0, soon, func(*given) bool { return true })
	switch {
	case g == nil:
		return came("nothing within %v", soon)
	case g.Command != protocol.Welcome:
		return came("%s first", described(&g.Message))
	}
	k.adopt(g.Intervals)
	switch {
	case g.Ack != 1 || g.Link != w.link: // Parse has looked at its seq
		return came("WELCOME with link %d, ack %d", g.Link, g.Ack)
	case g.Epoch != k.epoch:
		return came("WELCOME with epoch %x, where PONG had %x", g.Epoch, k.epoch)
	}
	return nil
}

func (k *brokerKit) rhythm() error {
	w, err := k.worker(0)
	if err != nil {
		return err
	}
	for range 2 {
		from := len(w.got)
		if w.await(from, k.heartbeat+k.heartbeat/2+quiet, isCommand(protocol.Heartbeat)) == nil {
			return came("none for %v, with heartbeat_ms %d", k.heartbeat+k.heartbeat/2+quiet, k.heartbeat/time.Millisecond)
		}
	}
	return nil
}

// refusedBack sends READY with one byte changed and wants DISCONNECT.
func refusedBack(reason protocol.Code, at int, to byte) func(*brokerKit) error {
	return func(k *brokerKit) error {
		w, err := k.newLabourer(1, k.service)
		if err != nil {
			return err
		}
		m := protocol.Message{Command: protocol.Ready, Flags: protocol.Last, Link: 9, Seq: 1, Credit: 1, Instance: w.instance,
			Services: frames(k.service)}
		if err := k.sendSoon(w.s, poke(encode(protocol.BackIn, &m), at, to)); err != nil {
			return err
		}
		return w.wantDisconnect(0, reason, 9)
	}
}

func (k *brokerKit) unknownLink() error {
	w, err := k.newLabourer(1, k.service)
	if err != nil {
		return err
	}
	if err := w.send(protocol.Message{Command: protocol.Heartbeat, Epoch: k.epoch, Credit: 1}, 9, 4); err != nil {
		return err
	}
	return w.wantDisconnect(0, protocol.ReasonUnknown, 9)
}

func (k *brokerKit) gap() error {
	w, err := k.worker(1)
	if err != nil {
		return err
	}
	w.mute = true
	w.seq++ // lost
	for range 2 {
		from := len(w.got)
		if err := w.heartbeat(); err != nil {
			return err
		}
		if err := w.wantDisconnect(from, protocol.ReasonReset, w.link); err != nil {
			return err
		}
	}
	return nil
}

func (k *brokerKit) gapReply() error {
	a, w, m, g, err := k.held(0)
	if err != nil {
		return err
	}
	w.mute = true
	w.seq++ // lost
	return answered(a, w, &m, g, "after a gap")
}

// wantAgain waits for the next hand-over of what was never taken.
func wantAgain(w *labourer, from int, g *given, d time.Duration) (*given, error) {
	again, err := w.wantRequest(from, g.ID, d)
	switch {
	case err != nil:
		return nil, err
	case again.Number <= g.Number:
		return nil, came("attempt %d after attempt %d", again.Number, g.Number)
	case again.Flags.Has(protocol.MaybeRerun):
		return nil, came("attempt %d with MAYBE_RERUN", again.Number)
	}
	return again, nil
}

func (k *brokerKit) readyLacks() error {
	a, w, m, g, err := k.held(protocol.AtMostOnce)
	if err != nil {
		return err
	}
	w.list = nil
	from := len(w.got)
	if err := w.ready(); err != nil {
		return err
	}
	if err := w.welcome(); err != nil {
		return err
	}
	if err := w.heartbeat(); err != nil {
		return err
	}
	again, err := wantAgain(w, from, g, soon)
	if err != nil {
		return err
	}
	return answered(a, w, &m, again, "at last")
}

func (k *brokerKit) lostOnTheWay() error {
	a, w, m, g, err := k.held(0)
	if err != nil {
		return err
	}
	w.list = nil
	from := len(w.got)
	if err := w.heartbeat(); err != nil {
		return err
	}
	again, err := wantAgain(w, from, g, soon)
	if err != nil {
		return err
	}
	return answered(a, w, &m, again, "at last")
}

func (k *brokerKit) leaves() error {
	w, err := k.worker(1)
	if err != nil {
		return err
	}
	w.leave()
	w.mute = true
	return w.wantDisconnect(0, protocol.ReasonShutdown, w.link)
}
