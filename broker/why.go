package broker

import (
	"fmt"
	"strconv"
	"time"

	"github.com/privateer-mq/privateer/internal/adminapi"
	"github.com/privateer-mq/privateer/internal/core"
	"github.com/privateer-mq/privateer/protocol"
)

// why tells the story of one request; false if nothing is known of it. The loop
// calls it.
func (l *loop) why(id protocol.ID) (adminapi.Why, bool) {
	now := l.now()
	info, known := l.core.Find(now, id)
	steps := l.recorder.of(id)
	if !known && len(steps) == 0 {
		return adminapi.Why{}, false
	}
	w := adminapi.Why{ID: id.String(), State: info.State, Service: info.Service, Attempt: int(info.Attempt),
		AgeMS: info.Age.Milliseconds(), LeftMS: max(info.Left.Milliseconds(), 0), Behind: info.Behind, Clients: info.Clients,
		Dead: info.Dead, Steps: []adminapi.Step{}}
	if info.State == "" {
		w.State = "forgotten"
	}
	if info.Worker != 0 {
		w.Worker = workerName(info.Worker)
		w.Name = l.called(info.Worker)
	}
	if info.State == "done" {
		w.Code, w.Certainty = info.Code.String(), info.Certainty.String()
	}
	for i := range steps {
		s := &steps[i]
		if w.Service == "" {
			w.Service = s.service
		}
		out := adminapi.Step{At: l.start.Add(s.at), AgoMS: (now - s.at).Milliseconds(), What: string(s.what), Text: s.text(), Attempt: int(s.attempt)}
		if s.worker != 0 {
			out.Worker = workerName(s.worker)
		}
		if s.code != protocol.CodeNone {
			out.Code = s.code.String()
		}
		w.Steps = append(w.Steps, out)
	}
	w.Answer = answer(&info, w.Worker+bracketed(w.Name), steps)
	return w, true
}

// called is what people know a worker by; "" if it has not said.
func (l *loop) called(instance uint64) string {
	i := l.core.Info(instance)
	if i == nil {
		return ""
	}
	k := adminapi.Worker{Label: i.Label, Host: i.Host, Process: i.Process}
	return k.Name()
}

func bracketed(text string) string {
	if text == "" {
		return ""
	}
	return " (" + text + ")"
}

// answer says in one sentence where a request is, and why it is not done.
// worker is what to call the one that holds it.
func answer(i *core.RequestInfo, worker string, steps []step) string {
	switch i.State {
	case "queued":
		return queuedAnswer(i)
	case "backoff":
		return "It waits before it is handed out again: its handler asked for a retry, or the worker that is free still runs an attempt of it."
	case "waiting":
		return "It may have run before this broker's start: it waits for a worker to claim it, until the recovery window ends."
	case "assigned":
		return assignedAnswer(i, worker)
	case "kept":
		return "Worker " + worker + " has finished it and keeps the reply; it is fetched when a client asks for it."
	case "orphan":
		return "A worker that held it was lost, and its body is not known here: it waits for its client to ask again."
	case "done":
		return doneAnswer(i, steps)
	}
	if i.Dead {
		return "It is a dead letter: see what it ended as below, and requeue or drop it."
	}
	return "It is over, and its outcome no longer remembered; what follows is what the recorder has kept."
}

func queuedAnswer(i *core.RequestInfo) string {
	at := fmt.Sprintf("It has waited %s in the queue of %s", span(i.Age), i.Service)
	if i.Behind > 0 {
		at += ", behind " + plural(i.Behind, "other")
	}
	switch {
	case i.Paused:
		return at + ": the service is paused."
	case i.Live == 0:
		return at + ": no live worker serves it."
	case i.Alone && i.Free == 0:
		return at + ": it has lost a worker and goes only to one that holds nothing else, and none is free."
	case i.Free == 0:
		return at + ": " + all(i.Live) + " busy."
	}
	return at + ": it is next to go out."
}

func all(workers int) string {
	if workers == 1 {
		return "the one live worker is"
	}
	return "all " + strconv.Itoa(workers) + " live workers are"
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

func assignedAnswer(i *core.RequestInfo, worker string) string {
	runs := "has it, and has not said that it runs"
	if i.Started {
		runs = "works on it"
	}
	text := fmt.Sprintf("Worker %s %s, attempt %d, for %s; %s of its deadline are left.",
		worker, runs, i.Attempt, span(i.Held), span(max(i.Left, 0)))
	if i.Losses > 0 {
		text += fmt.Sprintf(" It has cost %s before.", plural(i.Losses, "attempt"))
	}
	return text
}

func doneAnswer(i *core.RequestInfo, steps []step) string {
	text := "It is done: " + i.Code.String()
	for k := len(steps) - 1; k >= 0; k-- {
		if steps[k].what == core.EventFinished {
			if steps[k].reason != "" {
				text += ": " + steps[k].reason
			}
			text += ", after " + span(steps[k].took)
			break
		}
	}
	if i.Certainty != protocol.Ran {
		text += " (" + i.Certainty.String() + ")"
	}
	if i.Dead {
		text += ". It is a dead letter"
	}
	return text + "."
}

// since is a moment of the loop's clock on the wall.
func (l *loop) since(at time.Duration) time.Time { return l.start.Add(at) }
