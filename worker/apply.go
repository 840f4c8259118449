package worker

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"github.com/privateer-mq/privateer/internal/link"
	"github.com/privateer-mq/privateer/internal/workercore"
	"github.com/privateer-mq/privateer/protocol"
)

// apply does what the sessions have put out, in order. What follows from doing
// it is appended, and done as well.
func (l *loop) apply(now time.Duration) {
	for i := 0; i < len(l.out); i++ { // it grows while it is walked
		o := l.out[i]
		p := l.peers[o.Broker]
		switch o.Kind {
		case workercore.Open:
			l.open(p)
		case workercore.Close:
			l.close(p)
		case workercore.Send:
			l.send(p, o.Message)
		case workercore.Start:
			l.startRun(p, o.Run)
		case workercore.CancelRun:
			if r := l.runs[runID{p.index, o.Fence.ID}]; r != nil {
				r.over = min(r.over, now)
				r.ctx.end(causes[o.Cause])
			}
		case workercore.PartTaken, workercore.PartRefused:
			if r := l.runs[runID{p.index, o.Fence.ID}]; r != nil {
				var err error
				if o.Kind == workercore.PartRefused {
					err = errors.New(o.Text)
				}
				r.taken <- err
			}
		case workercore.Report:
			l.report(p, &o)
		case workercore.Drop:
			l.w.counters.dropped[o.Reason].Add(1)
		case workercore.Done:
			l.unacked += o.Count
			l.hook(p, &o)
		}
	}
	clear(l.out)
	l.out = l.out[:0]
}

// open makes p's socket, with a fresh routing id.
func (l *loop) open(p *peer) {
	id := link.Identity(func(b []byte) { rand.Read(b) }) // never fails
	made, err := l.host.Open(link.Options{
		Role: link.Dealer, Endpoints: []string{p.endpoint}, Identity: id,
		SendMax: sendMax, RecvMax: l.cfg.Concurrency + 2, FrameBytesMax: frameMax,
		ReconnectMin: 10 * time.Millisecond, ReconnectMax: l.cfg.ReconnectMax,
		ConnectTimeout: 3 * time.Second, Monitor: true,
	})
	switch {
	case err == nil:
		p.link, p.everOpen = made, true
		l.out = l.turns.Opened(p.index, l.out)
	case p.everOpen || link.NoFiles(err): // there may be room later, and other brokers' requests run
		l.out = l.turns.OpenFailed(p.index, err.Error(), l.out)
	default: // the endpoint itself is wrong: nothing will change that
		l.fatal = fmt.Errorf("Config.Brokers: %w", err)
	}
}

func (l *loop) close(p *peer) {
	if p.link == nil {
		return
	}
	l.flush(p)
	if o, ok := p.link.(link.Observed); ok {
		p.trouble = o.Stats().LastTrouble
	}
	if err := p.link.Close(); err != nil {
		p.log.Error().Err(err).Msg("closing the socket failed")
	}
	p.link = nil
}

// send numbers m and puts it into the link. Most are sent together, at the end
// of the turn.
func (l *loop) send(p *peer, m *protocol.Message) {
	if p.link == nil || !l.turns.Stamp(p.index, m) {
		return
	}
	l.frames, l.buf = protocol.AppendFrames(l.frames[:0], l.buf[:0], protocol.BackIn, m)
	p.link.Put(nil, l.frames...)
	clear(l.frames)
	if cap(l.buf) > bufferKept {
		l.buf = nil
	}
	l.turns.Sent(p.index, m, true)
	p.sent = append(p.sent, m)
}

// flush sends what was put into p's link, and tells the session what failed.
func (l *loop) flush(p *peer) {
	if len(p.sent) == 0 {
		return
	}
	if p.link != nil {
		p.link.Flush(p.failed)
	}
	clear(p.sent)
	p.sent = p.sent[:0]
}

// startRun calls the handler on a goroutine of its own.
func (l *loop) startRun(p *peer, x *workercore.Run) {
	r := &run{
		runID: runID{p.index, x.ID}, inbox: l.inbox,
		fence: x.Fence, service: x.Service, over: x.Deadline,
		handler: l.w.handler, handIn: l.handIn,
	}
	r.ctx = runContext{run: r, deadline: l.start.Add(x.Deadline)}
	l.runs[r.runID] = r
	l.fresh++
	l.w.counters.started.Add(1)
	l.w.counters.running.Store(uint64(len(l.runs)))
	r.take(x, r.ctx.deadline)
	go r.call()
}

// report counts and logs one change of state.
func (l *loop) report(p *peer, o *workercore.Output) {
	l.hook(p, o)
	c := &l.w.counters
	c.events[o.Event].Add(1)
	if o.Event == workercore.Answered {
		c.answered[o.Code].Add(1)
	}
	e := p.log.WithLevel(levelOf(p, o.Event))
	if !e.Enabled() {
		return
	}
	if !o.Fence.ID.IsZero() {
		e = e.Stringer("request_id", o.Fence.ID).Uint32("attempt", o.Fence.Attempt)
	}
	if o.Code != protocol.CodeNone {
		cmd := protocol.Reply
		if o.Event == workercore.Refused {
			cmd = protocol.Disconnect
		}
		e = e.Str("code", protocol.CodeName(cmd, o.Code))
	}
	if o.Text != "" {
		e = e.Str("reason", o.Text)
	}
	if o.For > 0 {
		e = e.Stringer("retry_in", o.For)
	}
	if o.Event == workercore.Reconnecting && p.trouble != "" {
		e = e.Str("trouble", p.trouble)
	}
	e.Str("state", o.Event.String()).Msg(messages[o.Event])
}
