package core

import (
	"testing"

	"github.com/privateer-mq/privateer/protocol"
)

// What a worker says of itself is its link's: it is told of the worker that says it, as
// it says it last, and with what becomes of that worker.
func TestWorkersSayWhoTheyAre(t *testing.T) {
	l := newLabourer(t, nil)
	blue := &protocol.WorkerInfo{Label: "blue", Host: "web-3", Process: 4711, Version: "1.4.2"}
	l.works(protocol.Message{Command: protocol.Ready, Credit: 1, Flags: protocol.Last, Info: blue})
	told := false
	for i := range l.out {
		e := &l.out[i].Event
		told = told || e.What == EventWorkerReady && e.Info == blue
	}
	if w := l.c.Workers(l.c.now); !told || len(w) != 1 || w[0].Info != *blue || string(w[0].Peer) != "w" || l.c.Info(1) != blue {
		t.Errorf("told %v, workers %+v", told, w)
	}
	l.works(protocol.Message{Command: protocol.Ready, Credit: 1, Info: &protocol.WorkerInfo{Label: "green"}})
	l.works(protocol.Message{Command: protocol.Ready, Credit: 1, Part: 1, Flags: protocol.Last, Info: blue})
	if i := l.c.Info(1); i == nil || i.Label != "green" {
		t.Errorf("%+v, not what the first part said", i)
	}
	l.works(protocol.Message{Command: protocol.Ready, Credit: 1, Flags: protocol.Last})
	if w := l.c.Workers(l.c.now); l.c.Info(1) != nil || w[0].Info != (protocol.WorkerInfo{}) {
		t.Errorf("%+v of one that says nothing", w)
	}
	l.check()
}
