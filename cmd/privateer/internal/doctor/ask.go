package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/privateer-mq/privateer/protocol"
)

// The steps that speak PRV1.

// How long a broker has to answer the first question before it is asked the
// other one, and the other one, on a near network.
var answerTimes = []time.Duration{200 * time.Millisecond, time.Second}

// protocol asks who is there. A front answers PING; a back answers the
// HEARTBEAT of a link that it does not know with DISCONNECT, and registers
// nobody. Each drops the other's question without a word.
func (p *patient) protocol(ctx context.Context) (string, error) {
	questions := []func() [][]byte{p.ping, p.heartbeat}
	if p.cfg.Role == Worker {
		questions[0], questions[1] = questions[1], questions[0]
	}
	for i, question := range questions {
		if err := p.wire.send(question()...); err != nil {
			return "", refused(err)
		}
		end := time.Now().Add(min(max(answerTimes[i], 10*p.connTook), left(ctx, 3)))
		for {
			frames, err := p.wire.message(end)
			if timedOut(err) {
				break
			}
			if err != nil {
				return "", refused(err)
			}
			if err := p.recognise(frames); err != nil {
				return "", err
			}
			if p.kind != "" {
				return fmt.Sprintf("PRV1, epoch %016x", p.epoch), nil
			}
		}
	}
	return "", &problem{"a ROUTER that does not answer in PRV1", "check the port: another broker listens there, or one that hangs"}
}

func refused(err error) error {
	return &problem{fmt.Sprintf("it closed the connection on PRV1's first message: %v", err), "check the port: another broker listens there"}
}

func (p *patient) ping() [][]byte {
	return p.front(&protocol.Message{Command: protocol.Ping, Number: 1})
}

func (p *patient) heartbeat() [][]byte {
	m := &protocol.Message{Command: protocol.Heartbeat, Epoch: number(), Link: 1, Seq: 1}
	frames, _ := protocol.AppendFrames(nil, nil, protocol.BackIn, m)
	return frames
}

// front is a message of this client, with its delimiter.
func (p *patient) front(m *protocol.Message) [][]byte {
	m.Instance = p.instance
	frames, _ := protocol.AppendFrames([][]byte{{}}, nil, protocol.FrontIn, m)
	return frames
}

// recognise takes an answer to one of the questions.
func (p *patient) recognise(frames [][]byte) error {
	at, direction := front, protocol.FrontOut
	if len(frames[0]) == 0 && len(frames) > 1 {
		frames = frames[1:]
	} else {
		at, direction = back, protocol.BackOut
	}
	if !protocol.Sniff(frames[0]) {
		return &problem{fmt.Sprintf("a ROUTER that answers %.40q", frames[0]), "check the port: another broker listens there, one that does not speak PRV1"}
	}
	if v := frames[0][3]; v != '0'+protocol.Version {
		return otherVersion(fmt.Sprintf("it speaks PRV%c", v))
	}
	var m protocol.Message
	if err := protocol.Parse(direction, frames, &m); err != nil {
		return &problem{fmt.Sprintf("its answer is not as PRV1 has it: %v", err), "check that broker with \"privateer conformance broker\": it does not keep docs/protocol.md"}
	}
	text := m.Meta.Get(protocol.MetaErrorText)
	switch {
	case m.Command == protocol.Pong:
		p.draining = m.Flags.Has(protocol.Draining)
	case m.Command == protocol.Disconnect && m.Code == protocol.ReasonVersion,
		m.Command == protocol.Reply && m.Code == protocol.Invalid:
		return otherVersion(fmt.Sprintf("it refuses PRV1: %.200q", text))
	case m.Command == protocol.Disconnect && m.Code != protocol.ReasonUnknown:
		p.leaving = fmt.Sprintf("%s %.200q", protocol.CodeName(m.Command, m.Code), text)
	case m.Command != protocol.Disconnect:
		return nil // not an answer to what was asked
	}
	p.kind, p.epoch = at, m.Epoch
	return nil
}

func otherVersion(found string) error {
	return &problem{found, "use a privateer of the broker's version: it speaks another version of the protocol"}
}

// which compares the port with the one that was meant.
func (p *patient) which(context.Context) (string, error) {
	switch {
	case p.kind == back && p.cfg.Role == Client:
		return "", &problem{"the back port, for workers", "write the broker's front port, to which clients connect: 5555 if nothing else was said"}
	case p.kind == front && p.cfg.Role == Worker:
		return "", &problem{"the front port, for clients", "write the broker's back port, to which workers connect: 5556 if nothing else was said"}
	case p.kind == back:
		return "back, for workers", nil
	}
	return "front, for clients", nil
}

// state is what the broker says of itself: at the front, that it is draining.
func (p *patient) state(context.Context) (string, error) {
	switch {
	case p.leaving != "":
		return "", &problem{"it sends workers away: " + p.leaving, "look at the broker's log, and connect again when it is back"}
	case p.kind == back:
		return "told at the front only", errSkip
	case p.draining:
		return "", &problem{"draining", "wait until the broker is back, or ask another: it is shutting down and takes nothing new"}
	}
	return "serving", nil
}

func (p *patient) service(ctx context.Context) (string, error) {
	if p.cfg.Service == "" {
		return "not asked for (--service)", errSkip
	}
	reply, err := p.ask(ctx, "mmi.service", []byte(p.cfg.Service))
	if err != nil {
		return "", err
	}
	switch told := firstFrame(reply); {
	case reply.Code == protocol.OK && told == "200":
		return fmt.Sprintf("a live worker serves %q", p.cfg.Service), nil
	case reply.Code == protocol.OK && told == "404":
		return "", p.noWorker()
	}
	return "the broker does not tell", errSkip
}

func (p *patient) noWorker() error {
	return &problem{fmt.Sprintf("no live worker serves %q", p.cfg.Service),
		"start a worker for it, and check the service name and the back port that its workers were given"}
}

// roundTrip makes the service answer one request, with an empty body.
func (p *patient) roundTrip(ctx context.Context) (string, error) {
	if p.cfg.Service == "" {
		return "not asked for (--service)", errSkip
	}
	m, err := p.ask(ctx, p.cfg.Service, nil)
	if err != nil {
		return "", err
	}
	text := m.Meta.Get(protocol.MetaErrorText)
	found := fmt.Sprintf("%s (%s)", m.Code, m.Flags.Certainty())
	if text != "" {
		found += fmt.Sprintf(": %.200q", text)
	}
	switch m.Code {
	case protocol.OK:
		return fmt.Sprintf("attempt %d replied", m.Attempt), nil
	case protocol.Failed: // the way is what is checked, not the handler
		return "the handler refused an empty request: " + found, nil
	case protocol.NoService:
		return "", p.noWorker()
	case protocol.Expired, protocol.Timeout, protocol.WorkerLost:
		return "", &problem{found, "look at the logs of its workers, start more, or give a longer --timeout: they are busy, hang or die"}
	case protocol.DrainingNow:
		return "", &problem{found, "wait until the broker is back, or ask another: it is shutting down"}
	case protocol.Overloaded:
		return "", &problem{found, "start more workers, or send less: the broker's queue is full"}
	}
	return "", &problem{found, "look at the broker's log"}
}

// ask sends a request and waits for its outcome. What is left of the time is
// its deadline, but for the time in which the broker can say that it is over.
func (p *patient) ask(ctx context.Context, service string, body []byte) (*protocol.Message, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	budget := left(ctx, 1) * 9 / 10
	err = p.wire.send(p.front(&protocol.Message{
		Command: protocol.Request, Flags: protocol.NoWait, ID: protocol.ID(id), Number: 1, Epoch: p.epoch,
		RemainingMS: uint32(max(budget.Milliseconds(), 1)), Service: []byte(service), Body: [][]byte{body},
	})...)
	if err != nil {
		return nil, lost(err)
	}
	for {
		frames, err := p.wire.message(time.Now().Add(left(ctx, 1)))
		if err != nil {
			return nil, lost(err)
		}
		m := new(protocol.Message)
		if len(frames) < 2 || protocol.Parse(protocol.FrontOut, frames[1:], m) != nil {
			continue
		}
		if m.Command == protocol.Reply && m.ID == protocol.ID(id) {
			return m, nil
		}
	}
}

func lost(err error) error {
	if timedOut(err) {
		return &problem{"no answer in time", "look at the broker's log, or give a longer --timeout: it hangs, or is too busy"}
	}
	return &problem{"the connection ended", "look at the broker's log: it was stopped or cut off"}
}

func firstFrame(m *protocol.Message) string {
	if len(m.Body) == 0 {
		return ""
	}
	return string(m.Body[0])
}
