package clientcore

import "github.com/privateer-mq/privateer/protocol"

// What most calls need is used again: calls, messages and outcomes. Those of
// earlier outputs are free with the next turn.
type reused struct {
	freed     []*call // completed in this turn
	spares    []*call
	messages  []*protocol.Message
	messaged  int // in this turn
	outcomes  []*Outcome
	completed int // in this turn

	service string // asked for last
	bytes   []byte // its name
}

// reusedMax bounds each.
const reusedMax = 256

func (r *reused) newCall() *call {
	n := len(r.spares)
	if n == 0 {
		return &call{}
	}
	c := r.spares[n-1]
	r.spares = r.spares[:n-1]
	return c
}

func (r *reused) newMessage() *protocol.Message {
	if r.messaged == len(r.messages) {
		r.messages = append(r.messages, &protocol.Message{})
	}
	r.messaged++
	return r.messages[r.messaged-1]
}

func (r *reused) newOutcome() *Outcome {
	if r.completed == len(r.outcomes) {
		r.outcomes = append(r.outcomes, &Outcome{})
	}
	r.completed++
	return r.outcomes[r.completed-1]
}

// serviceBytes is the name of a service in bytes, which nobody changes. Most
// clients ask for one service.
func (r *reused) serviceBytes(name string) []byte {
	if name != r.service {
		r.service, r.bytes = name, []byte(name)
	}
	return r.bytes
}

// reuse: what was put out so far is done.
func (r *reused) reuse() {
	for i, c := range r.freed {
		r.freed[i] = nil
		*c = call{}
		if len(r.spares) < reusedMax {
			r.spares = append(r.spares, c)
		}
	}
	r.freed = r.freed[:0]
	r.messages, r.messaged = kept(r.messages, r.messaged), 0
	r.outcomes, r.completed = kept(r.outcomes, r.completed), 0
}

// kept empties those of list that were used, and lets go of what is too many.
func kept[T any](list []*T, used int) []*T {
	if len(list) > reusedMax {
		clear(list[reusedMax:])
		list = list[:reusedMax]
	}
	for _, x := range list[:min(used, len(list))] {
		var none T
		*x = none
	}
	return list
}
