package worker

import "github.com/privateer-mq/privateer/internal/workercore"

// Hooks are told what becomes of the worker's links, for metrics and alarms; nil
// fields are not called. broker is the endpoint, of Config.Brokers.
//
// They are called by whoever sends the heartbeats just then, which may be a
// handler's goroutine in Request.Progress or SendPart: they must return at once,
// for a hook that blocks makes the worker look dead, and must not lock what a
// handler holds there. They are not called at the same time as each other, and not
// after Run has returned. One that panics ends the process.
type Hooks struct {
	// Joined: a broker has welcomed this worker, first or again. Requests may
	// come from now on.
	Joined func(broker string)
	// Lost: a broker that was joined is silent or gone, or wants this worker no
	// longer; the worker connects again and again. Told once for each loss.
	Lost func(broker, why string)
	// Reset: the link starts anew on the same socket. Joined follows.
	Reset func(broker, why string)
	// Drained: the worker has left this broker, after Run's context was done; what
	// ran has ended or was handed back. Told once.
	Drained func(broker string)
}

// hook tells of o what Hooks want to hear. Only the loop calls it.
func (l *loop) hook(p *peer, o *workercore.Output) {
	h := &l.cfg.Hooks
	switch {
	case o.Kind == workercore.Done:
		if h.Drained != nil {
			h.Drained(p.endpoint)
		}
	case o.Event == workercore.Joined:
		p.joined = true
		if h.Joined != nil {
			h.Joined(p.endpoint)
		}
	case o.Event == workercore.LinkReset:
		if h.Reset != nil {
			h.Reset(p.endpoint, o.Text)
		}
	case p.joined && (o.Event == workercore.Reconnecting || o.Event == workercore.Refused):
		p.joined = false
		if h.Lost != nil {
			h.Lost(p.endpoint, o.Text)
		}
	}
}
